"""The arrays of a hierarchical posterior: one node a strategy, a root for what all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from ... import ieee
from .. import kernels
from .base import Floats

__all__ = ["WEAKEST", "Scales", "TreePosterior", "scales_of"]

WEAKEST = 1e-6
"""Least prior precision, in units of the noise: with less, effects that only the prior tells apart (the
overall level from those of the strategies, say) would lose their digits after many rewards."""


class Scales(NamedTuple):
    """Prior sds of the five kinds of effects, at the prior noise variance."""

    level: float
    context: float
    strategy: float
    parameter: float
    interaction: float

    def times(self, ratio: float) -> Scales:
        """Interactions times the ratio, other effects times its root; the overall level stays.

        How much contexts tell arms apart is what differs most from one kind of work to another.
        """
        root = sqrt(ratio)
        return Scales(
            self.level,
            root * self.context,
            root * self.strategy,
            root * self.parameter,
            ratio * self.interaction,
        )

    def columns(self, groups: Sequence[int]) -> tuple[list[float], list[float]]:
        """Prior sds of the effects that all arms share, and of a strategy's own on the columns of φ.

        ``groups[j]``: the feature that column j + 1 of φ belongs to; the sds of columns are divided by
        √(number of features), so that a wide context is not taken for a wild one.
        """
        scale, count = sqrt(max(1, len(set(groups)))), len(groups)
        shared = [self.level] + [self.context / scale] * count
        own = [self.strategy] + [self.interaction / scale] * count
        return shared, own


def scales_of(number: Mapping[str, float]) -> tuple[Scales, ...]:
    """The scales that a policy's settings consider: one for each ratio."""
    kinds = ("global", "context", "strategy", "parameter", "interaction")
    scales = Scales(*(number[f"sd_{kind}"] for kind in kinds))
    return tuple(scales.times(ratio) for ratio in sorted({number["ratio_low"], number["ratio_high"]}))


class TreePosterior:
    """Priors, factors and solution for some ratios: prior sds that are weighed against each other.

    ``shared_sds`` (R, D): of the root's unknowns; ``node_sds`` (S, R, size): of each node's.

    Attributes
    ----------
    precision (S, R, M) : prior precision of each node's unknowns, in units of the noise.
    root_precision (R, D), prior_logdet (R,), center, noise, noise_weight : as in
        ``kernels.elimination.refresh_root``.
    sizes (S,) : how many unknowns a node has.
    u, v, z, schur, reduced, scalars : eliminated nodes, as in
        ``kernels.hierarchical.refresh_node``.
    u0, mean0, sigma2 : solved root.
    weight (R,) : posterior probability of each ratio. n : rewards in all.
    """

    def __init__(
        self,
        shared_sds: Sequence[Sequence[float]],
        node_sds: Sequence[Sequence[Sequence[float]]],
        number: Mapping[str, float],
    ) -> None:
        self.center = number["mean"]
        self.noise, self.noise_weight = number["noise"], number["noise_weight"]
        r, s, d = len(shared_sds), len(node_sds), len(shared_sds[0])
        self.sizes = np.array([len(sds[0]) for sds in node_sds], np.int64)
        size = int(self.sizes.max())
        self.root_precision = np.maximum(WEAKEST, self.noise / np.array(shared_sds) ** 2)
        self.precision = np.ones((s, r, size))
        logs: dict[tuple[float, ...], list[list[float]]] = {}  # most nodes have the same prior
        nodes = [0.0] * r
        for node, sds in enumerate(node_sds):
            precision = np.maximum(WEAKEST, self.noise / np.array(sds) ** 2)
            self.precision[node, :, : len(sds[0])] = precision
            if tuple(sds[0]) not in logs:
                logs[tuple(sds[0])] = [[ieee.log(float(p)) for p in row] for row in precision]
            for ratio, row in enumerate(logs[tuple(sds[0])]):
                for term in row:
                    nodes[ratio] += term
        root = [sum(ieee.log(float(p)) for p in row) for row in self.root_precision]
        self.prior_logdet = np.array([a + b for a, b in zip(root, nodes, strict=True)])
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
        self.n = kernels.elimination.refresh_root(
            self.root_precision,
            self.prior_logdet,
            self.noise,
            self.noise_weight,
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
