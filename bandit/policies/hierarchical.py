"""The hierarchical linear model that ``hier_ts``, ``hier_ucb`` and ``square_cb`` share."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from ... import ieee
from .. import kernels
from ..arms import listed
from .base import Floats, Setting

__all__ = ["WEAKEST", "HierarchicalModel"]

WEAKEST = 1e-6
"""Least prior precision, in units of the noise: with less, effects that only the prior tells apart (the
overall level from those of the strategies, say) would lose their digits after many rewards."""


class HierarchicalModel:
    """One Bayesian linear model for all arms.

        r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise

    θ₀: overall level and context effects, shared by all arms; θ_s: a strategy's own level and its strategy ×
    context interactions; λ_s: effects of its parameter levels z. Each kind of effect has a prior sd. What one
    arm teaches about a context, or one parameter level about a strategy, is at once known of the others.

    * The noise variance is read from the sums (normal–inverse-gamma: prior ``noise``, worth ``noise_weight``
      rewards); all prior sds are in units of it, so rewards of small spread need no other settings.
    * All prior sds at once are multiplied by ``ratio_low`` or ``ratio_high``; ``weight`` (R,) holds the
      posterior
      probabilities of these ratios, by marginal likelihood.

    The sds of a feature's columns are divided by √(number of features), so that a wide context is
    not taken for a wild one.

    Attributes
    ----------
    weight : (R,) probability of each ratio, after ``refresh``. n : rewards in all.
    mean, own, whole : (R, K) for the context of the last ``score``: posterior mean of each arm's expected
    reward,
        variance of its arm-dependent part φ·θ_s + z·λ_s, and variance of the whole.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, ch. 14 (conjugate linear model); Hong et al. (2022),
    Hierarchical Bayesian Bandits, AISTATS.
    """

    def __init__(self, setting: Setting) -> None:
        arms, d = setting.arms, setting.dimension
        number = setting.number
        self._center = number("mean")
        self._noise, self._noise_weight = number("noise"), number("noise_weight")
        ratios: tuple[float, ...] = (number("ratio_low"), number("ratio_high"))
        if ratios[0] == ratios[1]:
            ratios = ratios[:1]
        counts = [sum(len(listed(s, key)) for key in s.parameters) for s in arms.strategies]
        nodes, size, k, r = len(counts), d + max(counts), len(arms), len(ratios)
        self._spans = np.array([arms.spans[s.name].start for s in arms.strategies] + [k], np.int64)
        self._sizes = np.array([d + count for count in counts], np.int64)
        self._levels = _level_columns(setting)
        self._node_of = np.repeat(np.arange(nodes), np.diff(self._spans))

        features = max(1, len(set(setting.groups)))
        root = [number("sd_global")] + [number("sd_context") / sqrt(features)] * (d - 1)
        node = [number("sd_strategy")] + [number("sd_interaction") / sqrt(features)] * (d - 1)
        node += [number("sd_parameter")] * (size - d)
        scale = np.array(ratios)[:, None] ** 2
        self._root_precision = np.maximum(WEAKEST, self._noise / (np.array(root)[None, :] ** 2 * scale))
        self._node_precision = np.maximum(WEAKEST, self._noise / (np.array(node)[None, :] ** 2 * scale))
        self._prior_logdet = np.array(
            [
                sum(ieee.log(float(p)) for p in self._root_precision[i])
                + sum(ieee.log(float(p)) for n in self._sizes for p in self._node_precision[i, :n])
                for i in range(r)
            ]
        )
        self._u = np.zeros((r, nodes, size, size))
        self._v = np.zeros((r, nodes, size, d))
        self._z = np.zeros((r, nodes, size))
        self._schur = np.zeros((r, nodes, d, d))
        self._reduced = np.zeros((r, nodes, d))
        self._scalars = np.zeros((r, nodes, 4))
        self._u0, self._mean0 = np.zeros((r, d, d)), np.zeros((r, d))
        self._sigma2, self.weight = np.zeros(r), np.zeros(r)
        self._raw, self._rhs, self._work = np.zeros((size, size)), np.zeros(size), np.zeros((4, size))
        self.mean, self.own, self.whole = np.zeros((r, k)), np.zeros((r, k)), np.zeros((r, k))
        self.n = 0.0

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:
        """Take note of new sums, as ``Policy.refresh`` does."""
        for node in sorted({int(self._node_of[arm]) for arm in changed}):
            kernels.hierarchical.refresh_node(
                node,
                reading,
                self._spans,
                self._sizes,
                self._levels,
                self._center,
                self._node_precision,
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

    def score(self, phi: Floats) -> None:
        """Write ``mean``, ``own`` and ``whole`` for a context φ (D,)."""
        kernels.hierarchical.score(
            phi,
            self._spans,
            self._sizes,
            self._levels,
            self._center,
            self._u,
            self._v,
            self._z,
            self._u0,
            self._mean0,
            self._sigma2,
            self.mean,
            self.own,
            self.whole,
            self._work,
        )

    def moments(self, *, own: bool = False) -> tuple[Floats, Floats]:
        """Mean and sd (K,), (K,) of each arm's expected reward over the ratios, for the context of the last
        ``score``.

        ``own``: of the arm-dependent part's variance instead of the whole's.
        """
        weight = self.weight[:, None]
        mean = (weight * self.mean).sum(axis=0)
        variance = self.own if own else self.whole
        return mean, np.sqrt((weight * (variance + (self.mean - mean) ** 2)).sum(axis=0))


def _level_columns(setting: Setting) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Column of each arm's parameter levels among its strategy's λ (K, P); −1 where it has fewer."""
    arms = setting.arms
    most = max(len(strategy.parameters) for strategy in arms.strategies)
    columns = np.full((len(arms), max(1, most)), -1, np.int64)
    for strategy in arms.strategies:
        sizes = [len(listed(strategy, key)) for key in sorted(strategy.parameters)]
        for arm in arms.spans[strategy.name]:
            offset = 0
            for p, size in enumerate(sizes):
                columns[arm, p] = offset + arms[arm].levels[p]
                offset += size
    return columns
