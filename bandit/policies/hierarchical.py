"""The hierarchical linear model that ``hier_ts``, ``hier_ucb`` and ``square_cb`` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import kernels
from ..strategies import listed
from .base import Contenders, Floats, Setting
from .tree import Scales, TreePosterior, scales_of

__all__ = ["HierarchicalModel"]


class HierarchicalModel:
    """One Bayesian linear model for all arms.

        r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise

    θ₀: overall level and context effects, shared by all arms; θ_s: a strategy's own level and its strategy ×
    context interactions; λ_s: effects of its parameter levels z. Each kind of effect has a prior sd. What one
    arm teaches about a context, or one parameter level about a strategy, is at once known of the others.

    * The noise variance is read from the sums (normal–inverse-gamma: prior ``noise``, worth ``noise_weight``
      rewards); all prior sds are in units of it, so rewards of small spread need no other settings.
    * The prior sds of interactions are multiplied by ``ratio_low`` or ``ratio_high``, those of other effects
      by its root, that of the overall level by 1. ``weight`` (R,) holds the posterior probabilities of these
      ratios, by marginal likelihood. ``scales`` lists other sds to be weighed in their place.

    The sds of a feature's columns are divided by √(number of features), so that a wide context is
    not taken for a wild one.

    Attributes
    ----------
    mean, own, whole : (R, K) for the context of the last ``score``: posterior mean of each arm's expected
    reward,
        variance of its arm-dependent part φ·θ_s + z·λ_s, and variance of the whole.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, ch. 14 (conjugate linear model); Hong et al. (2022),
    Hierarchical Bayesian Bandits, AISTATS.
    """

    def __init__(self, setting: Setting, scales: Sequence[Scales] = ()) -> None:
        arms, k = setting.arms, len(setting.arms)
        number = {
            name: float(value) for name, value in setting.parameters.items() if not isinstance(value, str)
        }
        scales = scales or scales_of(number)
        counts = [sum(len(listed(s, key)) for key in s.parameters) for s in arms.strategies]
        columns = [c.columns(setting.groups) for c in scales]
        self._tree = TreePosterior(
            [shared for shared, _ in columns],
            [
                [own + [c.parameter] * count for (_, own), c in zip(columns, scales, strict=True)]
                for count in counts
            ],
            number,
        )
        self._spans = np.array([arms.spans[s.name].start for s in arms.strategies] + [k], np.int64)
        self._levels = _level_columns(setting)
        self._node_of = np.repeat(np.arange(len(counts)), np.diff(self._spans))
        r = len(self._tree.weight)
        self.mean, self.own, self.whole = np.zeros((r, k)), np.zeros((r, k)), np.zeros((r, k))

    @property
    def weight(self) -> Floats:
        """Probability of each ratio (R,), after ``refresh``."""
        return self._tree.weight

    @property
    def n(self) -> float:
        """Rewards in all."""
        return self._tree.n

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:
        """Take note of new sums, as ``Policy.refresh`` does."""
        tree = self._tree
        for node in sorted({int(self._node_of[arm]) for arm in changed}):
            kernels.hierarchical.refresh_node(
                node,
                reading,
                self._spans,
                tree.sizes,
                self._levels,
                tree.center,
                tree.precision[node],
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

    def score(self, phi: Floats) -> None:
        """Write ``mean``, ``own`` and ``whole`` for a context φ (D,)."""
        kernels.hierarchical.score(phi, *self.scoring())

    def scoring(self) -> tuple[Any, ...]:
        """What ``kernels.hierarchical.score`` reads and writes, behind φ."""
        tree = self._tree
        return (
            self._spans,
            tree.sizes,
            self._levels,
            tree.center,
            tree.u,
            tree.v,
            tree.z,
            tree.u0,
            tree.mean0,
            tree.sigma2,
            self.mean,
            self.own,
            self.whole,
            tree.work,
        )

    @property
    def noise_variance(self) -> float:
        """Noise variance under the most probable scales."""
        return float(self._tree.sigma2[int(np.argmax(self.weight))])

    @property
    def level(self) -> float:
        """Posterior mean of the overall level m + θ₀₁ under the most probable scales."""
        return self._tree.center + float(self._tree.mean0[int(np.argmax(self.weight)), 0])

    def layout(self) -> tuple[Any, ...]:
        """What compiled loops read and write: the last arguments of ``simulation.lockstep.hierarchical``."""
        tree = self._tree
        return (
            self._spans,
            tree.sizes,
            self._levels,
            self._node_of,
            tree.center,
            tree.precision,
            tree.root_precision,
            tree.prior_logdet,
            tree.noise,
            tree.noise_weight,
            tree.u,
            tree.v,
            tree.z,
            tree.schur,
            tree.reduced,
            tree.scalars,
            tree.raw,
            tree.rhs,
            tree.u0,
            tree.mean0,
            tree.sigma2,
            tree.weight,
            tree.work,
            self.mean,
            self.own,
            self.whole,
        )

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and sd (K,), (K,) of each arm's expected reward, for the context of the last ``score``."""
        return self._tree.moments(self.mean, self.whole)

    def contenders(self, phi: Floats) -> Contenders:
        """What is known of the arms in a context φ (D,), under each ratio."""
        self.score(phi)
        return Contenders(self.weight.copy(), self.mean.copy(), self.own.copy(), self.whole.copy())


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
