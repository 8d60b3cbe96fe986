"""Checks of bounds that hold with a stated probability: the number of violations is binomial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from ...features import ONE
from ..contender import Contender
from ..play import play, play_with_learner
from ..worlds import Bernoulli, Linear
from ..worlds.base import World
from . import bounds
from .check import Check, Effort, Finding, Status
from .judging import binomial_limit
from .regret import SEED, label, mean_and_error, without_floor
from .worlds import WithBaseline, describe

__all__ = ["TailBound", "pseudo_regret", "realised_regret", "safety_loss", "tail_bounds"]

Measure = Callable[[World, Contender, int, int], float]
"""(world, contender, horizon, replication) → the number that is bounded; a function of a module."""


def realised_regret(world: World, contender: Contender, horizon: int, replication: int) -> float:
    """What the best fixed arm would have been paid, less what was paid."""
    played = play(world, contender, horizon, seed=SEED, replication=replication)
    paid = world.rounds(SEED, replication, 0, horizon).rewards.sum(axis=0)
    return float(paid.max() / ONE - played.rewards.sum())


def pseudo_regret(world: World, contender: Contender, horizon: int, replication: int) -> float:
    """Σ best − expected reward."""
    return float(play(world, contender, horizon, seed=SEED, replication=replication).regret[-1])


def safety_loss(world: World, contender: Contender, horizon: int, replication: int) -> float:
    """The largest share of the baseline's expected reward that was lost up to any round."""
    played = play_with_learner(world, contender, horizon, seed=SEED, replication=replication)
    names = [strategy.name for strategy in world.strategies]
    baseline = names.index(str(world.baseline_arm))
    whole = np.cumsum(world.rounds(SEED, replication, 0, horizon).expected[:, baseline])
    return float((1.0 - np.cumsum(played.expected) / whole).max())


@dataclass(frozen=True, slots=True)
class TailBound:
    """Each replication exceeds ``bound`` with probability ``risk`` at most; ``largest``: what is possible."""

    contender: Contender
    world: World
    horizon: int
    measure: Measure
    quantity: str
    bound: float
    largest: float
    risk: float
    effort: Effort
    source: str
    kind: ClassVar[str] = "tail bound"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {label(self.contender)} {describe(self.world)} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return f"{self.quantity} T={self.horizon}"

    def run(self, *, full: bool) -> Finding:
        """Count the replications above the bound, unless the bound is vacuous."""
        size = self.effort.of(full=full)
        if not self.bound < self.largest:
            note = f"vacuous: the largest value possible is {self.largest:g}"
            return self._finding("skipped", None, None, 0.0, 0, note)
        found = [self.measure(self.world, self.contender, self.horizon, r) for r in range(size)]
        above = sum(value > self.bound for value in found)
        limit, alarm = binomial_limit(size, self.risk)
        mean, error = mean_and_error(np.array(found))
        note = f"{above} of {size} above, {limit} or more would fail"
        return self._finding("pass" if above < limit else "fail", mean, error, alarm, size, note)

    def _finding(
        self, status: Status, mean: float | None, error: float | None, alarm: float, size: int, note: str
    ) -> Finding:
        return Finding(
            self.kind,
            label(self.contender),
            describe(self.world),
            self._quantity,
            status,
            mean,
            error,
            self.bound,
            f"exceeded with probability <= {self.risk:g}",
            "violations < binomial limit at .001",
            alarm,
            self.source,
            size,
            note,
        )


_ADVERSARY = Bernoulli([0.9, 0.1])
_SLOPES = Linear([[0.5, 0.5], [0.5, -0.5]])  # the sign of the context decides which arm is right
_INCUMBENT = WithBaseline([0.7, 0.5, 0.3, 0.2], baseline=1)


def tail_bounds() -> list[Check]:
    """All checks of bounds that hold with a stated probability."""
    neu = "Neu 2015, anytime form; derived"
    found: list[Check] = [
        TailBound(
            without_floor("exp3_ix"),
            _ADVERSARY,
            horizon,
            realised_regret,
            "realised regret",
            bounds.exp3_ix(2, horizon, 0.1),
            0.8 * horizon,
            0.1,
            effort,
            neu,
        )
        for horizon, effort in ((1000, Effort(30, 100)), (5000, Effort(0, 20)))
    ]
    horizon = 100_000
    linucb = without_floor("linucb", label="linucb, OFUL radius", delta=0.05, noise=0.5, norm=0.75)
    bound = bounds.oful(
        2, 2, horizon, length=sqrt(2.0), ridge=1.0, noise=0.5, norm=0.75, risk=0.1
    )  # δ = .05 for each of two arms
    found.append(
        TailBound(
            linucb,
            _SLOPES,
            horizon,
            pseudo_regret,
            "regret",
            bound,
            0.5 * horizon,
            0.1,
            Effort(12, 40),
            "Abbasi-Yadkori, Pál & Szepesvári 2011, for separate arms; derived",
        )
    )
    for policy in ("ucb1", "thompson_beta"):
        guarded = without_floor(
            policy, label=f"{policy}, conservative", conservative=0.1, conservative_delta=0.05
        )
        found.append(
            TailBound(
                guarded,
                _INCUMBENT,
                1500,
                safety_loss,
                "baseline lost",
                0.1,
                0.6,  # the worst arm's
                0.05,
                Effort(20 if policy == "ucb1" else 0, 60),
                "Wu, Shariff, Lattimore & Szepesvári 2016; derived in bandit.conservative",
            )
        )
    return found
