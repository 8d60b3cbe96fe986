"""The hierarchical model over strategies and parameter effects, for spaces too large to list."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from ... import ieee
from .. import kernels
from ..parameters import Range
from ..space import ArmSpace
from .base import Floats
from .hierarchical import WEAKEST

__all__ = ["FactoredModel"]


class FactoredModel:
    """``HierarchicalModel`` with the strategies as rows of the sums, over ψ = (φ, z).

    Effects of a listed parameter's values have the prior sd ``sd_parameter``; the Chebyshev coefficients of a
    range's cubic have ``sd_parameter``/1, /2, /3: smooth before the data speak.

    Attributes
    ----------
    weight (R,) : probability of each ratio. n : rewards in all. caution : share of the posterior sd that is
    sampled. sizes (S,) : unknowns of each strategy, ``dimension`` of them for the context.
    """

    def __init__(self, space: ArmSpace, groups: Sequence[int], number: dict[str, float]) -> None:
        d = self.dimension = 1 + len(groups)
        self._center, self._noise = number["mean"], number["noise"]
        self._noise_weight = number["noise_weight"]
        self._start, self._rows = number["caution"], number["caution_rows"]
        ratios = sorted({number["ratio_low"], number["ratio_high"]})
        r, s = len(ratios), len(space)
        self.sizes = [space.size(unit) for unit in range(s)]
        size = max(self.sizes)
        self._width = d + space.extra
        features = sqrt(max(1, len(set(groups))))
        root = np.array([number["sd_global"]] + [number["sd_context"] / features] * (d - 1))
        scale = np.array(ratios)[:, None] ** 2
        self._root_precision = np.maximum(WEAKEST, self._noise / (root[None, :] ** 2 * scale))
        self._precision = np.ones((s, r, size))
        logdet = np.array([sum(ieee.log(float(p)) for p in row) for row in self._root_precision])
        for unit in range(s):
            sds = [number["sd_strategy"]] + [number["sd_interaction"] / features] * (d - 1)
            for parameter in space.parameters[unit]:
                smooth = isinstance(parameter.values, Range)
                sds += [number["sd_parameter"] / (1 + i if smooth else 1) for i in range(parameter.columns)]
            precision = self._noise / (np.array(sds)[None, :] ** 2 * scale)
            self._precision[unit, :, : len(sds)] = np.maximum(WEAKEST, precision)
            logdet += [
                sum(ieee.log(float(p)) for p in self._precision[unit, i, : len(sds)]) for i in range(r)
            ]
        self._prior_logdet = logdet
        self._u, self._v = np.zeros((r, s, size, size)), np.zeros((r, s, size, d))
        self._z = np.zeros((r, s, size))
        self._schur, self._reduced = np.zeros((r, s, d, d)), np.zeros((r, s, d))
        self._scalars = np.zeros((r, s, 4))
        self._u0, self._mean0 = np.zeros((r, d, d)), np.zeros((r, d))
        self._sigma2, self.weight = np.zeros(r), np.zeros(r)
        self._raw, self._rhs, self._work = np.zeros((size, size)), np.zeros(size), np.zeros((3, size))
        self.n = 0.0

    @property
    def caution(self) -> float:
        """Share of the posterior sd that is sampled (see ``hier_ts``)."""
        return min(1.0, self._start * sqrt(1.0 + self.n / self._rows))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:
        """Take note of new sums: ``reading`` (S, W) over ψ, of which the rows ``changed`` differ."""
        for unit in changed:
            kernels.factored.refresh_unit(
                unit,
                reading[unit],
                self._width,
                self.sizes[unit],
                self._center,
                self._precision[unit],
                self._u,
                self._v,
                self._z,
                self._schur,
                self._reduced,
                self._scalars,
                self._raw,
                self._rhs,
            )
        self.n = kernels.hierarchical.refresh_root(
            self._root_precision,
            self._prior_logdet,
            self._noise,
            self._noise_weight,
            self._schur,
            self._reduced,
            self._scalars,
            self._u0,
            self._mean0,
            self._sigma2,
            self.weight,
        )

    def points(self, unit: int, shared: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean, own and whole variance, each (R, P), of shared·θ₀ + ψ·u_s + m for ψ in ``points`` (P,
        size).
        """
        shape = (len(self.weight), len(points))
        mean, own, whole = np.empty(shape), np.empty(shape), np.empty(shape)
        for ratio in range(shape[0]):
            kernels.factored.score_points(
                shared,
                points,
                self._center,
                self.sizes[unit],
                self._u[ratio, unit],
                self._v[ratio, unit],
                self._z[ratio, unit],
                self._u0[ratio],
                self._mean0[ratio],
                float(self._sigma2[ratio]),
                mean[ratio],
                own[ratio],
                whole[ratio],
                self._work,
            )
        return mean, own, whole

    def effects(self, unit: int, points: Floats) -> tuple[Floats, Floats]:
        """Mean and variance, each (R, P), of the parameter effects z·λ_s that ``points`` (P, size) stand
        for.
        """
        mean, own, _ = self.points(unit, np.zeros(self.dimension), points)
        return mean, own
