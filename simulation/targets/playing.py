"""The learners of the targets play a drawn world, next to its incumbent and to an oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...bandit import BanditSpec, PolicySpec
from ...features import ONE
from ...rewards import price_bulk
from ...rewards.composite import composite_bulk
from .. import lockstep
from ..keys import key_of
from ..lift import HISTORY_STARTS, history_arms
from ..looped import HierarchicalLoop
from ..worlds.base import Floats, Integers
from ..worlds.executing import executions
from .prior import TIMEOUT, DrawnWorld, draw_world
from .rewards import LEARNERS
from .truths import Truths, truths_of

__all__ = ["HISTORY", "MEASURES", "PERIOD", "STARTS", "Played", "play_world", "repeats"]

PERIOD = 100
"""Workflows of a period; two are played."""
HISTORY = 300
"""Recorded executions that a warm start has."""
INCUMBENT_SHARE = 0.8
STARTS = ("cold", "warm")
MEASURES = ("success", "seconds", "tokens", "repeats")
_KNOWN_FROM = 2
"""So many failures of a pattern go before one that counts as repeated."""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What R replications came to, by period.

    learners : by (start, learner), (R, 2, 4): means of ``MEASURES`` over a period's workflows: expected
    success, seconds and tokens of the chosen arms, and repeated failures as drawn. incumbent, oracle
    (R, 2, 4) : of the incumbent, and of the most successful arm in each context.
    """

    world: DrawnWorld
    truths: Truths
    learners: Mapping[tuple[str, str], Floats]
    incumbent: Floats
    oracle: Floats


def play_world(number: int, replications: int) -> Played:
    """Play a world of the prior; a pure function of its arguments."""
    world = draw_world(number)
    truths = truths_of(world)
    loops = {name: _loop(world, truths, name) for name in LEARNERS}
    shape = (replications, 2, len(MEASURES))
    found = {(start, name): np.zeros(shape) for start in STARTS for name in LEARNERS}
    incumbent, oracle = np.zeros(shape), np.zeros(shape)
    for replication in range(replications):
        run = _Rounds(world, truths, replication, 0, 2 * PERIOD)
        past = _Rounds(world, truths, replication, HISTORY_STARTS, HISTORY)
        arms = np.full(len(run.which), world.incumbent)
        incumbent[replication] = run.measured(arms, truths)
        oracle[replication] = run.measured(truths.most_successful[run.which], truths)
        for (start, name), table in found.items():
            chosen = _play(loops[name], run, past if start == "warm" else None, replication, name, truths)
            table[replication] = run.measured(chosen, truths)
    return Played(world, truths, found, incumbent, oracle)


def repeats(patterns: Integers) -> int:
    """How many failures had at least two of their own pattern before them; −1 stands for no failure.

    >>> repeats(np.array([3, -1, 3, 5, 3, -1, 3]))
    2
    """
    counts = np.bincount(patterns[patterns >= 0])
    return int(np.maximum(counts - _KNOWN_FROM, 0).sum())


class _Rounds:
    """n rounds of one replication: contexts (n,), and what every arm would report."""

    def __init__(self, world: DrawnWorld, truths: Truths, replication: int, start: int, count: int) -> None:
        seed, k = world.number, len(world.arms)
        u = np.empty(count)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "contexts"), start, u)
        bounds = np.cumsum(world.shares)[:-1]
        self.which = np.searchsorted(bounds, u, side="right").astype(np.int64)
        columns = executions(world.table[self.which], seed, replication, start, lost=0.0)
        begun, size = columns.pop("begun"), columns.pop("size")
        del columns["lost"]
        columns["tokens"] = world.tokens[self.which] * begun * size
        codes = np.empty(count * k)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "codes"), start * k, codes)
        second = codes.reshape(count, k) >= world.first_code[self.which]
        code = np.where(second, world.codes[self.which, :, 1], world.codes[self.which, :, 0])
        code = np.where(columns["timed_out"], TIMEOUT, code)
        self._patterns = np.where(columns["success"], -1, self.which[:, None] * (TIMEOUT + 1) + code)
        at = world.incumbent
        flat = {name: column.ravel() for name, column in columns.items()}
        self._scores = price_bulk(
            flat,
            LEARNERS["default"].reward,
            reference_time_s=np.repeat(truths.seconds[self.which, at], k),
            reference_tokens=np.repeat(truths.tokens[self.which, at], k),
        ).scores
        self._shape = (count, k)
        self._rewards: dict[str, Integers] = {}

    def rewards(self, learner: str) -> Integers:
        """What every arm pays a learner, (n, K), in units of 2⁻¹⁶."""
        spec = LEARNERS[learner].reward
        if spec.version not in self._rewards:
            values = composite_bulk(self._scores, spec)
            self._rewards[spec.version] = np.rint(values * ONE).astype(np.int64).reshape(self._shape)
        return self._rewards[spec.version]

    def measured(self, chosen: Integers, truths: Truths) -> Floats:
        """``MEASURES`` of the chosen arms (n,), by period: (2, 4)."""
        at = (self.which, chosen)
        failures = self._patterns[np.arange(len(chosen)), chosen]
        columns = [
            values[at].reshape(2, PERIOD).mean(axis=1)
            for values in (truths.success, truths.seconds, truths.tokens)
        ]
        again = [repeats(part) / PERIOD for part in failures.reshape(2, PERIOD)]
        return np.array([*columns, again]).T


def _loop(world: DrawnWorld, truths: Truths, learner: str) -> HierarchicalLoop:
    own = LEARNERS[learner].parameters_only
    name = world.arms[world.incumbent].strategy
    spec = BanditSpec(
        "targets",
        [strategy for strategy in world.strategies if not own or strategy.name == name],
        world.schema,
        policy=PolicySpec("hier_ts"),
        seed=world.number,
        baseline_arm=world.arms.ids[truths.incumbent],
    )
    return HierarchicalLoop(spec, world.contexts)


def _play(
    loop: HierarchicalLoop, run: _Rounds, past: _Rounds | None, replication: int, learner: str, truths: Truths
) -> Integers:
    """The arms of the run's rounds."""
    which, rewards = run.which, run.rewards(learner)
    arms = np.arange(rewards.shape[1])
    if LEARNERS[learner].parameters_only:
        arms = truths.own
    history = np.zeros(0, np.int64)
    if past is not None:
        u = np.empty(len(past.which))
        lockstep.counter.uniforms_into(*key_of(0, replication, "logging"), 0, u)
        incumbent = int(np.searchsorted(arms, truths.incumbent))
        history = history_arms(u, len(arms), incumbent, INCUMBENT_SHARE)
        which = np.concatenate([past.which, which])
        rewards = np.concatenate([past.rewards(learner), rewards])
    chosen, _ = loop.play(replication, which, np.ascontiguousarray(rewards[:, arms]), history)
    return arms[chosen[len(history) :]]
