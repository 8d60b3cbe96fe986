"""KL-UCB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["KlUcb"]


class KlUcb(Policy):
    """The arm with the largest upper confidence bound by relative entropy; arms without rewards first.

        index_a = max{ q : n_a d(m̂_a, q) ≤ f(t) },   d(p, q) = p ln(p/q) + (1−p) ln((1−p)/(1−q)),   t = Σ n

    ``level`` "ln(1+t ln^2 t)": f of the finite-time theorem; "ln t": f = ln t + ``c`` ln ln t, with c = 0
    that of most experiments. The index is found by Newton's method on portable logarithms. Asymptotically
    optimal for successes and failures, and valid for any reward in [0, 1]. Choose it where context does not
    matter and a deterministic rule is wanted; far better than UCB1 where means are near 0 or 1.

    References
    ----------
    Garivier & Cappé (2011), COLT; Lattimore & Szepesvári (2020), Bandit Algorithms, Theorem 10.6.
    """

    def __init__(self, setting: Setting) -> None:
        self._finite_time = setting.parameters["level"] != "ln t"
        self._c = setting.number("c")
        self._index = np.zeros(len(setting.arms))
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        kernels.indices.kl_ucb_index(reading, self._finite_time, self._c, self._index)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.indices.argmax_pmf(self._index, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
