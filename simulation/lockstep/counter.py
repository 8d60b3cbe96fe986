"""Random numbers by their place: the n-th draw of a key, without a state that is carried along.

    bits(key, n) = mix(start + n·step mod 2⁶⁴)

the SplitMix64 sequence with a step of the key's own. A uniform takes the upper 53 bits; a normal is the
quantile of a uniform, so that it is monotone in it and costs one draw.

References
----------
Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA; mix: Stafford's variant
13. Wichura (1988), Algorithm AS 241, Applied Statistics 37(3), PPND16: relative error about 1e-16.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.elementary import log
from ...jit import kernel

__all__ = ["bits", "normal", "normal_quantile", "uniform", "uniforms_into"]

_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT53 = 1.0 / 9007199254740992.0
_HALF53 = 0.5 / 9007199254740992.0


@kernel
def bits(start: np.uint64, step: np.uint64, n: int) -> np.uint64:
    """64 random bits, n ≥ 0."""
    z = start + np.uint64(n) * step
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@kernel
def uniform(start: np.uint64, step: np.uint64, n: int) -> float:
    """A multiple of 2⁻⁵³ in [0, 1)."""
    value: float = np.float64(np.int64(bits(start, step, n) >> np.uint64(11))) * _UNIT53
    return value


@kernel
def normal_quantile(p: float) -> float:
    """Φ⁻¹(p) for 0 < p < 1."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        num = 2.5090809287301226727e3
        num = num * r + 3.3430575583588128105e4
        num = num * r + 6.7265770927008700853e4
        num = num * r + 4.5921953931549871457e4
        num = num * r + 1.3731693765509461125e4
        num = num * r + 1.9715909503065514427e3
        num = num * r + 1.3314166789178437745e2
        num = num * r + 3.3871328727963666080e0
        den = 5.2264952788528545610e3
        den = den * r + 2.8729085735721942674e4
        den = den * r + 3.9307895800092710610e4
        den = den * r + 2.1213794301586595867e4
        den = den * r + 5.3941960214247511077e3
        den = den * r + 6.8718700749205790830e2
        den = den * r + 4.2313330701600911252e1
        den = den * r + 1.0
        return q * num / den
    r = math.sqrt(-log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        num = 7.74545014278341407640e-4
        num = num * r + 2.27238449892691845833e-2
        num = num * r + 2.41780725177450611770e-1
        num = num * r + 1.27045825245236838258e0
        num = num * r + 3.64784832476320460504e0
        num = num * r + 5.76949722146069140550e0
        num = num * r + 4.63033784615654529590e0
        num = num * r + 1.42343711074968357734e0
        den = 1.05075007164441684324e-9
        den = den * r + 5.47593808499534494600e-4
        den = den * r + 1.51986665636164571966e-2
        den = den * r + 1.48103976427480074590e-1
        den = den * r + 6.89767334985100004550e-1
        den = den * r + 1.67638483018380384940e0
        den = den * r + 2.05319162663775882187e0
        den = den * r + 1.0
    else:
        r -= 5.0
        num = 2.01033439929228813265e-7
        num = num * r + 2.71155556874348757815e-5
        num = num * r + 1.24266094738807843860e-3
        num = num * r + 2.65321895265761230930e-2
        num = num * r + 2.96560571828504891230e-1
        num = num * r + 1.78482653991729133580e0
        num = num * r + 5.46378491116411436990e0
        num = num * r + 6.65790464350110377720e0
        den = 2.04426310338993978564e-15
        den = den * r + 1.42151175831644588870e-7
        den = den * r + 1.84631831751005468180e-5
        den = den * r + 7.86869131145613259100e-4
        den = den * r + 1.48753612908506148525e-2
        den = den * r + 1.36929880922735805310e-1
        den = den * r + 5.99832206555887937690e-1
        den = den * r + 1.0
    value = num / den
    return -value if q < 0.0 else value


@kernel
def normal(start: np.uint64, step: np.uint64, n: int) -> float:
    """A standard normal number."""
    value: float = normal_quantile(uniform(start, step, n) + _HALF53)
    return value


@kernel
def uniforms_into(start: np.uint64, step: np.uint64, first: int, out: npt.NDArray[np.float64]) -> None:
    """Draws ``first``, first + 1, … of a key, into a vector."""
    for i in range(out.shape[0]):
        out[i] = uniform(start, step, first + i)
