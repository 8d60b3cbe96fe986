"""Histories on which policies are asked what they would do: a small spec, contexts and rewards by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...bandit import ArmTable, BanditSpec, Learner, PolicySpec, Strategy
from ...bandit.decision import Decision
from ...bandit.policies.catalog import example_parameters
from ...features import ONE, Categorical, ContextSchema, Numeric, Value
from ..streams import Stream
from .regret import SEED

__all__ = ["History", "Step", "catalog_policy", "learn", "spec_of"]

_STRATEGIES = (
    Strategy("direct"),
    Strategy("parallel", {"workers": [2, 4]}),
    Strategy("recursive"),
)
_ARM_IDS = ArmTable(_STRATEGIES).ids
_TASKS = ("coding", "research")
_SCHEMA = ContextSchema(task=Categorical(_TASKS), size=Numeric(0, 10))


def catalog_policy(name: str, floor: float) -> PolicySpec:
    """A policy of the catalog with its defaults."""
    return PolicySpec(name, floor=floor, **example_parameters(name))


def spec_of(policy: PolicySpec) -> BanditSpec:
    """Four arms, two features."""
    return BanditSpec("validation", _STRATEGIES, _SCHEMA, policy=policy, seed=SEED, baseline_arm="direct")


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Rewarded decisions: arm (N,), φ (N, D), reward (N,), propensity (N,), in the order of their rows."""

    arm: npt.NDArray[np.int64]
    phi: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """One decision before its reward is learned, by a learner that still knows what it decided from.

    past : all that it had learned, as (decision, reward in units of 2⁻¹⁶).
    """

    learner: Learner
    decision: Decision
    eligible: tuple[int, ...]
    past: Sequence[tuple[Decision, int]]

    @property
    def history(self) -> History:
        """What had been learned, as arrays in natural units."""
        decisions = [decision for decision, _ in self.past]
        columns = len(self.decision.phi)
        return History(
            np.array([d.arm for d in decisions], np.int64),
            np.array([d.phi for d in decisions], np.float64).reshape(-1, columns) / ONE,
            np.array([units for _, units in self.past], np.float64) / ONE,
            np.array([d.propensity for d in decisions], np.float64),
        )


def learn(policy: PolicySpec, rounds: int, *, successes: bool) -> Iterator[Step]:
    """A learner decides ``rounds`` times, and learns each reward once the caller has looked.

    Contexts, eligible arms (all but one in most rounds) and rewards are drawn by key; a reward is 0 or 1 for
    ``successes``, else a number between.
    """
    learner = Learner(spec_of(policy))
    names = _ARM_IDS
    stream = Stream(SEED, rounds, "validation")
    task, size = stream.below(2, rounds).tolist(), stream.below(1001, rounds).tolist()
    luck, absent = stream.below(ONE, rounds).tolist(), stream.below(2 * len(names), rounds).tolist()
    past: list[tuple[Decision, int]] = []
    for t in range(rounds):
        context: dict[str, Value] = {"task": _TASKS[task[t]], "size": size[t] / 100.0}
        eligible = tuple(a for a in range(len(names)) if a != absent[t])
        decision = learner.decide(context, f"round-{t}", eligible=[names[a] for a in eligible])
        yield Step(learner, decision, eligible, past)
        worth = 0.3 + 0.1 * decision.arm + (0.2 if (decision.arm + task[t]) % 2 else 0.0)
        units = ONE * int(luck[t] < worth * ONE) if successes else int((luck[t] + 3 * worth * ONE) / 4.0)
        units = min(units, ONE)
        learner.absorb(decision, units, learner.sums.seq + 1)
        past.append((decision, units))
