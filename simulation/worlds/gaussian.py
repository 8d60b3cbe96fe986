"""Graded rewards: normal numbers, clipped to [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import erfc, exp, pi, sqrt
from typing import Any, ClassVar

import numpy as np

from . import checks
from .base import Segments
from .segmented import SegmentedWorld

__all__ = ["Gaussian", "clipped_mean"]


def clipped_mean(center: float, sd: float) -> float:
    """E[min(1, max(0, X))] for X ~ N(center, sd²), sd > 0.

        m·(Φ(b) − Φ(a)) − s·(φ(b) − φ(a)) + 1 − Φ(b),    a = −m/s,  b = (1 − m)/s

    >>> round(clipped_mean(0.5, 0.1), 6), round(clipped_mean(0.0, 1.0), 6)
    (0.5, 0.315627)
    """
    low, high = -center / sd, (1.0 - center) / sd
    inside = 0.5 * (erfc(-high / sqrt(2.0)) - erfc(-low / sqrt(2.0)))
    slope = (exp(-0.5 * high * high) - exp(-0.5 * low * low)) / sqrt(2.0 * pi)
    return center * inside - sd * slope + 0.5 * erfc(high / sqrt(2.0))


class Gaussian(SegmentedWorld):
    """Arm a pays N(``means[a]``, ``sd²``), clipped to [0, 1] and rounded to 2⁻¹⁶.

    The true mean is that of the *clipped* reward, ``clipped_mean``, which clipping pulls inwards: with sd .1
    a mean of .9 becomes .8917. Rounding moves it by less than 1e-9, since sd ≥ .001.

    >>> Gaussian([0.9, 0.5], sd=0.1).rounds(7, 0, 0, 1).expected.round(4).tolist()
    [[0.8917, 0.5]]
    """

    kind: ClassVar[str] = "gaussian"

    def __init__(self, means: Sequence[float], sd: float) -> None:
        self.means = checks.numbers(self.kind, "means", means)
        self.sd = checks.number(self.kind, "sd", sd, 1e-3, 10.0)
        self.arms = len(self.means)
        self._expected = np.array([[clipped_mean(mean, self.sd) for mean in self.means]])

    def segments(self, seed: int, replication: int) -> Segments:  # noqa: ARG002, D102
        return Segments(np.array([self.means]), self._expected, np.zeros(1, np.int64), self.sd)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"kind": self.kind, "means": list(self.means), "sd": self.sd}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Gaussian:  # noqa: D102
        return cls(**checks.fields(cls.kind, document, ["means", "sd"]))
