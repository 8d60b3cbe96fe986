"""KL-Maillard sampling."""

from __future__ import annotations

from collections.abc import Sequence

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["KlMaillard"]


class KlMaillard(Policy):
    """Each arm as often as its data would look like that if it were the best: probabilities by a formula.

        p_a ∝ exp(−n_a d(m̂_a, m̂_max)),   d(p, q) = p ln(p/q) + (1−p) ln((1−p)/(1−q))

    Eligible arms without rewards share all the mass first. Asymptotically optimal for successes and failures.
    Choose it in place of Thompson sampling where there are so many arms that an integral each time is too
    dear, or where a propensity must be explained by a formula.

    References
    ----------
    Qin, Jun & Zhang (2023), Kullback-Leibler Maillard Sampling for multi-armed bandits with bounded rewards,
    NeurIPS.
    """

    def __init__(self, setting: Setting) -> None:  # noqa: ARG002 (one constructor for all policies)
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        if not kernels.shares.share_untried(self._reading, eligible, out):
            kernels.shares.maillard_pmf(self._reading, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
