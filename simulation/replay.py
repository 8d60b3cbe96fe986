"""Replay: policies learn and choose on a table of executions, and are paid what was recorded.

A replication draws its contexts (all of the table's, or a limited number that recur), then for each round one
of them: as often as the history has executions of it. The policy chooses among the arms that have
trials there, through the same ``Learner`` as everywhere, and learns the reward of one recorded trial of
the cell, before the next round begins. All policies of a replication meet the same contexts, the same keyed
uniforms, and in a round the same trial for the same arm.

The sampling unit of the standard errors is the replication: they say how well the table's answer is known,
not how far it holds for contexts or executions that the table does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, nan, sqrt

import numpy as np
import numpy.typing as npt

from ..bandit import BanditSpec, Learner, PolicySpec
from ..bandit.fixed_point import reward_to_fixed
from ..errors import InputInvalid
from ..features import Encoder, Value
from .streams import Stream, scaled
from .table import ExecutionTable

__all__ = [
    "BANDIT_NAME",
    "Estimate",
    "PolicyResult",
    "References",
    "Replay",
    "Replication",
    "replay",
]

BANDIT_NAME = "replay"
"""Name of every replayed bandit; a decision's id is ``<replication>/<round>``."""

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean over replications, and its standard error; NaN where it cannot be told."""

    mean: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """Mean reward of one policy, over all rounds and over the last half of them."""

    policy: PolicySpec
    overall: Estimate
    last_half: Estimate


@dataclass(frozen=True, slots=True)
class References:
    """What needs no learning, as exact values of each replication's contexts, averaged over the replications.

    uniform : every arm with the same probability.
    best_fixed_arm : the one arm that is best on average over the replication's contexts, known beforehand.
    per_context_best : the best cell mean in each context. The best of noisy means is inflated by luck.
    per_context_best_held_out : the arm is chosen by all trials but one drawn at random from each cell, and is
        paid the trial left out; free of that luck, and slightly pessimistic. NaN where a context has no cell
        of two trials.
    """

    uniform: Estimate
    best_fixed_arm: Estimate
    per_context_best: Estimate
    per_context_best_held_out: Estimate


@dataclass(frozen=True, slots=True)
class Replay:
    """What ``replay`` found. ``best_fixed_arm``: arm id that is best over the whole table."""

    policies: tuple[PolicyResult, ...]
    references: References
    best_fixed_arm: str
    rounds: int
    replications: int


@dataclass(frozen=True, slots=True)
class _Scene:
    """The contexts of a replication, encoded: what all its policies share."""

    contexts: tuple[int, ...]
    specs: tuple[BanditSpec, ...]
    encoded: tuple[tuple[dict[str, Value], list[int]], ...]
    eligible: tuple[tuple[int, ...] | None, ...]


class Replication:
    """The world of a replay; ``run`` plays one replication of it, a pure function of its number.

    Parameters
    ----------
    policies : P policies, compared on the same draws.
    rounds : T ≥ 1 decisions in each replication.
    seed : of all draws, 0 ≤ seed < 2⁶⁴.
    context_limit : number of recurring contexts that each replication draws from the table; None for all.

    Raises
    ------
    InputInvalid : a number out of its domain. TableInvalid, SpecInvalid, ArmUnknown : policies and table do
        not fit together.
    """

    def __init__(
        self,
        table: ExecutionTable,
        policies: Sequence[PolicySpec],
        *,
        rounds: int,
        seed: int = 0,
        context_limit: int | None = None,
    ) -> None:
        _whole("rounds", rounds, 1, 10**9)
        _whole("seed", seed, 0, (1 << 64) - 1)
        if context_limit is not None:
            _whole("context_limit", context_limit, 1, table.context_count)
        self.table, self.policies, self.rounds, self.seed = table, tuple(policies), rounds, seed
        self.context_limit = None if context_limit == table.context_count else context_limit
        self._units = [reward_to_fixed(reward) for reward in table.rewards.tolist()]
        self._scene = lru_cache(maxsize=1)(self._build_scene)
        # Every policy is built once before the first round: what does not fit is refused here.
        for spec in self._scene(self.contexts(0)).specs:
            Learner(spec)

    def contexts(self, number: int) -> tuple[int, ...]:
        """The contexts that may come in a replication, ascending."""
        count = self.table.context_count
        if self.context_limit is None:
            return tuple(range(count))
        return tuple(Stream(self.seed, number, "recurring").sample(count, self.context_limit))

    def spec(self, number: int, policy: int) -> BanditSpec:
        """The spec that one policy of a replication runs under."""
        return self._scene(self.contexts(number)).specs[policy]

    def run(self, number: int) -> tuple[_Integers, _Integers, _Floats]:
        """Play replication ``number``.

        Returns
        -------
        contexts (T,), chosen arms (P, T), rewards (P, T).
        """
        table, rounds = self.table, self.rounds
        scene = self._scene(self.contexts(number))
        weight = np.cumsum(table.counts.sum(axis=1)[list(scene.contexts)])
        drawn = Stream(self.seed, number, "contexts").below(int(weight[-1]), rounds)
        local = np.searchsorted(weight, drawn, side="right")
        contexts = np.array(scene.contexts, np.int64)[local]
        fractions = Stream(self.seed, number, "trials").fractions(rounds, len(table.arms))
        # rows[t, a]: the execution that pays if round t chooses arm a.
        starts = table.offsets[:-1].reshape(table.counts.shape)
        rows = starts[contexts] + scaled(fractions, table.counts[contexts])
        chosen = np.zeros((len(self.policies), rounds), np.int64)
        rewards = np.zeros((len(self.policies), rounds))
        places, row_lists = local.tolist(), rows.tolist()
        for p, spec in enumerate(scene.specs):
            learner = Learner(spec)
            for t, place in enumerate(places):
                context, phi = scene.encoded[place]
                decision = learner.choose(
                    context, phi, f"{number}/{t}", scene.eligible[place], time=None, mode="normal"
                )
                row = row_lists[t][decision.arm]
                learner.absorb(decision, self._units[row], t + 1)
                chosen[p, t] = decision.arm
                rewards[p, t] = table.rewards[row]
        return contexts, chosen, rewards

    def references(self, number: int) -> tuple[float, float, float, float]:
        """Uniform, best fixed arm, per-context best, and the same held out, of a replication's contexts."""
        table, contexts = self.table, list(self.contexts(number))
        counts, means = table.counts[contexts], table.means[contexts]
        weight = counts.sum(axis=1) / counts.sum()
        uniform = np.nanmean(means, axis=1)
        fixed = _fixed_values(means, weight)
        starts = table.offsets[:-1].reshape(table.counts.shape)[contexts]
        left_out = starts + scaled(Stream(self.seed, number, "held_out").fractions(*counts.shape), counts)
        # Cells with fewer than two trials may point past the end; they are masked below.
        held = table.rewards[np.minimum(left_out, len(table.rewards) - 1)]
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = np.where(counts > 1, (np.nan_to_num(means) * counts - held) / (counts - 1), -np.inf)
        best = rest >= rest.max(axis=1, keepdims=True) - 1e-9
        honest = (held * best).sum(axis=1) / best.sum(axis=1)
        honest[~(counts > 1).any(axis=1)] = nan
        return (
            float(weight @ uniform),
            float(fixed.max()),
            float(weight @ np.nanmax(means, axis=1)),
            float(weight @ honest),
        )

    def _build_scene(self, contexts: tuple[int, ...]) -> _Scene:
        table = self.table
        schema = table.schema(contexts)
        encoder = Encoder(schema)
        return _Scene(
            contexts,
            tuple(
                BanditSpec(BANDIT_NAME, table.strategies, schema, policy=policy, seed=self.seed)
                for policy in self.policies
            ),
            tuple(encoder.encode(table.context(c, schema)) for c in contexts),
            tuple(table.eligible(c) for c in contexts),
        )


def replay(
    table: ExecutionTable,
    policies: Sequence[PolicySpec],
    *,
    rounds: int,
    replications: int,
    seed: int = 0,
    context_limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Replay:
    """Replay every policy ``replications`` times and compare their mean rewards.

    ``progress`` is called with the number of replications done. See ``Replication`` for the rest.
    """
    _whole("replications", replications, 1, 10**9)
    world = Replication(table, policies, rounds=rounds, seed=seed, context_limit=context_limit)
    means = np.zeros((replications, len(policies), 2))
    references = np.zeros((replications, 4))
    for number in range(replications):
        rewards = world.run(number)[2]
        means[number, :, 0] = rewards.mean(axis=1)
        means[number, :, 1] = rewards[:, rounds // 2 :].mean(axis=1)
        references[number] = world.references(number)
        if progress is not None:
            progress(number + 1)
    weight = table.counts.sum(axis=1) / table.counts.sum()
    return Replay(
        tuple(
            PolicyResult(policy, _estimate(means[:, p, 0]), _estimate(means[:, p, 1]))
            for p, policy in enumerate(policies)
        ),
        References(*(_estimate(references[:, i]) for i in range(4))),
        table.arms.ids[int(np.argmax(_fixed_values(table.means, weight)))],
        rounds,
        replications,
    )


def _fixed_values(means: _Floats, weight: _Floats) -> _Floats:
    """Mean reward of always choosing each arm (K,); uniform over the eligible where it has no trials."""
    uniform = np.nanmean(means, axis=1, keepdims=True)
    values: _Floats = weight @ np.where(np.isnan(means), uniform, means)
    return values


def _estimate(values: _Floats) -> Estimate:
    n = len(values)
    mean = fsum(values.tolist()) / n
    if n == 1:
        return Estimate(mean, nan)
    return Estimate(mean, sqrt(fsum(((values - mean) ** 2).tolist()) / (n - 1) / n))


def _whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InputInvalid(
            f"{name} of a replay is out of its domain",
            expected=f"a whole number from {low} to {high}",
            found=repr(value)[:60],
            fix=f"choose another {name}",
        )
