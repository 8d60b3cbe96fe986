"""Best-arm probabilities against closed forms and independent high-precision integration."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from mpmath import mp

from nyx_learning.bandit.kernels.best_arm import best_arm_gaussian

Array = npt.NDArray[np.float64]


def gaussian(mean: list[float] | Array, sd: list[float] | Array) -> Array:
    out = np.empty(len(mean))
    best_arm_gaussian(np.asarray(mean, float), np.asarray(sd, float), np.ones(len(mean), np.bool_), out)
    return out


@pytest.mark.parametrize(
    ("gap", "first", "second"),
    [
        (0.3, 1.0, 2.0),
        (1.0, 1e-5, 1.0),
        (5.0, 1.0, 1.0),
        (0.1, 0.2, 1e-9),
        (0.0, 1e-7, 1.0),
        (1e-3, 1e-3, 1e-3),
    ],
)
def test_two_gaussians_have_a_closed_form(gap: float, first: float, second: float) -> None:
    with mp.workdps(30):
        expected = float(mp.ncdf(mp.mpf(gap) / mp.sqrt(mp.mpf(first) ** 2 + mp.mpf(second) ** 2)))
    assert gaussian([gap, 0.0], [first, second]) == pytest.approx([expected, 1 - expected], abs=5e-13, rel=0)
