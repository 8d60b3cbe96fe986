"""Elementary functions that give the same bits on every machine.

The C library's ``exp`` and ``log`` pick another implementation where the CPU has fused
multiply-add, and the last bit differs; a probability mass function built on them would
not be re-derivable elsewhere. These functions use only IEEE 754 + − × ÷ and exact scaling by powers
of two, in a fixed order. The polynomial cores here are plain Python so that light modules can call
them without loading the compiler; ``bandit/kernels/elementary.py`` compiles the very same cores.

Accuracy (measured against 50-digit arithmetic in ``tests``): both functions within 1 unit in the last
place over their whole range.
"""

from __future__ import annotations

import math

__all__ = ["LN2_HI", "LN2_LO", "exp", "exp_core", "log", "log_core"]

# ln 2 split so that k·LN2_HI is exact for |k| < 2²⁰ (Cody & Waite).
LN2_HI = 6.93147180369123816490e-01
LN2_LO = 1.90821492927058770002e-10
INV_LN2 = 1.44269504088896338700e00

_SQRT_HALF = 7.07106781186547524401e-01


def exp_core(r: float) -> float:
    """e^r for |r| ≤ ½ ln 2 by its Taylor polynomial of degree 13 (remainder < 5e-18)."""
    return 1.0 + r * (
        1.0
        + r
        * (
            0.5
            + r
            * (
                1.0 / 6.0
                + r
                * (
                    1.0 / 24.0
                    + r
                    * (
                        1.0 / 120.0
                        + r
                        * (
                            1.0 / 720.0
                            + r
                            * (
                                1.0 / 5040.0
                                + r
                                * (
                                    1.0 / 40320.0
                                    + r
                                    * (
                                        1.0 / 362880.0
                                        + r
                                        * (
                                            1.0 / 3628800.0
                                            + r
                                            * (
                                                1.0 / 39916800.0
                                                + r * (1.0 / 479001600.0 + r * (1.0 / 6227020800.0))
                                            )
                                        )
                                    )
                                )
                            )
                        )
                    )
                )
            )
        )
    )


def log_core(m: float, k: float) -> float:
    """ln(m·2^k) for m in [√½, √2), by the odd series of 2·artanh((m−1)/(m+1)).

    |s| ≤ 0.1716, so that the terms left out are below 2e-18 of the result.
    """
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    series = z * (
        2.0 / 3.0
        + z
        * (
            2.0 / 5.0
            + z
            * (
                2.0 / 7.0
                + z
                * (
                    2.0 / 9.0
                    + z
                    * (
                        2.0 / 11.0
                        + z
                        * (
                            2.0 / 13.0
                            + z * (2.0 / 15.0 + z * (2.0 / 17.0 + z * (2.0 / 19.0 + z * (2.0 / 21.0))))
                        )
                    )
                )
            )
        )
    )
    # ln(1+f) = f − s·(f − series): f is exact, and the correction is small.
    return k * LN2_HI + (f - (s * (f - series) - k * LN2_LO))


def exp(x: float) -> float:
    """e^x; 0 below −745, infinity above 709.78; NaN for NaN."""
    if x != x:
        return x
    if x > 709.782712893384:
        return math.inf
    if x < -745.2:
        return 0.0
    k = math.floor(x * INV_LN2 + 0.5)
    r = (x - k * LN2_HI) - k * LN2_LO
    return math.ldexp(exp_core(r), k)


def log(x: float) -> float:
    """Natural logarithm; −infinity at 0, NaN below 0 and for NaN."""
    if x != x or x < 0.0:
        return math.nan
    if x == 0.0:
        return -math.inf
    if x == math.inf:
        return x
    m, k = math.frexp(x)
    if m < _SQRT_HALF:
        m *= 2.0
        k -= 1
    return log_core(m, float(k))
