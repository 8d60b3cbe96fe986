"""Checks of plain numbers that scorers and specifications share."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import InputInvalid, OutcomeInvalid

__all__ = ["Array", "count", "counts", "number", "numbers", "refuse_number", "unit"]

Array: TypeAlias = npt.NDArray[np.float64]


def refuse_number(
    name: str, value: object, low: float, high: float, kind: type[InputInvalid] = OutcomeInvalid
) -> InputInvalid:
    """Build the error for a number that is not one, or that is out of [low, high]."""
    bounds = f">= {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
    return kind(
        f"{name} is not usable",
        expected=f"a finite number {bounds}",
        found=repr(value),
        fix=f"pass {name} in that range, or leave it out where it is optional",
    )


def number(
    name: str,
    value: Any,
    low: float = 0.0,
    high: float = math.inf,
    kind: type[InputInvalid] = OutcomeInvalid,
) -> float:
    """Return ``value`` as a float in [low, high]; bool, NaN, infinity and text are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse_number(name, value, low, high, kind)
    try:
        result = float(value)
    except OverflowError:
        raise refuse_number(name, value, low, high, kind) from None
    if not low <= result <= high or result == math.inf:
        raise refuse_number(name, value, low, high, kind)
    return result + 0.0


def unit(name: str, value: Any, kind: type[InputInvalid] = OutcomeInvalid) -> float:
    """Return ``value`` as a float in [0, 1]."""
    return number(name, value, 0.0, 1.0, kind)


def count(name: str, value: Any) -> int:
    """Return ``value`` as an integer >= 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OutcomeInvalid(
            f"{name} is not usable",
            expected="an integer >= 0",
            found=repr(value),
            fix=f"pass the number of {name} as an int",
        )
    return value


def numbers(name: str, values: Array, low: float = 0.0, high: float = math.inf) -> None:
    """Refuse an array with a number out of [low, high] or infinite; NaN stands for missing and passes."""
    # fmin and fmax look past NaN; most arrays are good, and the row is searched only in a bad one.
    if np.fmin.reduce(values, axis=None, initial=np.inf) < low or (
        np.fmax.reduce(values, axis=None, initial=-np.inf) > min(high, np.finfo(np.float64).max)
    ):
        bad = (values < low) | (values > high) | np.isinf(values)
        first = int(np.flatnonzero(bad)[0])
        raise refuse_number(f"{name}[{first}]", float(values.flat[first]), low, high)


def counts(name: str, values: npt.ArrayLike) -> Array:
    """Return whole numbers >= 0 as float64; NaN, fractions and negative numbers are refused."""
    result = np.asarray(values, dtype=np.float64)
    bad = ~((result >= 0.0) & (result == np.floor(result)) & np.isfinite(result))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise OutcomeInvalid(
            f"{name}[{first}] is not usable",
            expected="an integer >= 0",
            found=repr(float(result.flat[first])),
            fix=f"pass the number of {name}, 0 where none was reported",
        )
    return result
