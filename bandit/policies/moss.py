"""MOSS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["Moss"]


class Moss(Policy):
    """Minimax optimal strategy in the stochastic case, for a known number of decisions T = ``horizon``.

        index_a = m̂_a + √( max(0, ln(T/(K n_a))) / n_a ),   infinite for an arm without rewards

    K counts all arms of the spec. Regret is at most 49 √(K T) whatever the gaps. Choose it for a trial whose
    length is fixed beforehand; after T decisions it hardly explores any more.

    References
    ----------
    Audibert & Bubeck (2009), COLT, Theorem 5.
    """

    def __init__(self, setting: Setting) -> None:
        self._horizon = setting.number("horizon")
        self._index = np.zeros(len(setting.arms))
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        kernels.indices.moss_index(reading, self._horizon, self._index)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.indices.argmax_pmf(self._index, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
