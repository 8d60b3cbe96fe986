"""Checks that known mean regrets are reproduced: published ones, and those of an independent implementation.

The reference of each is a mean over R_ref replications of a separate, plain implementation with a standard
error; where one was published too, the finding's note tells it. Where only R_ref is known, the standard
deviation measured here stands in for the reference's.

Sources. A: Besson (2019), PhD thesis, Multi-players bandit algorithms for Internet of Things networks.
B: Besson & Kaufmann (2019), arXiv 1902.01575. The others have no publication.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

from ..contender import Contender
from ..worlds import PROBLEM_1, PROBLEM_2, Bernoulli
from ..worlds.base import World
from .check import Check, Effort, Finding
from .judging import ANCHOR_ALARM, ANCHOR_ERRORS, combined_error
from .regret import label, mean_and_error, regrets, without_floor
from .worlds import describe

__all__ = ["Anchor", "anchors"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Mean regret at the horizon against a known one.

    error : its standard error, 0 if it is exact; None where only ``replications``, R_ref, is known.
    published : the same figure elsewhere, printed beside it.
    """

    contender: Contender
    world: World
    horizon: int
    value: float
    error: float | None
    effort: Effort
    source: str
    replications: int = 0
    published: float | None = None
    kind: ClassVar[str] = "anchor"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {label(self.contender)} {describe(self.world)} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return f"regret T={self.horizon}"

    def run(self, *, full: bool) -> Finding:
        """Simulate, and compare."""
        size = self.effort.of(full=full)
        mean, error = mean_and_error(regrets(self.contender, self.world, [self.horizon], size)[:, 0])
        theirs = self.error
        if theirs is None:
            theirs = error * sqrt(size / self.replications)
        combined = combined_error(error, theirs)
        distance = abs(mean - self.value)
        note = f"{distance / combined if combined else 0.0:.1f} combined s.e. apart"
        if self.published is not None:
            note += f"; published {self.published:g}"
        return Finding(
            self.kind,
            label(self.contender),
            describe(self.world),
            self._quantity,
            "pass" if distance <= ANCHOR_ERRORS * combined else "fail",
            mean,
            error,
            self.value,
            "exact" if theirs == 0.0 else f"± {theirs:.2g}",
            "|mean − anchor| <= 3.5 combined s.e.",
            ANCHOR_ALARM,
            self.source,
            size,
            note,
        )


_THESIS = "Besson 2019, thesis; independent implementation, R=2000"
_PIECEWISE = "Besson & Kaufmann 2019, arXiv 1902.01575; independent implementation"
_OWN = "independent implementation"

_A = Bernoulli([0.6, 0.2, 0.55, 0.7, 0.5])
_CLOSE = Bernoulli([0.9, 0.8])
_RARE = Bernoulli([0.1, *[0.05] * 3, *[0.02] * 3, *[0.01] * 3])
_NINE = Bernoulli([i / 10 for i in range(1, 10)])

_KL = without_floor("kl_ucb", level="ln t")
_TS, _TS_SAMPLED = without_floor("thompson_beta"), without_floor("thompson_beta", sampled=True)
_UCB1, _TIGHT = without_floor("ucb1"), without_floor("ucb1", alpha=1.0)
_UCB_V = without_floor("ucb_v")

_MANY, _SOME, _FEW = Effort(1000, 4000), Effort(300, 1000), Effort(60, 200)
_FULL_ONLY = Effort(0, 20)


def anchors() -> list[Check]:
    """All checks against known regrets."""
    return [*_thesis(), *_piecewise(), *_others()]


def _thesis() -> list[Anchor]:
    rows: list[tuple[Contender, int, float, float, float, Effort]] = [
        (_TIGHT, 100, 9.98, 0.06, 9.85, Effort(2000, 10_000)),
        (_TIGHT, 10_000, 79.56, 0.46, 79.4, _SOME),
        (_KL, 100, 9.58, 0.07, 9.35, Effort(2000, 10_000)),
        (_KL, 10_000, 72.31, 0.43, 72.3, _SOME),
        (_TS, 100, 9.70, 0.07, 9.60, Effort(400, 3000)),
        (_TS, 10_000, 48.89, 0.71, 49.4, Effort(20, 100)),
        (_TS_SAMPLED, 10_000, 48.89, 0.71, 49.4, _SOME),
        (without_floor("uniform"), 100, 19.0, 0.0, 19.04, Effort(2000, 10_000)),
        (without_floor("uniform"), 10_000, 1900.0, 0.0, 1900.5, Effort(200, 1000)),
    ]
    return [
        Anchor(contender, _A, horizon, value, error, effort, _THESIS, published=published)
        for contender, horizon, value, error, published, effort in rows
    ]


def _piecewise() -> list[Anchor]:
    window = without_floor("kl_ucb", level="ln t", window=206)
    return [
        Anchor(_KL, PROBLEM_1, 5000, 273.2, 3.7, _SOME, _PIECEWISE, published=270),
        Anchor(_TS_SAMPLED, PROBLEM_1, 5000, 486.7, 7.2, _SOME, _PIECEWISE, published=493),
        Anchor(_TS, PROBLEM_1, 5000, 486.7, 7.2, Effort(0, 100), _PIECEWISE, published=493),
        Anchor(_KL, PROBLEM_2, 5000, 162.7, 2.6, _SOME, _PIECEWISE, published=162),
        Anchor(_TS_SAMPLED, PROBLEM_2, 5000, 380.9, 7.1, _SOME, _PIECEWISE, published=388),
        Anchor(_TS, PROBLEM_2, 5000, 380.9, 7.1, Effort(0, 100), _PIECEWISE, published=388),
        # The s.e. of the other kl-UCB row in the same world, for want of this row's own.
        Anchor(window, PROBLEM_2, 5000, 181.0, 2.6, Effort(4, 30), _PIECEWISE, published=182),
    ]


def _others() -> list[Anchor]:
    rows: list[tuple[Contender, Bernoulli, int, float, float | None, Effort]] = [
        (_UCB1, _CLOSE, 5000, 64.30, 0.12, _MANY),
        (_UCB1, _CLOSE, 20_000, 112.29, 0.20, _MANY),
        (_TIGHT, _CLOSE, 5000, 24.84, None, _MANY),
        (_TIGHT, _CLOSE, 20_000, 36.30, None, _MANY),
        (_UCB_V, _CLOSE, 5000, 50.90, None, _MANY),
        (_UCB_V, _CLOSE, 20_000, 69.08, None, _MANY),
        (_KL, _CLOSE, 5000, 12.78, 0.07, _MANY),
        (_KL, _CLOSE, 20_000, 17.52, 0.09, _SOME),
        (_TS_SAMPLED, _CLOSE, 5000, 8.99, 0.16, _MANY),
        (_TS, _CLOSE, 5000, 8.99, 0.16, _FEW),
        (_UCB1, _RARE, 20_000, 842.3, 1.0, _SOME),
        (_KL, _RARE, 20_000, 130.9, 0.6, _FEW),
        (_TS_SAMPLED, _RARE, 20_000, 90.9, 0.5, _SOME),
        (without_floor("moss", horizon=20_000), _RARE, 20_000, 242.2, 0.8, _SOME),
        (_KL, _NINE, 10_000, 59.33, 0.37, _SOME),
        (_TS_SAMPLED, _NINE, 10_000, 41.12, 0.36, _SOME),
        (_TS, _NINE, 10_000, 41.12, 0.36, _FULL_ONLY),
        (without_floor("kl_maillard"), _NINE, 10_000, 59.57, 0.54, Effort(200, 1000)),
    ]
    found = [
        Anchor(contender, world, horizon, value, error, effort, _OWN, replications=10_000)
        for contender, world, horizon, value, error, effort in rows
    ]
    # The ridge is so small that predictions are sample means, as in the reference.
    gap_weights = without_floor(
        "square_cb", label="square_cb, sample means", model="ridge", ridge=1e-6, gamma=2.0
    )
    return [*found, Anchor(gap_weights, _NINE, 10_000, 243.4, 1.0, Effort(0, 10), _OWN)]
