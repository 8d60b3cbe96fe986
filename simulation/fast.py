"""Which contenders have a compiled loop in which worlds, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Any, Protocol

import numpy as np

from .. import ieee
from ..features import ONE
from . import lockstep
from .contender import BANDIT_NAME, Contender
from .keys import key_of
from .worlds.base import Floats, Integers, Segments, World
from .worlds.linear import Linear

__all__ = ["Played", "fast_play", "has_fast_play", "tally_rounds"]


# Policy → (loop, code in it, its two numbers).
_LOOPS: dict[str, Callable[[Contender], tuple[str, int, float, float]]] = {
    "ucb1": lambda c: ("play_index", 0, _number(c, "alpha"), 0.0),
    "ucb_v": lambda c: ("play_index", 1, _number(c, "zeta"), _number(c, "c")),
    "kl_ucb": lambda c: (
        "play_index",
        2,
        float(c.policy.parameters["level"] != "ln t"),
        _number(c, "c"),
    ),
    "moss": lambda c: ("play_index", 3, _number(c, "horizon"), 0.0),
    "epsilon_greedy": lambda c: ("play_index", 4, _number(c, "epsilon"), 0.0),
    "uniform": lambda _: ("play_pmf", 0, 0.0, 0.0),
    "thompson_beta": lambda c: ("play_pmf", 1, _number(c, "a"), _number(c, "b")),
    "kl_maillard": lambda _: ("play_pmf", 2, 0.0, 0.0),
    "softmax": lambda c: ("play_pmf", 3, 1.0 / _number(c, "temperature"), 0.0),
}


_WATCHED_LOOPS: dict[str, Callable[[Contender], tuple[int, float, float]]] = {
    "uniform": lambda _: (0, 0.0, 0.0),
    "thompson_beta": lambda c: (1, _number(c, "a"), _number(c, "b")),
    "ucb1": lambda c: (2, _number(c, "alpha"), 0.0),
    "kl_ucb": lambda c: (3, float(c.policy.parameters["level"] != "ln t"), _number(c, "c")),
}
"""Policy → code in ``lockstep.watched``, its two numbers."""


class Played(Protocol):
    """A replication that a compiled loop has played."""

    @property
    def arms(self) -> Integers:
        """Index of each arm chosen, (T,)."""

    @property
    def rewards(self) -> Integers:
        """What it paid, in units of 2⁻¹⁶, (T,)."""

    @property
    def begun(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Rounds behind whose rewards epochs began, and whose."""

    def truth(self) -> tuple[Floats, Floats]:
        """Expected rewards of the arms chosen and of the best, (T,), (T,)."""

    def tally(self, checkpoints: Integers) -> Floats:
        """Regret, expected reward, reward and rounds with a best arm up to each checkpoint, (4, C)."""


def has_fast_play(world: World, contender: Contender) -> bool:
    """Whether a compiled loop can play the contender in the world."""
    if _is_watched(contender):
        return contender.policy.name in _WATCHED_LOOPS and world.segments(0, 0) is not None
    if not _is_plain(contender):
        return False
    if isinstance(world, Linear):
        return contender.policy.name == "linucb"
    return contender.policy.name in _LOOPS and world.segments(0, 0) is not None


def fast_play(world: World, contender: Contender, horizon: int, seed: int, replication: int) -> Played | None:
    """Play a replication in a compiled loop; None where there is none for the contender in the world."""
    if _is_watched(contender):
        segments = world.segments(seed, replication) if contender.policy.name in _WATCHED_LOOPS else None
        return None if segments is None else _watched(segments, contender, horizon, seed, replication)
    if not _is_plain(contender):
        return None
    if isinstance(world, Linear):
        return _linear(world, contender, horizon, seed, replication)
    if contender.policy.name not in _LOOPS:
        return None
    segments = world.segments(seed, replication)
    return None if segments is None else _segmented(segments, contender, horizon, seed, replication)


def _is_plain(contender: Contender) -> bool:
    return contender.monitors is None and not contender.policy.common.given()


def _is_watched(contender: Contender) -> bool:
    """Monitors of rewards, with or without ``idle_discount``, and no other common setting."""
    return (
        contender.monitors is not None
        and contender.monitors.reward
        and contender.policy.common.given().keys() <= {"idle_discount"}
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Segmented:
    arms: Integers
    rewards: Integers
    segments: Segments
    begun: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def truth(self) -> tuple[Floats, Floats]:
        segments = self.segments
        place = np.searchsorted(segments.starts, np.arange(len(self.arms)), side="right") - 1
        return segments.expected[place, self.arms], segments.expected.max(axis=1)[place]

    def tally(self, checkpoints: Integers) -> Floats:
        out = np.empty((4, len(checkpoints)))
        segments = self.segments
        best = segments.expected.max(axis=1)
        lockstep.tally.tally_segments(
            self.arms, self.rewards, segments.starts, segments.expected, best, checkpoints, out
        )
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Contextual:
    arms: Integers
    rewards: Integers
    expected: Floats
    best: Floats
    begun: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def truth(self) -> tuple[Floats, Floats]:
        return self.expected, self.best

    def tally(self, checkpoints: Integers) -> Floats:
        return tally_rounds(self.rewards, self.expected, self.best, checkpoints)


def tally_rounds(rewards: Integers, expected: Floats, best: Floats, checkpoints: Integers) -> Floats:
    """Regret, expected reward, reward (from units) and rounds with a best arm, summed to each checkpoint."""
    sums = (
        np.cumsum(best - expected),
        np.cumsum(expected),
        np.cumsum(rewards) / ONE,
        np.cumsum(expected >= best),
    )
    return np.array([curve[checkpoints - 1] for curve in sums], np.float64)


def _segmented(segments: Segments, contender: Contender, horizon: int, seed: int, replication: int) -> Played:
    arms, rewards = np.empty(horizon, np.int64), np.empty(horizon, np.int64)
    key = key_of(seed, replication, "rewards")
    if contender.sampled:
        lockstep.sampled.play_sampled(
            _number(contender, "a"),
            _number(contender, "b"),
            segments.centers,
            segments.starts,
            segments.sd,
            segments.delay,
            *key,
            *key_of(seed, replication, "posterior"),
            arms,
            rewards,
        )
        return _Segmented(arms, rewards, segments)
    loop, code, first, second = _LOOPS[contender.policy.name](contender)
    getattr(lockstep.arms, loop)(
        code,
        first,
        second,
        contender.policy.floor,
        segments.centers,
        segments.starts,
        segments.sd,
        segments.delay,
        *key,
        *_draws(seed),
        replication,
        arms,
        rewards,
    )
    return _Segmented(arms, rewards, segments)


def _watched(segments: Segments, contender: Contender, horizon: int, seed: int, replication: int) -> Played:
    arms, rewards, begun = (np.empty(horizon, np.int64) for _ in range(3))
    code, first, second = _WATCHED_LOOPS[contender.policy.name](contender)
    idle = contender.policy.common.idle_discount
    lockstep.watched.play_watched(
        code,
        first,
        second,
        contender.policy.floor,
        1.0 if idle is None else idle,
        contender.rows_of_a_bucket,
        0.0 if contender.monitors is None else contender.monitors.evidence,
        segments.centers,
        segments.starts,
        segments.sd,
        segments.delay,
        *key_of(seed, replication, "rewards"),
        *_draws(seed),
        replication,
        arms,
        rewards,
        begun,
    )
    found = np.flatnonzero(begun >= 0).tolist()
    return _Segmented(arms, rewards, segments, tuple((t, (int(begun[t]),)) for t in found))


def _linear(world: Linear, contender: Contender, horizon: int, seed: int, replication: int) -> Played | None:
    if contender.policy.name != "linucb":
        return None
    arms, rewards = np.empty(horizon, np.int64), np.empty(horizon, np.int64)
    expected, best = np.empty(horizon), np.empty(horizon)
    ridge, delta = _number(contender, "ridge"), _number(contender, "delta")
    lockstep.linear.play_linucb(
        _number(contender, "alpha"),
        ridge,
        _number(contender, "noise"),
        -2.0 * ieee.log(delta) if delta > 0.0 else 0.0,
        sqrt(ridge) * _number(contender, "norm"),
        world.matrix.shape[1] * ieee.log(ridge),
        contender.policy.floor,
        world.matrix,
        world.width,
        *key_of(seed, replication, "rewards"),
        *key_of(seed, replication, "contexts"),
        *_draws(seed),
        replication,
        arms,
        rewards,
        expected,
        best,
    )
    return _Contextual(arms, rewards, expected, best)


@lru_cache(maxsize=8)
def _draws(seed: int) -> tuple[Any, Any]:
    return lockstep.keyed.keyed_base(seed), lockstep.keyed.message_head(BANDIT_NAME)


def _number(contender: Contender, name: str) -> float:
    return float(contender.policy.parameters[name])
