"""An orchestrator's world: durations, failures, stalls, retries, drift, delayed and missing reports.

What one execution goes through, given its arm and context (``population.Profile``):

* all attempts of a round take the same time D = median · e^(.5 Z): Z belongs to the task, so that every arm
  would meet the same easy or hard task;
* it hangs with the stall probability, and is stopped at its timeout;
* otherwise an attempt fails with the failure probability, and is repeated while there are retries left; the
  first success ends it; when the timeout comes first, it is stopped there (a censored duration);
* a success has quality uniform in its mean ± .15, reported in 90 % of cases, a failure has quality 0; the
  user says "good" to 80 % of successes and 5 % of failures, and says something at all in 40 % of cases.

That is reported as an ``Outcome`` and priced by a ``RewardSpec``, with all that is missing left out. It is
known after its duration, while further workflows arrive every ``arrival_s`` seconds; a share ``lost`` is
never reported. From round ``drift_round`` on, parallel work is 1.8 times as slow and fails 2.5 times as
often.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ...bandit import ArmTable, Strategy
from ...features import ONE, Categorical, ContextSchema, Ordinal, Value
from ...rewards import Outcome, RewardSpec, price_bulk
from .. import lockstep
from ..keys import key_of
from . import checks, truth
from .base import NEVER, Floats, Integers, Rounds, World
from .executing import SIZE_SD, Executions, executions
from .population import COMPLEXITIES, STRATEGIES, TASK_TYPES, Profile, profile

__all__ = ["Orchestration"]

_DRIFT = {"parallel": (1.8, 2.5)}
_REFERENCE_S = {"simple": 15.0, "moderate": 40.0, "complex": 100.0}
_WEIGHTS = {"speed": 0.25, "quality": 0.30, "success": 0.30, "usefulness": 0.15}


class Orchestration(World):
    """See above. The truth is computed, not simulated: ``truth.expected_reward``.

    Parameters
    ----------
    drift_round : round of the drift; None: there is none.
    arrival_s : seconds between two workflows; None: reports come before the next round.
    lost : share of executions that never report.
    weights : of the scores, as ``RewardSpec`` takes them.
    """

    kind: ClassVar[str] = "orchestration"
    horizon: int = 1000
    baseline_arm: str | None = "direct"

    def __init__(
        self,
        *,
        drift_round: int | None = 600,
        arrival_s: float | None = 20.0,
        lost: float = 0.03,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.drift_round = (
            None if drift_round is None else checks.whole(self.kind, "drift_round", drift_round, 1)
        )
        self.arrival_s = (
            None if arrival_s is None else checks.number(self.kind, "arrival_s", arrival_s, 1e-3, 1e9)
        )
        self.lost = checks.number(self.kind, "lost", lost, 0.0, 0.99)
        self.reward = RewardSpec(
            weights=dict(_WEIGHTS if weights is None else weights),
            reference_time_s=_REFERENCE_S,
            reference_by=("complexity",),
        )
        self._contexts = tuple(
            dict[str, Value]({"task_type": task, "complexity": complexity})
            for task in TASK_TYPES
            for complexity in COMPLEXITIES
        )
        arms = range(len(ArmTable(STRATEGIES)))
        self._profiles: list[list[list[Profile]]] = [
            [
                [profile(arm, task, complexity, drift) for arm in arms]
                for task in TASK_TYPES
                for complexity in COMPLEXITIES
            ]
            for drift in ({}, _DRIFT)
        ]
        self._table = np.array(
            [
                [
                    [(p.seconds, p.timeout_s, p.retries, p.failure, p.stall, p.quality) for p in row]
                    for row in phase
                ]
                for phase in self._profiles
            ]
        )
        self._references = np.array([_REFERENCE_S[str(c["complexity"])] for c in self._contexts])

    @property
    def strategies(self) -> tuple[Strategy, ...]:  # noqa: D102
        return STRATEGIES

    @property
    def schema(self) -> ContextSchema:  # noqa: D102
        return ContextSchema(task_type=Categorical(TASK_TYPES), complexity=Ordinal(COMPLEXITIES))

    @cached_property
    def expected(self) -> Floats:
        """Expected reward (2, 9, K): before and after the drift, by context and arm."""
        return np.array(
            [
                [
                    [truth.expected_reward(p, self.reward, float(reference), size_sd=SIZE_SD) for p in row]
                    for row, reference in zip(phase, self._references, strict=True)
                ]
                for phase in self._profiles
            ]
        )

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:  # noqa: D102
        which, phase = self._places(seed, replication, start, stop)
        columns = self._executions(seed, replication, start, stop)
        n, k = columns["success"].shape
        lost = columns.pop("lost").astype(np.bool_)
        flat = {name: column.ravel() for name, column in columns.items()}
        references = np.repeat(self._references[which], k)
        values = price_bulk(flat, self.reward, reference_time_s=references).values
        rewards = np.rint(values * ONE).astype(np.int64).reshape(n, k)
        delays = np.zeros((n, k), np.int64)
        if self.arrival_s is not None:
            delays = np.floor(columns["duration_s"] / self.arrival_s).astype(np.int64)
        delays[lost] = NEVER
        return Rounds(self._contexts, which, rewards, self.expected[phase, which], delays)

    def outcome(self, seed: int, replication: int, number: int, arm: int) -> Outcome:
        """What an arm would report in one round: what ``rounds`` prices."""
        row = {
            name: column[0, arm].item()
            for name, column in self._executions(seed, replication, number, number + 1).items()
        }
        errors = ["attempt_failed"] * int(row["errors"])
        if row["timed_out"]:
            errors[-1] = "timeout"
        known = {name: row[name] for name in ("quality", "user_feedback") if row[name] == row[name]}
        return Outcome(
            success=row["success"],
            duration_s=row["duration_s"],
            timed_out=row["timed_out"],
            retries=int(row["retries"]),
            error_codes=tuple(errors),
            **known,
        )

    def _places(self, seed: int, replication: int, start: int, stop: int) -> tuple[Integers, Integers]:
        """Context and phase of each round."""
        u = np.empty(stop - start)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "contexts"), start, u)
        which = np.floor(u * len(self._contexts)).astype(np.int64)
        phase = np.zeros_like(which)
        if self.drift_round is not None:
            phase = (np.arange(start, stop) >= self.drift_round).astype(np.int64)
        return which, phase

    def _executions(self, seed: int, replication: int, start: int, stop: int) -> Executions:
        """What every arm would report in each round: columns (n, K) as ``price_bulk`` takes them."""
        which, phase = self._places(seed, replication, start, stop)
        columns = executions(self._table[phase, which], seed, replication, start, lost=self.lost)
        for name in ("begun", "size"):
            del columns[name]
        return columns

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {
            "kind": self.kind,
            "drift_round": self.drift_round,
            "arrival_s": self.arrival_s,
            "lost": self.lost,
            "weights": dict(self.reward.weights),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Orchestration:  # noqa: D102
        return cls(**checks.fields(cls.kind, document, [], ["drift_round", "arrival_s", "lost", "weights"]))
