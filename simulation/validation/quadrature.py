"""Checks of the best-arm integrals against adaptive integration by scipy, and closed forms for two arms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import erfc, exp, lgamma, log, sqrt
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import integrate, special, stats

from ...bandit import kernels
from ..streams import Stream
from .check import Check, Effort, Finding
from .regret import SEED

__all__ = ["ClosedForm", "Quadrature", "quadrature"]

Floats = npt.NDArray[np.float64]
_Pair = tuple[Floats, Floats]

_FAMILIES = ("Beta", "Gaussian")


def best_arm(family: str, first: Floats, second: Floats) -> Floats:
    """The engine's probabilities: of Beta(first, second), or of N(first, second²)."""
    out = np.zeros(len(first))
    run = kernels.best_arm.best_arm_beta if family == "Beta" else kernels.best_arm.best_arm_gaussian
    run(first, second, np.ones(len(first), np.bool_), out)
    return out


def integrated(family: str, first: Floats, second: Floats) -> Floats:
    """∫ f_i Π_{j≠i} F_j for all arms at once, by adaptive Gauss–Kronrod between the arms' quantiles."""
    law = stats.beta(first, second) if family == "Beta" else stats.norm(first, second)
    if family == "Beta":

        def cdf(y: float) -> Floats:
            return np.asarray(special.betainc(first, second, y))
    else:

        def cdf(y: float) -> Floats:
            return np.asarray(special.ndtr((y - first) / second))

    def integrand(y: float) -> Floats:
        below = cdf(y)
        left = np.concatenate([[1.0], np.cumprod(below)[:-1]])
        right = np.concatenate([np.cumprod(below[::-1])[::-1][1:], [1.0]])
        return np.asarray(law.pdf(y) * left * right)

    low, high = float(law.ppf(1e-15).max()), float(law.isf(1e-15).max())
    inner = np.unique(np.concatenate([law.ppf(q) for q in (1e-9, 0.02, 0.5, 0.98, 1.0 - 1e-9)]))
    points = [low, *(float(y) for y in inner if low < y < high), high]
    total = np.zeros(len(first))
    for a, b in pairwise(points):
        total += integrate.quad_vec(integrand, a, b, epsabs=1e-13, epsrel=1e-10, norm="max")[0]
    return total


@dataclass(frozen=True, slots=True)
class Quadrature:
    """Probabilities of being the best of ``arms``, whose evidence ranges from 1 to 10⁶, against scipy's."""

    family: str
    arms: int
    tolerance: float
    effort: Effort
    solve: Callable[[str, Floats, Floats], Floats] = best_arm
    kind: ClassVar[str] = "quadrature"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.family} K={self.arms}"

    def run(self, *, full: bool) -> Finding:
        """Compare in each state."""
        size = self.effort.of(full=full)
        worst = 0.0
        for first, second in _states(self.family, self.arms, size):
            difference = self.solve(self.family, first, second) - integrated(self.family, first, second)
            worst = max(worst, float(abs(difference).max()))
        return _finding(
            self.kind, self.family, self.arms, worst, self.tolerance, size, "scipy.integrate.quad_vec"
        )


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """Two arms: Φ((m₁ − m₂)/√(s₁² + s₂²)), and a finite sum for Beta posteriors with whole parameters."""

    family: str
    effort: Effort
    solve: Callable[[str, Floats, Floats], Floats] = best_arm
    kind: ClassVar[str] = "closed form"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.family} K=2"

    def run(self, *, full: bool) -> Finding:
        """Compare in each state."""
        size = self.effort.of(full=full)
        exact = _beta_exceeds if self.family == "Beta" else _normal_exceeds
        largest = 3000 if self.family == "Beta" else 10**6
        worst = 0.0
        for first, second in _states(self.family, 2, size, largest):
            p = exact(first, second)
            worst = max(worst, abs(float(self.solve(self.family, first, second)[0]) - p))
        source = "finite sum" if self.family == "Beta" else "normal distribution of the difference"
        return _finding(self.kind, self.family, 2, worst, 1e-9, size, source)


def _finding(
    kind: str, family: str, arms: int, worst: float, tolerance: float, size: int, source: str
) -> Finding:
    return Finding(
        kind,
        f"best arm, {family}",
        f"K={arms}",
        "largest pmf error",
        "pass" if worst <= tolerance else "fail",
        worst,
        None,
        tolerance,
        "tolerance",
        f"error <= {tolerance:g}",
        0.0,
        source,
        size,
        f"{size} states",
    )


def _states(family: str, arms: int, size: int, largest: int = 10**6) -> Iterator[_Pair]:
    """Posteriors after n rewards each, n log-uniform from 1; in half of the states means are similar."""
    stream = Stream(SEED, arms, f"quadrature {family}")
    scale = 2.0**-32
    for state in range(size):
        u, v = stream.fractions(arms) * scale, stream.fractions(arms) * scale
        n = np.floor(np.exp(u * log(largest)))
        p = 0.1 + 0.8 * v
        if state % 2:  # means that are told apart only just
            p = 0.5 + (v - 0.5) / np.sqrt(n)
            p = np.clip(p, 0.02, 0.98)
        good = np.floor(n * p)
        if family == "Beta":
            yield good + 1.0, n - good + 1.0
        else:
            yield good / n, 0.5 / np.sqrt(n)


def _normal_exceeds(mean: Floats, sd: Floats) -> float:
    return 0.5 * erfc(-float(mean[0] - mean[1]) / sqrt(2.0 * float(sd @ sd)))


def _beta_exceeds(a: Floats, b: Floats) -> float:
    """P(X₁ > X₂) = Σ_{i<a₁} B(a₂+i, b₁+b₂) / ((b₁+i) B(1+i, b₁) B(a₂, b₂)) for a whole a₁."""
    a1, a2 = float(a[0]), float(a[1])
    b1, b2 = float(b[0]), float(b[1])

    def log_beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    return sum(
        exp(log_beta(a2 + i, b1 + b2) - log(b1 + i) - log_beta(1.0 + i, b1) - log_beta(a2, b2))
        for i in range(int(a1))
    )


def quadrature() -> list[Check]:
    """The integrals of both families."""
    found: list[Check] = [ClosedForm(family, Effort(40, 200)) for family in _FAMILIES]
    for family in _FAMILIES:
        found += [
            Quadrature(family, arms, tolerance, effort)
            for arms, tolerance, effort in (
                (2, 1e-9, Effort(10, 60)),
                (10, 1e-9, Effort(6, 40)),
                (36, 1e-9, Effort(2, 20)),
                (100, 1e-6, Effort(1, 8)),
            )
        ]
    return found
