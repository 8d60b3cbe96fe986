"""Which contenders have a compiled loop in which worlds, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from . import lockstep
from .contender import BANDIT_NAME, Contender
from .keys import key_of
from .worlds.base import Floats, Integers, Segments, World

__all__ = ["Played", "fast_play", "has_fast_play"]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentsPlayed:
    """Arms chosen and what they paid, in units of 2⁻¹⁶, both (T,), in a replication without context."""

    arms: Integers
    rewards: Integers
    segments: Segments

    def truth(self) -> tuple[Floats, Floats]:
        """Expected rewards of the arms chosen and of the best, (T,), (T,)."""
        segments = self.segments
        place = np.searchsorted(segments.starts, np.arange(len(self.arms)), side="right") - 1
        return segments.expected[place, self.arms], segments.expected.max(axis=1)[place]

    def tally(self, checkpoints: Integers) -> Floats:
        """Regret, expected reward, reward and rounds with a best arm up to each checkpoint, (4, C)."""
        out = np.empty((4, len(checkpoints)))
        segments = self.segments
        best = segments.expected.max(axis=1)
        lockstep.tally.tally_segments(
            self.arms, self.rewards, segments.starts, segments.expected, best, checkpoints, out
        )
        return out


Played = SegmentsPlayed

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


def has_fast_play(world: World, contender: Contender) -> bool:
    """Whether a compiled loop can play the contender in the world."""
    return not contender.policy.common.given() and _suits(world.segments(0, 0), contender)


def fast_play(world: World, contender: Contender, horizon: int, seed: int, replication: int) -> Played | None:
    """Play a replication in a compiled loop; None where there is none for the contender in the world."""
    segments = None if contender.policy.common.given() else world.segments(seed, replication)
    if segments is None or not _suits(segments, contender):
        return None
    arms, rewards = np.empty(horizon, np.int64), np.empty(horizon, np.int64)
    key = key_of(seed, replication, "rewards")
    loop, code, first, second = _LOOPS[contender.policy.name](contender)
    base, head = _draws(seed)
    getattr(lockstep.arms, loop)(
        code,
        first,
        second,
        contender.policy.floor,
        segments.centers,
        segments.starts,
        segments.sd,
        segments.delay,
        key.start,
        key.step,
        base,
        head,
        replication,
        arms,
        rewards,
    )
    return SegmentsPlayed(arms, rewards, segments)


def _suits(segments: Segments | None, contender: Contender) -> bool:
    return segments is not None and contender.policy.name in _LOOPS


@lru_cache(maxsize=8)
def _draws(seed: int) -> tuple[Any, Any]:
    return lockstep.keyed.keyed_base(seed), lockstep.keyed.message_head(BANDIT_NAME)


def _number(contender: Contender, name: str) -> float:
    return float(contender.policy.parameters[name])
