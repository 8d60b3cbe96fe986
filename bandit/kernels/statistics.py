"""Integer sufficient statistics of one arm: adding a row, and reading the sums as numbers.

Layout of a statistics vector for a φ of D columns (int64):

====================  =========================================  ==========
positions             content                                    unit
====================  =========================================  ==========
0                     n, rewards                                 1
1                     Σ r                                        2⁻¹⁶
2                     Σ r²                                       2⁻³²
3 … 3+D               Σ φ r                                      2⁻³²
3+D … 3+D+D(D+1)/2    Σ φ φᵀ, lower triangle by rows             2⁻³²
behind these          further statistics of a policy's own       2⁻³²
====================  =========================================  ==========
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["accumulate", "accumulate_rows", "add_weighted", "read"]

_UNIT = 1.0 / 65536.0
_UNIT2 = _UNIT * _UNIT


@kernel
def accumulate(
    block: npt.NDArray[np.int64],
    total: npt.NDArray[np.int64],
    phi: npt.NDArray[np.int64],
    reward: int,
    sign: int,
) -> None:
    """Add (sign 1) or subtract (sign −1) one rewarded decision to two statistics vectors."""
    for vector in (block, total):
        _add(vector, phi, reward, sign)


@kernel
def _add(vector: npt.NDArray[np.int64], phi: npt.NDArray[np.int64], reward: int, sign: int) -> None:
    d = phi.shape[0]
    vector[0] += sign
    vector[1] += sign * reward
    vector[2] += sign * reward * reward
    place = 3 + d
    for i in range(d):
        scaled = sign * phi[i]
        vector[3 + i] += scaled * reward
        if scaled == 0:
            place += i + 1
            continue
        for j in range(i + 1):
            vector[place + j] += scaled * phi[j]
        place += i + 1


@kernel
def accumulate_rows(
    blocks: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    phi: npt.NDArray[np.int64],
    taken: npt.NDArray[np.int64],
    units: npt.NDArray[np.int64],
) -> None:
    """Add many rows of the log: row i changes ``blocks[owner[i]]``; −1 stands for nothing taken, or added.

    ``blocks`` (blocks, width), ``phi`` (rows, D), the others (rows,), all int64.
    """
    for i in range(owner.shape[0]):
        if taken[i] == units[i]:
            continue
        if taken[i] >= 0:
            _add(blocks[owner[i]], phi[i], taken[i], -1)
        if units[i] >= 0:
            _add(blocks[owner[i]], phi[i], units[i], 1)


@kernel
def read(vector: npt.NDArray[np.int64], out: npt.NDArray[np.float64]) -> None:
    """Write a statistics vector as numbers in their natural units; each is rounded once."""
    out[0] = vector[0]
    out[1] = vector[1] * _UNIT
    for i in range(2, vector.shape[0]):
        out[i] = vector[i] * _UNIT2


@kernel
def add_weighted(vector: npt.NDArray[np.int64], weight: float, out: npt.NDArray[np.float64]) -> None:
    """Add weight × a statistics vector, in natural units, to ``out``."""
    out[0] += weight * vector[0]
    out[1] += weight * (vector[1] * _UNIT)
    for i in range(2, vector.shape[0]):
        out[i] += weight * (vector[i] * _UNIT2)
