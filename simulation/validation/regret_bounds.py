"""Checks that a mean regret stays below its bound, and which bounds say nothing at practical horizons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..contender import Contender
from ..worlds import Bernoulli, RandomBernoulli
from ..worlds.base import World
from . import bounds
from .check import Check, Effort, Finding, Status
from .judging import Z999, normal_tail
from .regret import label, mean_and_error, regrets, without_floor
from .worlds import Delayed, describe

__all__ = ["RegretBound", "regret_bounds"]

_RULE = "mean + 3.09 s.e. < bound"


@dataclass(frozen=True, slots=True)
class RegretBound:
    """Mean regret at the horizon against an upper bound.

    ``largest``: T·Δ_max, the regret of the worst policy there is. A bound that is not below it is vacuous:
    nothing is simulated, and the check is skipped.
    """

    contender: Contender
    world: World
    horizon: int
    bound: float
    largest: float
    effort: Effort
    source: str
    kind: ClassVar[str] = "bound"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {label(self.contender)} {describe(self.world)} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return f"regret T={self.horizon}"

    def run(self, *, full: bool) -> Finding:
        """Simulate, unless the bound is vacuous."""
        size = self.effort.of(full=full)
        if not self.bound < self.largest:
            note = f"vacuous: the worst regret possible is {self.largest:g}"
            return self._finding("skipped", None, None, 0.0, 0, note)
        found = regrets(self.contender, self.world, [self.horizon], size)[:, 0]
        mean, error = mean_and_error(found)
        alarm = normal_tail((self.bound - mean) / error - Z999) if error > 0.0 else 0.0
        passed = mean + Z999 * error < self.bound
        return self._finding("pass" if passed else "fail", mean, error, alarm if passed else 0.0, size, "")

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
            "upper bound",
            _RULE,
            alarm,
            self.source,
            size,
            note,
        )


_AUER = "Auer, Cesa-Bianchi & Fischer 2002, Theorem 1; derived"
_EASY = Bernoulli([0.7, 0.3])
_FIVE = Bernoulli([0.9, 0.5, 0.5, 0.5, 0.3])
_CLOSE = Bernoulli([0.9, 0.8])
_HORIZON = 10_000


def _on(
    world: Bernoulli, contender: Contender, bound: float, source: str, horizon: int = _HORIZON
) -> RegretBound:
    largest = horizon * max(bounds.gaps_of(world.means))
    return RegretBound(contender, world, horizon, bound, largest, Effort(200, 1000), source)


def regret_bounds() -> list[Check]:
    """All checks of mean regret against a bound, the vacuous ones among them."""
    found: list[Check] = []
    t = _HORIZON
    ucb, moss = without_floor("ucb1"), without_floor("moss", horizon=t)
    for world in (_EASY, _FIVE):
        means = world.means
        found += [
            _on(world, ucb, bounds.ucb1(means, t), _AUER),
            _on(
                world,
                without_floor("ucb1", alpha=3.0),
                bounds.alpha_ucb(means, t, 3.0),
                "Bubeck & Cesa-Bianchi 2012, Theorem 2.1; derived",
            ),
            _on(
                world,
                without_floor("kl_ucb"),
                bounds.kl_ucb(means, t),
                "Lattimore & Szepesvári 2020, Theorem 10.6; proof read",
            ),
        ]
        late = Delayed(means, 50)
        found.append(
            _on(late, ucb, bounds.delayed_ucb1(means, t, 50), "Joulani, György & Szepesvári 2013; derived")
        )
    exact, quick = without_floor("thompson_beta"), without_floor("thompson_beta", sampled=True)
    for arms, contender, horizon, effort in (
        (2, exact, 1000, Effort(100, 400)),
        (5, exact, 1000, Effort(0, 200)),
        (2, quick, t, Effort(200, 1000)),
        (10, quick, t, Effort(100, 500)),
    ):
        # The worst policy loses E[max μ − min μ] = (K − 1)/(K + 1) in each round.
        largest = horizon * (arms - 1) / (arms + 1)
        found.append(
            RegretBound(
                contender,
                RandomBernoulli(arms),
                horizon,
                bounds.thompson_bayes(arms, horizon),
                largest,
                effort,
                "Russo & Van Roy 2016; Lattimore & Szepesvári 2020, Theorem 36.7; proof read",
            )
        )
    return [
        *found,
        _on(_EASY, moss, bounds.moss(2, t), "Audibert & Bubeck 2009, Theorem 5 (*)"),
        _on(_FIVE, moss, bounds.moss(5, t), "Audibert & Bubeck 2009, Theorem 5 (*)"),
        _on(
            _CLOSE,
            exact,
            bounds.thompson_two_arms(_CLOSE.means, 5000),
            "Agrawal & Goyal 2012, Theorem 1 (*)",
            5000,
        ),
        _on(_CLOSE, ucb, bounds.ucb1(_CLOSE.means, 5000), _AUER, 5000),
    ]
