"""A study: which rows teach, which choose, which judge; and the verdicts on those that judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...bandit import PolicySpec
from ...errors import ArmUnknown, InputInvalid, shown
from ...simulation.offpolicy import Accumulator
from ...simulation.verdict import LOGGED, Judged, JudgedLog, Verdict, judge_all
from ...simulation.verdict.bounds import Policy
from ...simulation.verdict.disk import DiskLog
from ...simulation.verdict.targets import Teacher, learns, split
from .onward import Onward

__all__ = ["Candidate", "Held", "Question", "Study", "run_search", "run_study"]

SHOWN_ROWS = 100_000
"""Rows of a log on disk that a report's plots and diagnostics are made of."""

Floats = npt.NDArray[np.float64]
Candidate = PolicySpec | Mapping[str, float] | str
"""A policy, a fixed table of arm probabilities, or ``logged``."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every policy; see ``judge``. train_share : of the rows, teaches policies that learn.

    Raises
    ------
    InputInvalid : a ``train_share`` that leaves no rows to teach or to judge.
    """

    baseline: str = LOGGED
    min_lift: float = 0.2
    confidence: float = 0.95
    adaptive: bool | None = None
    train_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.train_share < 1.0:
            raise InputInvalid(
                "the share of the rows that teach is out of its domain",
                expected="a number above 0, below 1",
                found=shown(self.train_share),
                fix="0.5 is usual (--train-share)",
            )


@dataclass(frozen=True, slots=True)
class Held:
    """A candidate of a search: its value on rows that neither taught nor will judge it."""

    policy: str
    value: float
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"policy": self.policy, "held_out_value": self.value, "standard_error": self.standard_error}


@dataclass(frozen=True, eq=False)
class Study:
    """Verdicts, the rows that judged, and the policies' tables on them.

    taught, chose : rows before them that taught the policies, and that chose among candidates.
    onward : estimates of policies that keep learning, where they were asked for.
    """

    log: Judged
    tables: Mapping[str, Policy]
    verdicts: tuple[Verdict, ...]
    taught: int = 0
    chose: int = 0
    search: tuple[Held, ...] = ()
    onward: tuple[Onward, ...] = ()

    @cached_property
    def shown(self) -> JudgedLog:
        """What plots and diagnostics are made of: all rows, or evenly spaced ones of a log on disk."""
        return self.log.thinned(SHOWN_ROWS if isinstance(self.log, DiskLog) else len(self.log))

    @property
    def best(self) -> Verdict:
        """The verdict that answers for the study: met by one is met."""
        order = ("met", "not enough evidence", "not met", "not supported")
        return min(self.verdicts, key=lambda verdict: order.index(verdict.status))


def run_study(
    log: Judged, teacher: Teacher, candidates: Mapping[str, Candidate], question: Question
) -> Study:
    """Judge each candidate; where one of them learns, the first rows teach, and all are judged on the
    rest.
    """
    taught = 0
    if any(isinstance(one, PolicySpec) and learns(one) for one in candidates.values()):
        taught = split(len(log), question.train_share, 1.0 - question.train_share)[0][1]
    tables = {name: _table(log, teacher, one, taught) for name, one in candidates.items()}
    judged = log.part(taught, len(log)) if taught else log
    return Study(judged, tables, _verdicts(judged, tables, question), taught)


def run_search(
    log: Judged, teacher: Teacher, candidates: Mapping[str, Candidate], question: Question
) -> Study:
    """Pick the candidate of the highest held-out value, and judge that one on rows of its own.

    The first third of the rows teaches; the second says what each is worth (self-normalised); the best is
    taught by both, and judged on the last third, as a single candidate: those rows had no part in picking it.
    """
    (_, first), (_, second), _ = split(len(log), 1 / 3, 1 / 3, 1 / 3)
    held = log.part(first, second)
    found: list[Held] = []
    for name, one in candidates.items():
        found.append(_held(held, name, _table(log, teacher, one, first)))
    ranked = sorted(found, key=lambda one: (-one.value, one.policy))
    best = ranked[0].policy
    judged = log.part(second, len(log))
    tables = {best: _table(log, teacher, candidates[best], second)}
    return Study(judged, tables, _verdicts(judged, tables, question), second, second - first, tuple(ranked))


def _held(log: Judged, name: str, policy: Policy) -> Held:
    """The self-normalised value of a policy on rows that taught it nothing."""
    sums = Accumulator(log.arms)
    for batch in log.batches():
        if not isinstance(policy, str):
            target = policy[batch.cell]
        elif batch.data.logging is not None:
            target = batch.data.logging
        else:
            target = log.pmf_by_context[batch.cell]
        sums.add(batch.data, target)
    estimate = sums.estimates(outside_max=1.0 - 1e-9)["snips"]
    return Held(name, estimate.value, estimate.standard_error)


def _verdicts(log: Judged, tables: Mapping[str, Policy], question: Question) -> tuple[Verdict, ...]:
    return tuple(
        judge_all(
            log,
            tables,
            baseline=question.baseline,
            min_lift=question.min_lift,
            confidence=question.confidence,
            adaptive=question.adaptive,
        )
    )


def _table(log: Judged, teacher: Teacher, candidate: Candidate, taught: int) -> Policy:
    if isinstance(candidate, PolicySpec):
        return teacher.table(log, candidate, taught=taught)
    if isinstance(candidate, str):
        return LOGGED
    unknown = [arm for arm, share in candidate.items() if share > 0.0 and arm not in log.arms]
    if unknown:
        raise ArmUnknown(
            "the log does not know an arm of the policy",
            expected=f"arms among {list(log.arms)}"[:300],
            found=f"{unknown}"[:120],
            fix="name arms that were logged, or give the others probability 0",
        )
    row = np.array([candidate.get(arm, 0.0) for arm in log.arms])
    return np.tile(row, (len(log.contexts), 1))
