"""Success: did it finish, and how smoothly?

    smooth  = agents · retry · error
    agents  = succeeded / (succeeded + failed)      (no agents reported: 1 after a success, 0 after a failure)
    retry   = 1 / (1 + retries / 3),    error = 1 / (1 + errors / 4)
    success = .7·S + .3·smooth,         S = 1 if the execution as a whole succeeded, else 0

Properties: in [.7, 1] after a success and in [0, .3] after a failure, so that no failure ever scores above a
success; rises with agents that succeeded, falls with agents that failed, retries and errors; a clean success
is exactly 1, a bare failure exactly 0; agents(a, b) + agents(b, a) = 1; smooth halves at 3 retries and at 4
errors, and is hyperbolic, so that the tenth retry hurts less than the first.

The constants are conventions of this project, fixed by ``FORMULAS`` in ``spec.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .numbers import Array, count, counts

__all__ = ["success_bulk", "success_score"]

_WHOLE = 0.7
_SMOOTH = 0.3
_RETRIES_HALF = 3.0
_ERRORS_HALF = 4.0


def success_unchecked(success: bool, succeeded: int, failed: int, retries: int, errors: int) -> float:
    """Return the score of counts that were checked before."""
    total = succeeded + failed
    if total == 0 and retries == 0 and errors == 0:
        return 1.0 if success else 0.0  # what the formula gives, for most outcomes
    agents = succeeded / total if total > 0 else float(success)
    smooth = agents * (1.0 / (1.0 + retries / _RETRIES_HALF)) * (1.0 / (1.0 + errors / _ERRORS_HALF))
    return _WHOLE + _SMOOTH * smooth if success else _SMOOTH * smooth


def success_score(
    success: bool,
    *,
    agents_succeeded: int = 0,
    agents_failed: int = 0,
    retries: int = 0,
    errors: int = 0,
) -> float:
    """Score one execution; counts that were not reported are 0.

    >>> success_score(True), success_score(False), success_score(True, retries=3)
    (1.0, 0.0, 0.85)

    Raises
    ------
    OutcomeInvalid : a count that is negative or no integer.
    """
    return success_unchecked(
        bool(success),
        count("agents_succeeded", agents_succeeded),
        count("agents_failed", agents_failed),
        count("retries", retries),
        count("errors", errors),
    )


def success_bulk(
    success: npt.ArrayLike,
    *,
    agents_succeeded: npt.ArrayLike = 0,
    agents_failed: npt.ArrayLike = 0,
    retries: npt.ArrayLike = 0,
    errors: npt.ArrayLike = 0,
) -> Array:
    """Score many executions: bit for bit ``success_score``; ``success`` (n,) of bool, counts (n,) or one."""
    whole = np.asarray(success, dtype=np.bool_)
    good, bad = counts("agents_succeeded", agents_succeeded), counts("agents_failed", agents_failed)
    total = good + bad
    agents = np.where(total > 0.0, good / np.maximum(total, 1.0), whole.astype(np.float64))
    retry = 1.0 / (1.0 + counts("retries", retries) / _RETRIES_HALF)
    error = 1.0 / (1.0 + counts("errors", errors) / _ERRORS_HALF)
    part = _SMOOTH * (agents * retry * error)
    scored: Array = np.where(whole, _WHOLE + part, part)
    return scored
