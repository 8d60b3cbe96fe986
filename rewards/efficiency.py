"""Efficiency: tokens and money against their references (an optional fifth score).

    e(x) = 1 / (1 + x / reference);     efficiency = mean of e(tokens) and e(cost), present ones

Properties: ½ at the references, 1 when nothing was used, strictly falling in both, above 0; ratios only,
so currencies and token units do not matter. A resource without a report or without a reference is left out;
without any it is None. A failure is not made efficient by having stopped early: gate the composite on
success where that matters (``Gate``).
"""

from __future__ import annotations

import numpy as np

from .mean import arithmetic, arithmetic_bulk
from .numbers import Array, number, numbers
from .speed import REFERENCE_MAX, REFERENCE_MIN

__all__ = ["efficiency_bulk", "efficiency_score"]

_EQUAL = (1.0, 1.0)


def efficiency_unchecked(
    tokens: float | None,
    reference_tokens: float | None,
    cost: float | None,
    reference_cost: float | None,
) -> float | None:
    """Return the score of numbers that were checked before."""
    by_tokens = by_cost = None
    if tokens is not None and reference_tokens is not None:
        by_tokens = 1.0 / (1.0 + tokens / reference_tokens)
    if cost is not None and reference_cost is not None:
        by_cost = 1.0 / (1.0 + cost / reference_cost)
    return arithmetic((by_tokens, by_cost), _EQUAL)


def efficiency_score(
    tokens: float | None = None,
    reference_tokens: float | None = None,
    cost: float | None = None,
    reference_cost: float | None = None,
) -> float | None:
    """Score one execution's use of resources; None where no resource has both a report and a reference.

    >>> efficiency_score(tokens=1000, reference_tokens=1000), efficiency_score(cost=3.0, reference_cost=1.0)
    (0.5, 0.25)

    Raises
    ------
    OutcomeInvalid : a negative or non-finite use; a reference out of [1e-12, 1e15].
    """

    def reference(name: str, value: float | None) -> float | None:
        return None if value is None else number(name, value, REFERENCE_MIN, REFERENCE_MAX)

    return efficiency_unchecked(
        None if tokens is None else number("tokens", tokens),
        reference("reference_tokens", reference_tokens),
        None if cost is None else number("cost", cost),
        reference("reference_cost", reference_cost),
    )


def efficiency_bulk(
    tokens: Array, reference_tokens: Array | float, cost: Array, reference_cost: Array | float
) -> Array:
    """Score many executions: (n,) arrays, references (n,) or numbers; NaN for missing everywhere."""
    numbers("tokens", np.asarray(tokens))
    numbers("cost", np.asarray(cost))
    by: list[Array] = []
    for name, used, reference in (
        ("reference_tokens", tokens, reference_tokens),
        ("reference_cost", cost, reference_cost),
    ):
        divisor = np.asarray(reference, dtype=np.float64)
        numbers(name, divisor, REFERENCE_MIN, REFERENCE_MAX)
        with np.errstate(over="ignore"):
            by.append(np.asarray(1.0 / (1.0 + used / divisor)))
    return arithmetic_bulk(by, _EQUAL)
