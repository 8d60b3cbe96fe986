"""Speed: time against the reference time of the same kind of task.

    s(t) = 1 / (1 + (t / (reference · factor))^p),      p = 1 or 2
    s(t) / 2 where the execution was stopped at t (timed out)

Properties: ½ exactly at the reference; 1 at t = 0; strictly falling, smooth, above 0 however slow; depends on
t / reference alone, so units do not matter; s(reference·x) + s(reference/x) = 1 (twice as fast gains what
twice as slow loses).

s is the survival function of the log-logistic law with median ``reference`` and shape p. Hence the score is
"the share of reference executions that would take longer", and where all that is known of a time is that it
exceeds t, the score of the true time is uniform on (0, s(t)) under that law (probability integral transform):
its mean is s(t)/2. That is what a timeout gets: never more than the same time when finished, and never a
bonus for a short time limit beyond half of it.

Source: Bennett (1983), "Log-logistic regression models for survival data", Applied Statistics 32(2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import OutcomeInvalid
from .numbers import Array, number, numbers

__all__ = ["REFERENCE_MAX", "REFERENCE_MIN", "speed_bulk", "speed_score"]

REFERENCE_MIN = 1e-12
REFERENCE_MAX = 1e15
"""Reference times, tokens and costs (factor included) lie within; so ratios never divide 0 by 0."""

_LINEAR = 1


def speed_unchecked(duration_s: float, reference_s: float, *, timed_out: bool, power: int) -> float:
    """Return the score of numbers that were checked before."""
    x = duration_s / reference_s
    if power != _LINEAR:
        x = x * x
    s = 1.0 / (1.0 + x)
    return 0.5 * s if timed_out else s


def speed_score(duration_s: float, reference_s: float, *, timed_out: bool = False, power: int = 1) -> float:
    """Score one time.

    >>> speed_score(30.0, 30.0), speed_score(10.0, 30.0), speed_score(30.0, 30.0, timed_out=True)
    (0.5, 0.75, 0.25)

    Parameters
    ----------
    duration_s : seconds, >= 0. reference_s : in the same unit, in [1e-12, 1e15].
    timed_out : the time is a lower bound. power : 1, or 2 for a steeper score.

    Raises
    ------
    OutcomeInvalid : a number out of its domain.
    """
    t = number("duration_s", duration_s)
    reference = number("reference_s", reference_s, REFERENCE_MIN, REFERENCE_MAX)
    return speed_unchecked(t, reference, timed_out=bool(timed_out), power=_power(power))


def speed_bulk(
    duration_s: Array,
    reference_s: Array | float,
    *,
    timed_out: npt.NDArray[np.bool_] | bool = False,
    power: int = 1,
) -> Array:
    """Score many times: bit for bit ``speed_score``; NaN in either array gives NaN (missing).

    ``duration_s`` (n,) seconds, >= 0 or NaN; ``reference_s`` (n,) or a number; ``timed_out`` (n,) or one
    flag.
    """
    _power(power)
    t = np.asarray(duration_s, dtype=np.float64)
    reference = np.asarray(reference_s, dtype=np.float64)
    numbers("duration_s", t)
    numbers("reference_s", reference, REFERENCE_MIN, REFERENCE_MAX)
    with np.errstate(over="ignore"):
        x = t / reference
        if power != _LINEAR:
            x = x * x
        s = 1.0 / (1.0 + x)
    scored: Array = np.where(timed_out, 0.5 * s, s)
    return scored


def _power(power: int) -> int:
    if power not in {1, 2}:
        raise OutcomeInvalid(
            "the power of the speed score is not usable",
            expected="1 or 2",
            found=repr(power),
            fix="use 1, or 2 for a score that falls more steeply around the reference time",
        )
    return power
