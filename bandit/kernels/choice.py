"""From a probability mass function to integers that sum to 2³², and from a uniform integer to an arm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["draw", "quantise"]

_TOTAL = 1 << 32


@kernel
def quantise(
    pmf: npt.NDArray[np.float64],
    eligible: npt.NDArray[np.bool_],
    floor: float,
    out: npt.NDArray[np.int64],
) -> None:
    """Mix in the exploration floor and round to units of 2⁻³² that sum to 2³².

    ``(1 − floor)·pmf + floor/E`` over the E eligible arms, rounded down, with at least one unit for each
    eligible arm while floor > 0. Units left over by rounding go one by one to the arms in their order; units
    owed are taken from the most probable arm. FloatingPointError where the pmf is not made of numbers.
    """
    k = pmf.shape[0]
    count = 0
    total = 0.0
    for i in range(k):
        if eligible[i]:
            count += 1
            total += pmf[i]
    if not 0.0 < total < np.inf:
        raise FloatingPointError("the policy's probabilities are not numbers")
    share = floor / count
    scale = (1.0 - floor) / total
    left = _TOTAL
    best = -1
    for i in range(k):
        out[i] = 0
        if eligible[i]:
            out[i] = np.int64((pmf[i] * scale + share) * 4294967296.0)
            if out[i] < 1 and floor > 0.0:
                out[i] = 1
            left -= int(out[i])
            if best < 0 or out[i] > out[best]:
                best = i
    if left < 0:  # owed by the arms that were raised to one unit
        out[best] += left
    while left > 0:
        for i in range(k):
            if left > 0 and out[i] > 0:
                out[i] += 1
                left -= 1


@kernel
def draw(pmf: npt.NDArray[np.int64], u: int) -> int:
    """F⁻¹(u): the first arm whose cumulative mass exceeds u, for u in [0, 2³²)."""
    mass = 0
    for i in range(pmf.shape[0]):
        mass += pmf[i]
        if u < mass:
            return i
    return -1
