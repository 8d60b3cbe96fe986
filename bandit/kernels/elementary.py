"""exp and log inside compiled kernels: the bits of ``nyx_learning.ieee``, in a shape that vectorises.

The polynomial cores are the very functions of ``ieee.py``. Around them, exponents are taken apart and put
together through the bit pattern instead of ``frexp``/``ldexp``, without a branch, so that a loop over these
functions becomes SIMD code; its width changes no bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ... import ieee
from ...jit import kernel

__all__ = ["exp", "exp_into", "exp_normal", "log", "log_normal"]

_LN2_HI = ieee.LN2_HI
_LN2_LO = ieee.LN2_LO
_INV_LN2 = ieee.INV_LN2
_SQRT_HALF = 7.07106781186547524401e-01

# Adding 1.5·2⁵² to a whole number leaves it, in two's complement, in the low bits of the mantissa.
_SHIFTER = 6755399441055744.0
_SHIFTER_BITS = np.float64(_SHIFTER).view(np.int64)
_MANTISSA = (1 << 52) - 1
_HALF_BITS = 1022 << 52
_TWO_54 = 18014398509481984.0

_exp_core = kernel(ieee.exp_core)
_log_core = kernel(ieee.log_core)


@kernel
def exp_normal(x: float) -> float:
    """e^x for −708 ≤ x ≤ 709, where the result is a normal number; anything else gives nonsense."""
    k = np.floor(x * _INV_LN2 + 0.5)
    y = _exp_core((x - k * _LN2_HI) - k * _LN2_LO)
    return np.int64(np.float64(y).view(np.int64) + (np.float64(k + _SHIFTER).view(np.int64) << 52)).view(
        np.float64
    )


@kernel
def log_normal(x: float) -> float:
    """Natural logarithm of a normal positive number; anything else gives nonsense."""
    bits = np.float64(x).view(np.int64)
    m = np.int64((bits & _MANTISSA) | _HALF_BITS).view(np.float64)  # in [½, 1)
    k = np.int64((bits >> 52) + _SHIFTER_BITS).view(np.float64) - (_SHIFTER + 1022.0)
    low = m < _SQRT_HALF
    return _log_core(m * 2.0 if low else m, k - 1.0 if low else k)


@kernel
def exp(x: float) -> float:
    """e^x with the bits of ``ieee.exp``: 0 below −745.2, infinity above 709.78; NaN for NaN."""
    z = min(max(x, -746.0), 710.0)
    k = np.floor(z * _INV_LN2 + 0.5)
    y = _exp_core((z - k * _LN2_HI) - k * _LN2_LO)
    # 2^k in two factors: the first product is exact, so that a subnormal result is rounded once.
    half = np.floor(k * 0.5)
    first = np.int64((np.float64(half + _SHIFTER).view(np.int64) + 1023) << 52).view(np.float64)
    second = np.int64((np.float64(k - half + _SHIFTER).view(np.int64) + 1023) << 52).view(np.float64)
    value: float = y * first * second
    value = np.inf if x > 709.782712893384 else value
    value = 0.0 if x < -745.2 else value
    return value if x == x else x


@kernel
def log(x: float) -> float:
    """Natural logarithm with the bits of ``ieee.log``; −infinity at 0, NaN below 0 and for NaN."""
    if x >= 2.2250738585072014e-308:
        return log_normal(x) if x < np.inf else x
    if x > 0.0:
        bits = np.float64(x * _TWO_54).view(np.int64)
        m = np.int64((bits & _MANTISSA) | _HALF_BITS).view(np.float64)
        k = np.float64((bits >> 52) - 1022 - 54)
        if m < _SQRT_HALF:
            return _log_core(m * 2.0, k - 1.0)
        return _log_core(m, k)
    return -np.inf if x == 0.0 else np.nan


@kernel
def exp_into(x: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
    """Write ``exp`` of each element of a vector into ``out`` (same length; may be the same array)."""
    for i in range(x.shape[0]):
        out[i] = exp(x[i])
