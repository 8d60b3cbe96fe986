"""Normal numbers in bulk: the ziggurat, from a running draw number.

Unlike ``counter.normal`` it may use up several draws, and is faster. Its tables are made by
``nyx_learning.ieee`` and √, so that they are the same bits everywhere.

References
----------
Marsaglia & Tsang (2000), The ziggurat method, J. Stat. Software 5(8); Doornik (2005), An improved ziggurat
method to generate normal random samples: index and abscissa come from different bits.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from ... import ieee
from ...bandit.kernels.elementary import exp, log
from ...jit import kernel
from .counter import bits

__all__ = ["core", "open_uniform", "outside", "running_normal"]

_LAYERS = 128
_EDGE = 3.442619855899
_AREA = 9.91256303526217e-3
_LOW7 = np.uint64(127)
_LOW4 = np.uint64(15)
_UNIT53 = 1.0 / 9007199254740992.0
_UNIT52 = 1.0 / 4503599627370496.0


def _tables() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Right edges of the layers, and the share of each that lies under the next one's edge."""
    x = np.zeros(_LAYERS + 1)
    height = ieee.exp(-0.5 * _EDGE * _EDGE)
    x[0], x[1] = _AREA / height, _EDGE
    for i in range(2, _LAYERS):
        x[i] = sqrt(-2.0 * ieee.log(_AREA / float(x[i - 1]) + height))
        height = ieee.exp(-0.5 * float(x[i]) * float(x[i]))
    return x, x[1:] / x[:-1]


_X, _RATIO = _tables()


@kernel
def open_uniform(start: np.uint64, step: np.uint64, n: int) -> float:
    """Draw n in (0, 1): an odd multiple of 2⁻⁵⁴."""
    value: float = (np.float64(np.int64(bits(start, step, n) >> np.uint64(11))) + 0.5) * _UNIT53
    return value


@kernel
def _slow(
    layer: int, u: float, x: float, start: np.uint64, step: np.uint64, n: int
) -> tuple[bool, float, int]:
    """Outside a layer's core: accepted?, the number, the next draw."""
    if layer == 0:
        while True:
            far = log(open_uniform(start, step, n)) / _EDGE
            y = log(open_uniform(start, step, n + 1))
            n += 2
            if -2.0 * y >= far * far:
                return True, far - _EDGE if u < 0.0 else _EDGE - far, n
    top = exp(-0.5 * (_X[layer] * _X[layer] - x * x))
    bottom = exp(-0.5 * (_X[layer + 1] * _X[layer + 1] - x * x))
    return bottom + open_uniform(start, step, n) * (top - bottom) < 1.0, x, n + 1


@kernel
def core(raw: np.uint64) -> tuple[float, bool, int]:
    """What a draw gives: a normal number; whether it stands; and 4 bits of the draw that it does not use."""
    layer = int(raw & _LOW7)
    u = (np.float64(np.int64(raw >> np.uint64(11))) + 0.5) * _UNIT52 - 1.0
    return u * _X[layer], abs(u) < _RATIO[layer], int((raw >> np.uint64(7)) & _LOW4)


@kernel
def outside(raw: np.uint64, start: np.uint64, step: np.uint64, n: int) -> tuple[float, int, int]:
    """Go on where ``core`` does not stand, with draws n, n + 1, …: the number, the next draw, 4 free bits."""
    while True:
        layer = int(raw & _LOW7)
        u = (np.float64(np.int64(raw >> np.uint64(11))) + 0.5) * _UNIT52 - 1.0
        accepted, x, n = _slow(layer, u, u * _X[layer], start, step, n)
        if accepted:
            return x, n, int((raw >> np.uint64(7)) & _LOW4)
        raw = bits(start, step, n)
        n += 1
        x, stands, spare = core(raw)
        if stands:
            return x, n, spare


@kernel
def running_normal(start: np.uint64, step: np.uint64, n: int) -> tuple[float, int, int]:
    """A standard normal number from draws n, n + 1, … of a key.

    Returns it, the next draw, and a whole number that is uniform in [0, 16) and independent of it.
    """
    raw = bits(start, step, n)
    x, stands, spare = core(raw)
    if stands:
        return x, n + 1, spare
    return outside(raw, start, step, n + 1)
