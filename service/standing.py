"""Where a bandit stands: what each arm was worth, and whether learning has paid beside the holdout.

The log is read as ``export`` would write it, and judged as ``evaluate --holdout`` judges it: a verdict is
valid whenever it is looked at. An arm's own mean is that of the executions that it was chosen for, which the
policy picked: it says what happened, and the verdict says what can be claimed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import InputInvalid, SupportMissing, shown
from ..persistence.database import reaching
from ..persistence.store import Store
from ..simulation.interchange import LoggedChoice, read_log
from ..simulation.verdict import Verdict
from ..simulation.verdict.holdout import gathered_cohorts, judge_cohorts
from ..simulation.verdict.judged import Metric
from .evaluation.report import render_report
from .evaluation.study import Study
from .exporting import export_log

__all__ = ["MOST_DECISIONS", "ArmStanding", "BanditReport", "report_on_log"]

MOST_DECISIONS = 200_000
"""Of a longer log, ``nyx-learning evaluate`` tells: it takes minutes."""


@dataclass(frozen=True, slots=True)
class ArmStanding:
    """One arm as it was used.

    decisions : it was chosen so often. rewards : of them have one. reward, standard_error : their mean; None
    without. successes, outcomes : executions that succeeded, out of those that said so.
    """

    arm_id: str
    decisions: int
    rewards: int
    reward: float | None
    standard_error: float | None
    successes: int
    outcomes: int


@dataclass(frozen=True, slots=True)
class BanditReport:
    """What a bandit's log says of itself.

    arms : in the order of the spec where it lists them, then others that were logged. learner, holdout : mean
    reward of the two cohorts, None without rewards. verdict : the learner against the holdout; None where
    there is none, and ``why_no_verdict`` says why.
    """

    bandit: str
    baseline_arm: str | None
    metric: str
    decisions: int
    rewards: int
    learner: float | None
    holdout: float | None
    arms: tuple[ArmStanding, ...]
    verdict: Verdict | None
    why_no_verdict: str | None
    study: Study | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        names = ("bandit", "baseline_arm", "metric", "decisions", "rewards", "learner", "holdout")
        return {
            **{name: getattr(self, name) for name in names},
            "arms": [{f.name: getattr(arm, f.name) for f in fields(arm)} for arm in self.arms],
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "why_no_verdict": self.why_no_verdict,
        }

    def to_html(self) -> str:
        """The verdict as one page that needs nothing else.

        Raises
        ------
        SupportMissing : there is no verdict.
        """
        if self.study is None:
            raise SupportMissing(
                f"bandit '{self.bandit}' has no verdict to show",
                expected="decisions of the holdout cohort and of the learner, with outcomes",
                found=str(self.why_no_verdict),
                fix="ask for JSON, which tells of the arms all the same",
            )
        return render_report(self.study, source=self.bandit)


async def report_on_log(store: Store, metric: str, min_lift: float, confidence: float) -> BanditReport:
    """``LearningEngine.report``."""
    if metric not in ("success", "reward"):
        raise _unusable("metric", "success or reward", metric)
    for name, value, low, high in (("min_lift", min_lift, 0.0, 10.0), ("confidence", confidence, 0.5, 1.0)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value < high or (name == "confidence" and value == low):
            raise _unusable(name, f"a number from {low:g} to below {high:g}", value)
    with reaching():
        counted = (await store.log.counts())["decisions"]
    if counted > MOST_DECISIONS:
        raise InputInvalid(
            "the log is too long to be judged while others wait",
            expected=f"at most {MOST_DECISIONS:,} decisions",
            found=f"{counted:,}",
            fix="nyx-learning evaluate --holdout --report FILE",
        )
    with TemporaryDirectory(prefix="nyx-report-") as folder:
        path = Path(folder) / "log.jsonl"
        await export_log(store, path)
        return await asyncio.to_thread(
            _report, store, path, "success" if metric == "success" else "reward", min_lift, confidence
        )


def _unusable(name: str, expected: str, found: object) -> InputInvalid:
    return InputInvalid(
        f"'{name}' of the report is unusable", expected=expected, found=shown(found), fix=f"correct {name}"
    )


def _report(store: Store, path: Path, metric: Metric, min_lift: float, confidence: float) -> BanditReport:
    spec, counting = store.own_spec, _Counting()
    study, why = None, None
    rows = path.with_name("rows")
    rows.mkdir()
    try:
        judged = gathered_cohorts(counting.passed(read_log(path)), rows, metric)
        verdict = judge_cohorts(judged, min_lift=min_lift, confidence=confidence)
        study = Study(judged, {}, (verdict,))
    except SupportMissing as error:
        why = f"{error.what}; found: {error.found}"
    listed = [] if spec.arms.staged else list(spec.arms.units)
    names = list(dict.fromkeys([*listed, *sorted(counting.arms)]))
    total = counting.cohorts
    return BanditReport(
        store.bandit,
        spec.baseline_arm,
        metric,
        sum(tally.decisions for tally in counting.arms.values()),
        sum(tally.rewards for tally in counting.arms.values()),
        total[False].mean,
        total[True].mean,
        tuple(counting.arms.get(name, _Tally()).standing(name) for name in names),
        None if study is None else study.best,
        why,
        study,
    )


@dataclass(slots=True)
class _Tally:
    decisions: int = 0
    rewards: int = 0
    total: float = 0.0
    squares: float = 0.0
    successes: int = 0
    outcomes: int = 0

    def add(self, row: LoggedChoice) -> None:
        self.decisions += 1
        if row.reward is not None:
            self.rewards += 1
            self.total += row.reward
            self.squares += row.reward * row.reward
        if row.success is not None:
            self.outcomes += 1
            self.successes += row.success

    @property
    def mean(self) -> float | None:
        return self.total / self.rewards if self.rewards else None

    def standing(self, arm_id: str) -> ArmStanding:
        error = None
        if self.rewards > 1:
            spread = max(0.0, self.squares - self.total * self.total / self.rewards)
            error = math.sqrt(spread / (self.rewards - 1) / self.rewards)
        return ArmStanding(
            arm_id, self.decisions, self.rewards, self.mean, error, self.successes, self.outcomes
        )


class _Counting:
    """Counts the rows of a log while another reads them."""

    def __init__(self) -> None:
        self.arms: dict[str, _Tally] = {}
        self.cohorts = {False: _Tally(), True: _Tally()}

    def passed(self, rows: Iterable[LoggedChoice]) -> Iterator[LoggedChoice]:
        for row in rows:
            self.arms.setdefault(row.arm_id, _Tally()).add(row)
            self.cohorts[row.reason == "holdout"].add(row)
            yield row
