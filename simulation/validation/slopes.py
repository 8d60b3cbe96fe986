"""Checks that asymptotically optimal policies grow by about C ln T, C of Lai and Robbins.

Regret ≥ C ln T at a finite T is no theorem, and is not asked for. What is asked for is a slope between T/4
and T of the right size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

from ..contender import Contender
from ..worlds import Bernoulli
from . import bounds
from .check import Check, Effort, Finding
from .judging import Z999, normal_tail
from .regret import label, mean_and_error, regrets, without_floor
from .worlds import describe

__all__ = ["Slope", "slopes"]

_LOW, _HIGH = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Slope:
    """(R(T) − R(T/4))/ln 4 must lie in [.5, 2]·C, by 3.09 standard errors."""

    contender: Contender
    world: Bernoulli
    horizon: int
    effort: Effort
    kind: ClassVar[str] = "slope"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {label(self.contender)} {describe(self.world)} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return f"(R(T)-R(T/4))/ln 4, T={self.horizon}"

    def run(self, *, full: bool) -> Finding:
        """Simulate, and take the slope of each replication."""
        size = self.effort.of(full=full)
        curves = regrets(self.contender, self.world, [self.horizon // 4, self.horizon], size)
        mean, error = mean_and_error((curves[:, 1] - curves[:, 0]) / log(4.0))
        c = bounds.lai_robbins(self.world.means)
        room = min(mean - _LOW * c, _HIGH * c - mean)
        passed = room > Z999 * error
        alarm = normal_tail(room / error - Z999) if passed and error > 0.0 else 0.0
        return Finding(
            self.kind,
            label(self.contender),
            describe(self.world),
            self._quantity,
            "pass" if passed else "fail",
            mean,
            error,
            c,
            "Lai-Robbins constant",
            ".5 C < slope -/+ 3.09 s.e. < 2 C",
            alarm,
            "Lai & Robbins 1985",
            size,
        )


def slopes() -> list[Check]:
    """The slopes of the policies that are asymptotically optimal for successes and failures."""
    far = Bernoulli([0.7, 0.3])
    return [
        Slope(without_floor("kl_ucb"), far, 20_000, Effort(0, 2000)),
        Slope(without_floor("kl_ucb", level="ln t"), far, 20_000, Effort(200, 1000)),
        Slope(without_floor("thompson_beta"), far, 20_000, Effort(0, 300)),
        Slope(without_floor("thompson_beta", sampled=True), far, 20_000, Effort(500, 3000)),
        Slope(without_floor("kl_maillard"), far, 20_000, Effort(300, 1000)),
    ]
