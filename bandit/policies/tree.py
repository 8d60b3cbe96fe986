"""The arrays of a hierarchical posterior: one node a strategy, a root for what all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np

from ... import ieee
from .. import kernels
from .base import Floats

__all__ = ["WEAKEST", "TreePosterior", "effect_sds"]

WEAKEST = 1e-6
"""Least prior precision, in units of the noise: with less, effects that only the prior tells apart (the
overall level from those of the strategies, say) would lose their digits after many rewards."""


def effect_sds(number: Mapping[str, float], groups: Sequence[int]) -> tuple[list[float], list[float]]:
    """Prior sds of the effects that all arms share, and of a strategy's own on the columns of φ.

    ``number``: parameters of the model. ``groups[j]``: the feature that column j + 1 of φ belongs to; the sds
    of columns are divided by √(number of features), so that a wide context is not taken for a wild one.
    """
    scale, columns = sqrt(max(1, len(set(groups)))), len(groups)
    shared = [number["sd_global"]] + [number["sd_context"] / scale] * columns
    own = [number["sd_strategy"]] + [number["sd_interaction"] / scale] * columns
    return shared, own


class TreePosterior:
    """Priors, factors and solution for some ratios (multiples of all prior sds).

    Attributes
    ----------
    precision (S, R, M) : prior precision of each node's unknowns, in units of the noise.
    sizes (S,) : how many unknowns a node has.
    u, v, z, schur, reduced, scalars : eliminated nodes, as in ``kernels.hierarchical``.
    u0, mean0, sigma2 : solved root.
    weight (R,) : posterior probability of each ratio. n : rewards in all.
    """

    def __init__(
        self,
        shared_sds: Sequence[float],
        node_sds: Sequence[Sequence[float]],
        number: Mapping[str, float],
    ) -> None:
        self.center = number["mean"]
        self._noise, self._noise_weight = number["noise"], number["noise_weight"]
        ratios = sorted({number["ratio_low"], number["ratio_high"]})
        scale = np.array(ratios)[:, None] ** 2
        r, s, d = len(ratios), len(node_sds), len(shared_sds)
        self.sizes = np.array([len(sds) for sds in node_sds], np.int64)
        size = int(self.sizes.max())
        self._root_precision = np.maximum(WEAKEST, self._noise / (np.array(shared_sds)[None, :] ** 2 * scale))
        self.precision = np.ones((s, r, size))
        logs: dict[tuple[float, ...], list[list[float]]] = {}  # most nodes have the same prior
        nodes = [0.0] * r
        for node, sds in enumerate(node_sds):
            precision = np.maximum(WEAKEST, self._noise / (np.array(sds)[None, :] ** 2 * scale))
            self.precision[node, :, : len(sds)] = precision
            if tuple(sds) not in logs:
                logs[tuple(sds)] = [[ieee.log(float(p)) for p in row] for row in precision]
            for ratio, row in enumerate(logs[tuple(sds)]):
                for term in row:
                    nodes[ratio] += term
        root = [sum(ieee.log(float(p)) for p in row) for row in self._root_precision]
        self._prior_logdet = np.array([a + b for a, b in zip(root, nodes, strict=True)])
        self.u, self.v = np.zeros((r, s, size, size)), np.zeros((r, s, size, d))
        self.z = np.zeros((r, s, size))
        self.schur, self.reduced = np.zeros((r, s, d, d)), np.zeros((r, s, d))
        self.scalars = np.zeros((r, s, 4))
        self.u0, self.mean0 = np.zeros((r, d, d)), np.zeros((r, d))
        self.sigma2, self.weight = np.zeros(r), np.zeros(r)
        self.raw, self.rhs, self.work = np.zeros((size, size)), np.zeros(size), np.zeros((4, size))
        self.n = 0.0

    def solve_root(self) -> None:
        """Solve the root from all nodes: the shared effects, the noise and the ratios' probabilities."""
        self.n = kernels.hierarchical.refresh_root(
            self._root_precision,
            self._prior_logdet,
            self._noise,
            self._noise_weight,
            self.schur,
            self.reduced,
            self.scalars,
            self.u0,
            self.mean0,
            self.sigma2,
            self.weight,
        )

    def moments(self, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
        """Mean and sd over the ratios, of quantities whose mean and variance (R, …) are given for each."""
        weight = self.weight[:, None]
        centre = (weight * mean).sum(axis=0)
        return centre, np.sqrt((weight * (variance + (mean - centre) ** 2)).sum(axis=0))
