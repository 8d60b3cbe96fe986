"""One policy plays one replication of a world: through the real ``Learner``, or through a compiled loop.

The compiled loops take the very decisions that the learner takes (tests compare them arm by arm), except
for a contender that is marked ``sampled``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bandit import Learner
from ..bandit.decision import Decision
from ..features import ONE, Value
from .contender import Contender
from .fast import fast_play, tally_rounds
from .worlds.base import NEVER, Floats, Integers, Rounds, World

__all__ = ["Trajectory", "play", "play_with_learner", "tally"]

_BLOCK_CELLS = 1 << 18  # rounds are made in blocks of so many rewards: memory stays small, results the same

_Encoded = tuple[dict[str, Value], list[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """What one policy did in one replication of T rounds.

    arms (T,) : index of the chosen arm. rewards (T,) : what it paid, in [0, 1].
    expected (T,) : its expected reward. best (T,) : that of the best eligible arm.
    learner : what the policy knew at the end; None from a compiled loop.
    """

    arms: Integers
    rewards: Floats
    expected: Floats
    best: Floats
    learner: Learner | None = None

    @property
    def regret(self) -> Floats:
        """Cumulative regret (T,): Σ best − expected."""
        return np.cumsum(self.best - self.expected)

    @property
    def best_chosen(self) -> npt.NDArray[np.bool_]:
        """Whether the chosen arm was (one of) the best, (T,)."""
        return self.expected >= self.best


def play(
    world: World, contender: Contender, horizon: int, *, seed: int = 0, replication: int = 0
) -> Trajectory:
    """Play ``horizon`` rounds by the fastest way that there is; a pure function of its arguments."""
    found = fast_play(world, contender, horizon, seed, replication)
    if found is None:
        return play_with_learner(world, contender, horizon, seed=seed, replication=replication)
    return Trajectory(found.arms, found.rewards / ONE, *found.truth())


def tally(
    world: World, contender: Contender, horizon: int, checkpoints: Integers, *, seed: int, replication: int
) -> Floats:
    """Regret, expected reward, reward and rounds with a best arm up to each checkpoint, (4, C)."""
    found = fast_play(world, contender, horizon, seed, replication)
    if found is not None:
        return found.tally(checkpoints)
    played = play_with_learner(world, contender, horizon, seed=seed, replication=replication)
    units = np.rint(played.rewards * ONE).astype(np.int64)
    return tally_rounds(units, played.expected, played.best, checkpoints)


def play_with_learner(
    world: World, contender: Contender, horizon: int, *, seed: int = 0, replication: int = 0
) -> Trajectory:
    """Play ``horizon`` rounds through a ``Learner``: any policy, any world."""
    learner = Learner(contender.bandit_spec(world, seed))
    arms = np.zeros(horizon, np.int64)
    rewards, expected, best = np.zeros(horizon), np.zeros(horizon), np.zeros(horizon)
    pending: defaultdict[int, list[tuple[Decision, int]]] = defaultdict(list)
    size = max(1, _BLOCK_CELLS // len(learner.arms))
    for start in range(0, horizon, size):
        stop = min(horizon, start + size)
        block = world.rounds(seed, replication, start, stop)
        chosen = _play_block(learner, block, replication, start, pending)
        arms[start:stop] = chosen
        rows = np.arange(stop - start)
        rewards[start:stop] = block.rewards[rows, chosen] / ONE
        expected[start:stop] = block.expected[rows, chosen]
        best[start:stop] = np.nanmax(block.expected, axis=1)
    return Trajectory(arms, rewards, expected, best, learner)


def _play_block(
    learner: Learner,
    block: Rounds,
    replication: int,
    start: int,
    pending: defaultdict[int, list[tuple[Decision, int]]],
) -> Integers:
    encoded: dict[int, _Encoded] = {}
    chosen = np.zeros(len(block.which), np.int64)
    for i, place in enumerate(block.which.tolist()):
        t = start + i
        for decision, units in pending.pop(t, ()):
            learner.absorb(decision, units, learner.sums.seq + 1)
        if place not in encoded:
            encoded[place] = learner.encoder.encode(block.contexts[place])
        context, phi = encoded[place]
        allowed = None if block.eligible is None else block.eligible[place]
        decision = learner.choose(context, phi, f"{replication}/{t}", allowed, time=None, mode="normal")
        arm = chosen[i] = decision.arm
        units = int(block.rewards[i, arm])
        delay = 0 if block.delays is None else int(block.delays[i, arm])
        if delay == 0:
            learner.absorb(decision, units, learner.sums.seq + 1)
        elif delay != NEVER:
            pending[t + 1 + delay].append((decision, units))
    return chosen
