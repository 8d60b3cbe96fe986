"""The hierarchical model over strategies and parameter effects, for spaces too large to list."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from .. import kernels
from ..parameters import Range
from ..space import ArmSpace
from .base import Floats
from .tree import TreePosterior, scales_of

__all__ = ["FactoredModel"]


class FactoredModel:
    """``HierarchicalModel`` with the strategies as rows of the sums, over ψ = (φ, z).

    Effects of a listed parameter's values have the prior sd ``sd_parameter``; the Chebyshev coefficients of a
    range's cubic have ``sd_parameter``/1, /2, /3: smooth before the data speak.

    Attributes
    ----------
    optimism : posterior sds added to each mean (see ``hier_ts``).
    sizes (S,) : unknowns of each strategy, ``dimension`` of them for the context.
    """

    def __init__(self, space: ArmSpace, groups: Sequence[int], number: dict[str, float]) -> None:
        self.dimension = 1 + len(groups)
        self._width = self.dimension + space.extra
        self._start, self._rows = number["caution"], number["caution_rows"]
        self.optimism = number["optimism"]
        scales = scales_of(number)
        columns = [c.columns(groups) for c in scales]
        nodes = []
        for parameters in space.parameters:
            sds = [list(own) for _, own in columns]
            for parameter in parameters:
                smooth = isinstance(parameter.values, Range)
                for row, c in zip(sds, scales, strict=True):
                    row += [c.parameter / (1 + i if smooth else 1) for i in range(parameter.columns)]
            nodes.append(sds)
        self._tree = TreePosterior([shared for shared, _ in columns], nodes, number)
        self.sizes = [len(sds[0]) for sds in nodes]

    @property
    def weight(self) -> Floats:
        """Probability of each ratio (R,)."""
        return self._tree.weight

    @property
    def caution(self) -> float:
        """Share of the posterior sd that is sampled (see ``hier_ts``)."""
        return min(1.0, self._start * sqrt(1.0 + self._tree.n / self._rows))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:
        """Take note of new sums: ``reading`` (S, W) over ψ, of which the rows ``changed`` differ."""
        tree = self._tree
        for unit in changed:
            kernels.factored.refresh_unit(
                unit,
                reading[unit],
                self._width,
                self.sizes[unit],
                tree.center,
                tree.precision[unit],
                tree.u,
                tree.v,
                tree.z,
                tree.schur,
                tree.reduced,
                tree.scalars,
                tree.raw,
                tree.rhs,
            )
        tree.solve_root()

    def points(self, unit: int, shared: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean, own and whole variance, each (R, P), of shared·θ₀ + ψ·u_s + m for ψ in ``points``."""
        tree = self._tree
        shape = (len(tree.weight), len(points))
        mean, own, whole = np.empty(shape), np.empty(shape), np.empty(shape)
        for ratio in range(shape[0]):
            kernels.factored.score_points(
                shared,
                points,
                tree.center,
                self.sizes[unit],
                tree.u[ratio, unit],
                tree.v[ratio, unit],
                tree.z[ratio, unit],
                tree.u0[ratio],
                tree.mean0[ratio],
                float(tree.sigma2[ratio]),
                mean[ratio],
                own[ratio],
                whole[ratio],
                tree.work,
            )
        return mean, own, whole

    def effects(self, unit: int, points: Floats) -> tuple[Floats, Floats]:
        """Mean and variance, each (R, P), of the parameter effects z·λ_s at ``points`` (P, size)."""
        mean, own, _ = self.points(unit, np.zeros(self.dimension), points)
        return mean, own

    def moments(self, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
        """Mean and sd over the ratios."""
        return self._tree.moments(mean, variance)
