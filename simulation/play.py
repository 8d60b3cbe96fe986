"""One policy plays one replication of a world: through the real ``Learner``, or through a compiled loop.

The compiled loops take the very decisions that the learner takes (tests compare them arm by arm), except
for a contender that is marked ``sampled``. Where a contender has monitors, each row of its simulated log goes
through ``bandit.watch``, and an event takes the next number: a decision behind it has the new epoch.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bandit import BanditSpec, Learner
from ..bandit.decision import Decision
from ..bandit.watch import Observation, Watch
from ..features import ONE, Value
from .contender import Contender
from .fast import fast_play, tally_rounds
from .worlds.base import NEVER, Floats, Integers, Rounds, World

__all__ = ["Trajectory", "play", "play_with_learner", "tally"]

_BLOCK_CELLS = 1 << 18  # rounds are made in blocks of so many rewards: memory stays small, results the same

_Encoded = tuple[dict[str, Value], list[int]]
_Due = tuple[Decision, int, int]  # a decision, its reward in units, and its round


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """What one policy did in one replication of T rounds.

    arms (T,) : index of the chosen arm. rewards (T,) : what it paid, in [0, 1].
    expected (T,) : its expected reward. best (T,) : that of the best eligible arm.
    learner : what the policy knew at the end; None from a compiled loop.
    begun : rounds whose reward completed the evidence for a shift, and the arms whose new epochs began there.
    """

    arms: Integers
    rewards: Floats
    expected: Floats
    best: Floats
    learner: Learner | None = None
    begun: tuple[tuple[int, tuple[int, ...]], ...] = ()

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
    return Trajectory(found.arms, found.rewards / ONE, *found.truth(), begun=found.begun)


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
    learner = _Watched(contender.bandit_spec(world, seed))
    arms = np.zeros(horizon, np.int64)
    rewards, expected, best = np.zeros(horizon), np.zeros(horizon), np.zeros(horizon)
    pending: defaultdict[int, list[_Due]] = defaultdict(list)
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
    return Trajectory(arms, rewards, expected, best, learner, tuple(learner.begun))


class _Watched(Learner):
    """A learner whose log its spec's monitors watch, where it has any."""

    def __init__(self, spec: BanditSpec) -> None:
        super().__init__(spec)
        self.begun: list[tuple[int, tuple[int, ...]]] = []
        self._watch = None if spec.monitors is None else Watch(spec)

    def learn(self, decision: Decision, units: int, round_: int) -> None:
        """Fold the reward of a round's decision as the next row, and what the monitors conclude behind it."""
        seq = self.sums.seq + 1
        self.absorb(decision, units, seq)
        if self._watch is None:
            return
        seen = Observation(seq, decision.arm, decision.epoch, decision.phi, units, None)
        for draft in self._watch.observe(seen):
            event = draft.numbered(self.sums.seq + 1)
            self.begin(event)
            self._watch.note(event)
            if event.epochs:
                self.begun.append((round_, tuple(self.arms.units.index(name) for name in event.epochs)))


def _play_block(
    learner: _Watched,
    block: Rounds,
    replication: int,
    start: int,
    pending: defaultdict[int, list[_Due]],
) -> Integers:
    encoded: dict[int, _Encoded] = {}
    chosen = np.zeros(len(block.which), np.int64)
    for i, place in enumerate(block.which.tolist()):
        t = start + i
        for due in pending.pop(t, ()):
            learner.learn(*due)
        if place not in encoded:
            encoded[place] = learner.encoder.encode(block.contexts[place])
        context, phi = encoded[place]
        allowed = None if block.eligible is None else block.eligible[place]
        decision = learner.choose(context, phi, f"{replication}/{t}", allowed, time=None, mode="normal")
        arm = chosen[i] = decision.arm
        units = int(block.rewards[i, arm])
        delay = 0 if block.delays is None else int(block.delays[i, arm])
        if delay == 0:
            learner.learn(decision, units, t)
        elif delay != NEVER:
            pending[t + 1 + delay].append((decision, units, t))
    return chosen
