"""On policy: the learner's cohort against the holdout cohort of the same bandit.

``BanditSpec(holdout=h)`` serves a keyed cohort the baseline arm. Membership is drawn by the decision's id
alone, so that both cohorts meet the same work, and whoever they are compared by is an experiment: no
propensity but h is needed. The learner changes while it learns; so both values are running averages, and
the comparison is ``sequence``'s: valid whenever it is looked at.

The two cohorts are two arms, *learner* and *holdout*, of one policy with probabilities 1 − h and h.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from ...errors import SupportMissing
from ..interchange import LoggedChoice
from ..offpolicy.logged import LoggedData
from .gathering import BATCH_ROWS, Gathering, popped
from .judge import judge
from .judged import Judged, Metric
from .log import JudgedLog, in_order
from .result import Verdict

__all__ = ["COHORTS", "cohorts", "gathered_cohorts", "judge_cohorts", "judge_holdout"]

COHORTS = ("learner", "holdout")
_NONE = 1e-9


def judge_holdout(
    choices: Iterable[LoggedChoice],
    metric: Metric = "success",
    *,
    min_lift: float = 0.2,
    confidence: float = 0.95,
) -> Verdict:
    """Judge whether the learner is at least ``min_lift`` better than the baseline arm that the holdout got.

    Raises
    ------
    SupportMissing : the log has no holdout cohort with the metric, or does not say how large it is.
    """
    return judge_cohorts(cohorts(choices, metric), min_lift=min_lift, confidence=confidence)


def judge_cohorts(log: Judged, *, min_lift: float = 0.2, confidence: float = 0.95) -> Verdict:
    """``judge_holdout`` on what ``cohorts`` or ``gathered_cohorts`` made of a log."""
    verdict = judge(
        log,
        np.array([[float(arm == COHORTS[0]) for arm in log.arms]]),
        name=COHORTS[0],
        baseline=COHORTS[1],
        min_lift=min_lift,
        confidence=confidence,
        adaptive=True,
    )
    return replace(verdict, by_context=())


def gathered_cohorts(
    choices: Iterable[LoggedChoice], folder: Path, metric: Metric = "success", *, rows: int = BATCH_ROWS
) -> Judged:
    """``cohorts``; a log of more than ``rows`` rows is written to ``folder``, see ``gathered``.

    There "the last share seen" goes by the order of the file.

    Raises
    ------
    SupportMissing : see ``cohorts``. OSError : the folder has no room.
    """
    stream = iter(choices)
    begin = list(islice(stream, rows + 1))
    if len(begin) <= rows:
        return cohorts(begin, metric)
    known = _first_share(begin)
    begin.reverse()
    gathering = Gathering(folder, metric, rows)
    for row in chain(popped(begin), stream):
        share = _share(row, known)
        known = share or known
        worth = row.reward if metric == "reward" else row.success
        if not share and worth is not None:
            continue
        cohort = COHORTS[int(row.reason == "holdout")]
        pmf = dict(zip(COHORTS, (1.0 - (share or 0.0), share or 0.0), strict=True))
        gathering.add(
            row._replace(
                context={}, eligible=None, arm_id=cohort, propensity=pmf[cohort], pmf=pmf, reason=None
            )
        )
    log = gathering.finish()
    tried = sum(np.bincount(batch.data.arm, minlength=2) for batch in log.batches())
    if known is None or len(log.arms) < 2 or not np.all(tried):
        raise _no_cohorts(metric, int(np.asarray(tried).min()), len(log))
    return log


def _first_share(rows: Iterable[LoggedChoice]) -> float | None:
    return next(
        (row.propensity for row in rows if row.reason == "holdout" and row.propensity is not None), None
    )


def _no_cohorts(metric: str, held: int, rows: int) -> SupportMissing:
    return SupportMissing(
        "the log has no two cohorts to compare",
        expected=f"rows of reason 'holdout' and others, each with a {metric}",
        found=f"{held:,} rows of the holdout, {rows - held:,} beside one, with a {metric}",
        fix="set BanditSpec(holdout=0.1, baseline_arm=…), or judge the log without --holdout",
    )


def cohorts(choices: Iterable[LoggedChoice], metric: Metric = "success") -> JudgedLog:
    """The log with its cohorts as arms.

    A row's share h is that of its spec: what the holdout logs as propensity; in the learner's cohort what the
    propensity has beyond the pmf. Rows whose share cannot be told so have the last one seen. Rows from a time
    without a holdout are left out.

    Raises
    ------
    SupportMissing : no row of the holdout cohort has the metric, or shares are not known.
    """
    rows = in_order(choices)
    held = _first_share(rows)
    arm: list[int] = []
    value: list[float] = []
    other: list[float] = []
    pmf: list[tuple[float, float]] = []
    ids: list[str] = []
    without = 0
    known = held
    for row in rows:
        share = _share(row, known)
        known = share or known
        worth = row.reward if metric == "reward" else row.success
        if worth is None:
            without += 1
        elif share:
            arm.append(int(row.reason == "holdout"))
            value.append(float(worth))
            beside = row.success if metric == "reward" else row.reward
            other.append(float("nan") if beside is None else float(beside))
            pmf.append((1.0 - share, share))
            ids.append(row.decision_id)
    if held is None or not any(arm) or all(arm):
        raise _no_cohorts(metric, sum(arm), len(arm))
    table = np.array(pmf)
    chosen = np.array(arm, np.int64)
    data = LoggedData(
        COHORTS,
        chosen,
        np.array(value),
        table[np.arange(len(chosen)), chosen],
        table,
        cell=np.zeros(len(chosen), np.int64),
        cells=("all",),
        decision_ids=tuple(ids),
    )
    return JudgedLog(data, ({},), metric, without_metric=without, beside=np.array(other))


def _share(row: LoggedChoice, known: float | None) -> float | None:
    """The holdout's share when a row was decided; 0 for no holdout."""
    if row.propensity is None:
        return known
    if row.reason == "holdout":
        return row.propensity
    own = None if row.pmf is None else row.pmf.get(row.arm_id)
    if own is None:
        return known
    share = 1.0 - row.propensity / own
    return share if share > _NONE else 0.0
