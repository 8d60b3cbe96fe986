"""``run_demo``: reach the database, calibrate, learn, compare, verify, write the report."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from ...bandit import ArmTable, BanditSpec, Decision, VerifyReport
from ...errors import InputInvalid
from ...rewards import price
from ..engine import LearningEngine
from .compiling import compile_kernels
from .database import opened
from .executors import Execution, Orchestrator
from .experiment import Arms, Bench, Design, Phase, Run, calibrate, evaluate, learn, select
from .plots import PlotsUnavailable, require
from .report import write_report
from .spec import BASELINE_ARM, build_spec, outcome_of
from .summary import Choice, Summary, summarise
from .workload import Workflow, context_of, contexts

__all__ = ["DemoOptions", "DemoResult", "Progress", "run_demo"]

_REPORT: Final = Path("nyx-demo-report.html")
_MIN_WORKFLOWS, _MAX_WORKFLOWS = 2, 100_000


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo is asked for.

    Parameters
    ----------
    workflows : to learn from, 2 to 100,000; calibration, selection and evaluation come on top.
    seed : of the population, of the order of runs and of the bandit's draws, 0 to 2⁶³ − 1.
    report : where the HTML report is written; an existing file is replaced.
    dsn : Postgres to store decisions and rewards in; None for ``NYX_DATABASE_URL``, and without that for an
        embedded server with a data folder of the demo's own.

    Raises
    ------
    InputInvalid : a number out of its range, or no folder to write the report to.
    """

    workflows: int = 150
    seed: int = 7
    report: Path = _REPORT
    dsn: str | None = None

    def __post_init__(self) -> None:
        for name, low, high in (("workflows", _MIN_WORKFLOWS, _MAX_WORKFLOWS), ("seed", 0, 2**63 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputInvalid(
                    f"the demo's {name} is out of range",
                    expected=f"an integer from {low:,} to {high:,}",
                    found=repr(value),
                    fix=f"for example {name}={DemoOptions.__dataclass_fields__[name].default}, the default",
                )
        folder = self.report.absolute().parent
        if not folder.is_dir() or self.report.is_dir() or not os.access(folder, os.W_OK):
            raise InputInvalid(
                "the demo's report cannot be written there",
                expected="a file name in a folder that exists, where this user may write",
                found=str(self.report),
                fix=f"create the folder, or leave the path out for {_REPORT} in the current one",
            )


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found.

    Parameters
    ----------
    arms : arm ids in the spec's order.
    reference_s : reference time in seconds per (kind, size).
    runs : every execution, in the order in which they ran.
    choices : what the learned policy would do in each context.
    notes : what was left out, and how to get it, as error texts.
    duration_s : wall-clock time of the whole demo.
    compiled_s : of which kernels were compiled; 0 where they were compiled before.
    """

    options: DemoOptions
    bandit: str
    arms: tuple[str, ...]
    baseline: str
    best_fixed: str
    reference_s: Mapping[tuple[str, str], float]
    runs: tuple[Run, ...]
    choices: tuple[Choice, ...]
    summary: Summary
    verification: VerifyReport
    notes: tuple[str, ...]
    duration_s: float
    compiled_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, numbers unrounded; of the runs, their counts."""
        counts: dict[str, int] = defaultdict(int)
        for run in self.runs:
            counts[run.phase] += 1
        return {
            "bandit": self.bandit,
            "workflows": self.options.workflows,
            "seed": self.options.seed,
            "baseline_arm": self.baseline,
            "best_fixed_arm": self.best_fixed,
            "arms": list(self.arms),
            "reference_time_s": [
                {"kind": kind, "size": size, "reference_time_s": value}
                for (kind, size), value in self.reference_s.items()
            ],
            "runs": dict(counts),
            "choices": [asdict(choice) for choice in self.choices],
            "levels": [asdict(level) for level in self.summary.levels],
            "differences": [
                asdict(pair) | {"verdict": pair.verdict, "success_verdict": pair.success_verdict}
                for pair in self.summary.paired
            ],
            "verification": asdict(self.verification),
            "report": str(self.options.report.absolute()),
            "notes": list(self.notes),
            "duration_s": self.duration_s,
            "compiled_s": self.compiled_s,
        }


class Progress(Protocol):
    """Who is told how far the demo is."""

    def begin(self, totals: Mapping[Phase, int]) -> None:
        """Take note of how many runs each phase has."""

    def run(self, run: Run) -> None:
        """Take note of one run."""

    def say(self, text: str) -> None:
        """Take note of something that happens between runs."""


class _Silent:
    def begin(self, totals: Mapping[Phase, int]) -> None:
        pass

    def run(self, run: Run) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class _EngineLearner:
    """The experiment's view of the durable engine."""

    def __init__(self, engine: LearningEngine, spec: BanditSpec) -> None:
        self._engine, self._spec = engine, spec
        self._arms = ArmTable(spec.strategies)
        self._decisions: dict[str, Decision] = {}

    async def choose(self, workflow: Workflow) -> str:
        decision = await self._engine.select_arm(workflow.context, decision_id=workflow.workflow_id)
        self._decisions[workflow.workflow_id] = decision
        return decision.arm_id

    async def report(self, workflow: Workflow, execution: Execution) -> None:
        await self._engine.update_reward(self._decisions[workflow.workflow_id], outcome_of(execution))

    def price(self, workflow: Workflow, execution: Execution) -> float:
        return price(outcome_of(execution), self._spec.reward, context=workflow.context).value

    async def choices(self) -> list[Choice]:
        """Read the policy in every context, without changing anything."""
        choices = []
        for kind, size, flaky in contexts():
            beliefs = self._engine.beliefs(context_of(kind, size, flaky=flaky))
            strategies: dict[str, float] = {strategy.name: 0.0 for strategy in self._spec.strategies}
            for belief, arm in zip(beliefs, self._arms, strict=True):
                strategies[arm.strategy] += belief.probability
            top = max(beliefs, key=lambda belief: belief.probability)
            choices.append(
                Choice(kind, size, flaky, top.arm_id, top.probability, top.mean, top.sd, strategies)
            )
        return choices


async def run_demo(options: DemoOptions, progress: Progress | None = None) -> DemoResult:
    """Run the whole demo and write its report.

    Raises
    ------
    DatabaseUnavailable : the database that was asked for cannot be reached; nothing has been run then.
    """
    watch = progress or _Silent()
    started = time.perf_counter()
    async with opened(options.dsn) as dsn:
        result = await _play(options, dsn, watch)
    result = replace(result, duration_s=time.perf_counter() - started)
    try:
        require()
    except PlotsUnavailable as missing:
        result = replace(result, notes=(str(missing),))
    write_report(result)
    return result


async def _play(options: DemoOptions, dsn: str, watch: Progress) -> DemoResult:
    started = time.perf_counter()
    design = Design(options.seed, options.workflows)
    # Names and grids of the arms do not depend on the reference times, which are not measured yet.
    draft = build_spec(options.seed, "arms", {})
    arms = _arms(draft)
    compiled_s = await compile_kernels([draft.policy.name], watch.say)
    watch.begin(design.runs(len(arms.by_id)))
    async with Orchestrator() as orchestrator:
        bench = Bench(orchestrator, arms, design, watch.run)
        reference_s, runs = await calibrate(bench)
        # A bandit of its own: its reference times were measured just now, so its rewards are no other run's.
        name = f"demo-{options.seed}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        spec = build_spec(options.seed, name, reference_s)
        watch.say(f"opening the learning engine, bandit {name}")
        async with await LearningEngine.open(spec, dsn) as engine:
            learner = _EngineLearner(engine, spec)
            runs += await learn(bench, learner)
            best_fixed, selection = await select(bench, learner)
            runs += selection
            runs += await evaluate(bench, learner, best_fixed)
            choices = await learner.choices()
            watch.say("verifying every decision against the log")
            verification = await engine.verify()
    return DemoResult(
        options=options,
        bandit=name,
        arms=tuple(arms.by_id),
        baseline=arms.baseline,
        best_fixed=best_fixed,
        reference_s=reference_s,
        runs=tuple(runs),
        choices=tuple(choices),
        summary=summarise(runs),
        verification=verification,
        notes=(),
        duration_s=time.perf_counter() - started,
        compiled_s=compiled_s,
    )


def _arms(spec: BanditSpec) -> Arms:
    return Arms(
        {arm.arm_id: (arm.strategy, arm.parameters) for arm in ArmTable(spec.strategies)}, BASELINE_ARM
    )
