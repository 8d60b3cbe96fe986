"""UCB-V."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["UcbV"]


class UcbV(Policy):
    """The arm with the largest empirical-Bernstein upper confidence bound; arms without rewards first.

        index_a = m̂_a + √(2 V_a ζ ln t / n_a) + 3 c ζ ln t / n_a,   V_a = Σr²/n − m̂²,   t = Σ n

    ζ = c = 1 are the paper's experiments; its regret theorem needs ζ > 1. Choose it where composite rewards
    vary little: the bound shrinks with the observed variance, where UCB1's assumes the worst.

    References
    ----------
    Audibert, Munos & Szepesvári (2009), Theoretical Computer Science 410, §3.
    """

    def __init__(self, setting: Setting) -> None:
        self._zeta, self._c = setting.number("zeta"), setting.number("c")
        self._index = np.zeros(len(setting.arms))
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        kernels.indices.ucb_v_index(reading, self._zeta, self._c, self._index)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.indices.argmax_pmf(self._index, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
