"""Quality: did the output pass its checks, keep its format, reach its goal?

    validation = Σ wᵢ gᵢ / Σ wᵢ over the checks, or 0 where a required check failed
    quality    = weighted mean of the present ones of
                 validation (.5), format compliance (.2), goal achievement (.3)

gᵢ is the check's own score where it has one, else 1 or 0. Properties: in [0, 1]; rises (weakly) with every
part and with every check that passes; order and units of the check weights do not matter beyond rounding;
parts that were not reported renormalise the rest; all missing gives None. The one declared cliff is a failed
required check. A quality that was reported directly replaces the formula.

The part weights are conventions of this project (checks are the hardest evidence), fixed by
``FORMULAS`` in ``spec.py``; they are not estimates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .mean import arithmetic, arithmetic_bulk
from .numbers import Array, numbers, unit
from .outcome import ValidationResult

__all__ = ["QUALITY_WEIGHTS", "quality_bulk", "quality_score", "validation_score"]

QUALITY_WEIGHTS = (0.5, 0.2, 0.3)
"""Validation, format compliance, goal achievement."""


def validation_score(results: Sequence[ValidationResult]) -> float | None:
    """Weighted mean of the checks' grades; 0 where a required one failed; None without checks."""
    grades, weights = [], []
    for result in results:
        passed, score = result.passed, result.score
        if not passed and result.required:
            return 0.0
        grades.append(float(passed) if score is None else score)
        weights.append(result.weight)
    return arithmetic(grades, weights)


def quality_score(
    validation_results: Sequence[ValidationResult] = (),
    format_compliance: float | None = None,
    goal_achievement: float | None = None,
) -> float | None:
    """Score one output; None where nothing was reported.

    >>> quality_score([ValidationResult(name="tests", passed=True)], goal_achievement=0.2)
    0.7000000000000001

    Raises
    ------
    OutcomeInvalid : a part out of [0, 1].
    """
    return quality_unchecked(
        validation_score(validation_results),
        None if format_compliance is None else unit("format_compliance", format_compliance),
        None if goal_achievement is None else unit("goal_achievement", goal_achievement),
    )


def quality_unchecked(
    validation: float | None, format_compliance: float | None, goal_achievement: float | None
) -> float | None:
    """Return the score of parts that were checked before."""
    if validation is None and format_compliance is None and goal_achievement is None:
        return None
    return arithmetic((validation, format_compliance, goal_achievement), QUALITY_WEIGHTS)


def quality_bulk(validation: Array, format_compliance: Array, goal_achievement: Array) -> Array:
    """Score many outputs: three (n,) arrays in [0, 1], NaN for missing; NaN where all three are."""
    for name, values in (
        ("validation", validation),
        ("format_compliance", format_compliance),
        ("goal_achievement", goal_achievement),
    ):
        numbers(name, np.asarray(values), 0.0, 1.0)
    return arithmetic_bulk((validation, format_compliance, goal_achievement), QUALITY_WEIGHTS)
