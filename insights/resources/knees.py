"""The knee of a curve: the smallest value within a margin of the best, with an interval by redrawing.

References
----------
Barlow et al. (1972), Statistical inference under order restrictions, for isotonic regression.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["DRAWS", "Floats", "Terms", "ends", "isotonic", "knee_of"]

Floats = npt.NDArray[np.float64]

DRAWS = 200
"""Of a bootstrap."""


class Terms(NamedTuple):
    """By which curves are judged, as ``analyze_resource_patterns`` was asked; ``rng`` redraws them."""

    margin: float
    min_count: int
    coverage: float
    rng: np.random.Generator


def knee_of(
    at: Floats, mean: Floats, error: Floats, terms: Terms, *, rising: bool
) -> tuple[float, float, float]:
    """Smallest value within the margin of the best, and where it lies when the means are redrawn."""

    def first(curves: Floats) -> Floats:
        fitted = isotonic(curves, error) if rising else curves
        found: Floats = at[np.argmax(fitted >= fitted.max(axis=-1, keepdims=True) - terms.margin, axis=-1)]
        return found

    low, high = ends(first(mean + error * terms.rng.standard_normal((DRAWS, len(mean)))), terms.coverage)
    return float(first(mean)), low, high


def ends(values: Floats, coverage: float) -> tuple[float, float]:
    """Ends of the interval that holds this share of redrawn values."""
    tail = 0.5 * (1.0 - coverage)
    return (
        float(np.quantile(values, tail, method="lower")),
        float(np.quantile(values, 1.0 - tail, method="higher")),
    )


def isotonic(mean: Floats, error: Floats) -> Floats:
    """The closest curves (…, V) that never fall, weighted by precision.

        fᵢ = max_{j ≤ i} min_{k ≥ i} of the means over j … k

    which is what pooling adjacent violators gives, for many curves at once.
    """
    precision = 1.0 / (error * error)
    size = len(precision)
    none = np.zeros((*mean.shape[:-1], 1))
    total = np.concatenate([none, np.cumsum(mean * precision, axis=-1)], axis=-1)
    weight = np.concatenate([[0.0], np.cumsum(precision)])
    fitted = np.full(mean.shape, -np.inf)
    for j in range(size):
        behind = (total[..., j + 1 :] - total[..., j : j + 1]) / (weight[j + 1 :] - weight[j])
        least = np.minimum.accumulate(behind[..., ::-1], axis=-1)[..., ::-1]
        fitted[..., j:] = np.maximum(fitted[..., j:], least)
    return fitted
