"""How often a policy makes a hundred workflows at least so much better than the incumbent.

    cumulative lift = (1/T) Σ_t μ(context_t, arm_t) / μ(incumbent)
    final lift      = (1/C) Σ_c Σ_a π_T(a | c) μ(c, a) / μ(incumbent)

with the true expected rewards μ of a ``Cells`` world: the luck of single rewards is in what the policy
learns, not in how it is judged. A warm start lets the policy learn rows of an earlier log first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ..bandit import BanditSpec, Learner, PolicySpec
from ..bandit.history import HistoryRow
from ..errors import InputInvalid
from ..features import ONE, Encoder, Value
from . import lockstep
from .contender import Contender
from .keys import key_of
from .looped import LOOPED, HierarchicalLoop
from .worlds.base import Floats, Integers
from .worlds.cells import Cells

__all__ = ["HISTORY_STARTS", "Lift", "Warm", "history_arms", "measure_lift"]

HISTORY_STARTS = 1 << 20
"""Rounds from here on make the history: other rewards than the run's."""


@dataclass(frozen=True, slots=True)
class Warm:
    """An earlier log: ``rows``, of which the incumbent has ``incumbent_share``, the other arms the rest in
    equal parts. None: all arms equally often.
    """

    rows: int
    incumbent_share: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lift:
    """Lift over the incumbent in each replication, cumulative (R,) and final (R,); the incumbent's value."""

    cumulative: Floats
    final: Floats
    incumbent: float

    def share(self, lift: float, *, final: bool = False) -> tuple[float, float]:
        """Share of the replications that reach a lift, and its standard error."""
        values = self.final if final else self.cumulative
        p = float((values >= lift).mean())
        return p, sqrt(p * (1.0 - p) / len(values))

    def mean(self, *, final: bool = False) -> tuple[float, float]:
        """Mean expected reward, and its standard error over replications."""
        values = self.incumbent * (self.final if final else self.cumulative)
        return float(values.mean()), float(values.std(ddof=1)) / sqrt(len(values))


def measure_lift(
    world: Cells,
    policy: PolicySpec,
    *,
    replications: int,
    rounds: int = 100,
    seed: int = 0,
    warm: Warm | None = None,
) -> Lift:
    """Play a policy many times in a world that has an incumbent.

    Raises
    ------
    InputInvalid : the world has no baseline arm.
    """
    if world.baseline_arm is None:
        raise InputInvalid(
            "lift over an incumbent needs an incumbent",
            expected="a world with a baseline_arm",
            found="baseline_arm=None",
            fix="name one",
        )
    spec = Contender(policy.name, policy).bandit_spec(world, seed)
    incumbent = world.value(spec.baseline)
    looped = policy.name in LOOPED and not policy.common.given()
    contexts = [dict[str, Value](task_type=name) for name in world.task_types]
    player = HierarchicalLoop(spec, contexts) if looped else _Learned(spec, contexts)
    cumulative, final = np.zeros(replications), np.zeros(replications)
    for number in range(replications):
        which, rewards, arms = _rounds(world, seed, number, rounds, warm, spec.baseline)
        chosen, pmf = player.play(number, which, rewards, arms)
        start = len(arms)
        means = np.array(world.means)
        cumulative[number] = means[which[start:], chosen[start:]].mean()
        shares = np.array(world.weights) / sum(world.weights)
        final[number] = shares @ (pmf * means).sum(axis=1)
    return Lift(cumulative / incumbent, final / incumbent, incumbent)


def _rounds(
    world: Cells, seed: int, number: int, rounds: int, warm: Warm | None, incumbent: int
) -> tuple[Integers, Integers, Integers]:
    """Contexts and rewards of the history and then of the run, and the history's arms."""
    run = world.rounds(seed, number, 0, rounds)
    if warm is None or warm.rows == 0:
        return run.which, run.rewards, np.zeros(0, np.int64)
    past = world.rounds(seed, number, HISTORY_STARTS, HISTORY_STARTS + warm.rows)
    u = np.empty(warm.rows)
    lockstep.counter.uniforms_into(*key_of(seed, number, "logging"), 0, u)
    count = run.rewards.shape[1]
    arms = history_arms(u, count, incumbent, warm.incumbent_share)
    return np.concatenate([past.which, run.which]), np.concatenate([past.rewards, run.rewards]), arms


def history_arms(u: Floats, count: int, incumbent: int, incumbent_share: float | None) -> Integers:
    """Arms of recorded executions, for uniform numbers u: see ``Warm``."""
    if incumbent_share is None:
        return np.floor(u * count).astype(np.int64)
    rest = np.floor((u - incumbent_share) / (1.0 - incumbent_share) * (count - 1))
    others = np.array([arm for arm in range(count) if arm != incumbent], np.int64)
    return np.where(u < incumbent_share, incumbent, others[np.clip(rest, 0, count - 2).astype(np.int64)])


class _Learned:
    """Any policy, through a ``Learner``."""

    def __init__(self, spec: BanditSpec, contexts: Sequence[Mapping[str, Value]]) -> None:
        self._spec = spec
        encoder = Encoder(spec.context)
        self._encoded = [encoder.encode(context) for context in contexts]

    def play(
        self, number: int, which: Integers, rewards: Integers, arms: Integers
    ) -> tuple[Integers, Floats]:
        """Play one replication: the arms of all rounds, and the pmf at the end (C, K)."""
        learner = Learner(self._spec)
        chosen = np.zeros(len(which), np.int64)
        chosen[: len(arms)] = arms
        for t, place in enumerate(which.tolist()):
            context, phi = self._encoded[place]
            if t < len(arms):
                arm = int(arms[t])
                reward = int(rewards[t, arm]) / ONE
                row = HistoryRow(context, learner.arms.units[arm], reward, arm, tuple(phi), 0)
                learner.absorb_history(row, t + 1)
                continue
            name = f"{number}/{t - len(arms)}"
            decision = learner.choose(context, phi, name, None, time=None, mode="normal")
            chosen[t] = decision.arm
            learner.absorb(decision, int(rewards[t, decision.arm]), t + 1)
        last = [
            learner.choose(context, phi, f"{number}/end", None, time=None, mode="normal").pmf
            for context, phi in self._encoded
        ]
        return chosen, np.array(last) / 2.0**32
