"""Usefulness: did the result matter to those who asked for it?

    m          = weighted mean of the present ones of goal alignment (.4) and business impact (.3)
    feedback   = what the user said; where nobody said anything, min(½, m)
    usefulness = weighted mean of goal alignment (.4), feedback (.3), business impact (.3), present ones

Silence is never counted as praise: leaving feedback out of the mean would quietly impute it as m, so it
enters as the *lower* of neutral and m. Properties: in [0, 1]; rises (weakly) with every part; continuous;
feedback of at least ½ never lowers the score below what silence would give; with feedback alone it is the
feedback; without any part it is None. A usefulness that was reported directly replaces the formula.

The part weights are conventions of this project, fixed by ``FORMULAS`` in ``spec.py``.
"""

from __future__ import annotations

import numpy as np

from .mean import arithmetic, arithmetic_bulk
from .numbers import Array, numbers, unit

__all__ = ["USEFULNESS_WEIGHTS", "usefulness_bulk", "usefulness_score"]

USEFULNESS_WEIGHTS = (0.4, 0.3, 0.3)
"""Goal alignment, user feedback, business impact."""

_ALIGNMENT, _FEEDBACK, _IMPACT = USEFULNESS_WEIGHTS
_NEUTRAL = 0.5


def usefulness_unchecked(
    goal_alignment: float | None, user_feedback: float | None, business_impact: float | None
) -> float | None:
    """Return the score of parts that were checked before."""
    if user_feedback is None:
        if goal_alignment is None and business_impact is None:
            return None
        others = arithmetic((goal_alignment, business_impact), (_ALIGNMENT, _IMPACT))
        user_feedback = None if others is None else min(_NEUTRAL, others)
    return arithmetic((goal_alignment, user_feedback, business_impact), USEFULNESS_WEIGHTS)


def usefulness_score(
    goal_alignment: float | None = None,
    user_feedback: float | None = None,
    business_impact: float | None = None,
) -> float | None:
    """Score one result; None where nothing was reported.

    >>> usefulness_score(1.0, 1.0, 1.0), round(usefulness_score(1.0, None, 1.0), 6)
    (1.0, 0.85)

    Raises
    ------
    OutcomeInvalid : a part out of [0, 1].
    """
    return usefulness_unchecked(
        None if goal_alignment is None else unit("goal_alignment", goal_alignment),
        None if user_feedback is None else unit("user_feedback", user_feedback),
        None if business_impact is None else unit("business_impact", business_impact),
    )


def usefulness_bulk(goal_alignment: Array, user_feedback: Array, business_impact: Array) -> Array:
    """Score many results: three (n,) arrays in [0, 1], NaN for missing; NaN where all three are."""
    for name, values in (
        ("goal_alignment", goal_alignment),
        ("user_feedback", user_feedback),
        ("business_impact", business_impact),
    ):
        numbers(name, np.asarray(values), 0.0, 1.0)
    others = arithmetic_bulk((goal_alignment, business_impact), (_ALIGNMENT, _IMPACT))
    feedback: Array = np.where(np.isnan(user_feedback), np.minimum(_NEUTRAL, others), user_feedback)
    return arithmetic_bulk((goal_alignment, feedback, business_impact), USEFULNESS_WEIGHTS)
