"""The contract that every policy keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import kernels
from ..arms import ArmTable

__all__ = ["Contenders", "Floats", "Mask", "Policy", "Setting"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Contenders(NamedTuple):
    """Beliefs about some arms, under each hypothesis r of a model (its ratios of prior sds).

    weight (R,) : probabilities of the hypotheses. mean (R, K) : expected reward. own (R, K) : variance of
    what an arm does not share with all others; it alone decides which is best. whole (R, K) : of all.
    """

    weight: Floats
    mean: Floats
    own: Floats
    whole: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and sd (K,), (K,) of each arm's expected reward, over the hypotheses."""
        weight = self.weight[:, None]
        centre = (weight * self.mean).sum(axis=0)
        return centre, np.sqrt((weight * (self.whole + (self.mean - centre) ** 2)).sum(axis=0))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy is built from: the arms, the columns of φ, and its parameters with defaults filled in.

    ``groups[j]`` is the context feature that column j + 1 of φ belongs to.
    """

    arms: ArmTable
    groups: tuple[int, ...]
    baseline: int
    parameters: Mapping[str, float | str]

    @property
    def dimension(self) -> int:
        """Columns of φ, the leading 1 included."""
        return 1 + len(self.groups)

    @property
    def further(self) -> int:
        """Column of the first further statistic (``Entry.statistics``) in a reading."""
        return 3 + self.dimension + self.dimension * (self.dimension + 1) // 2

    def number(self, name: str) -> float:
        """A numeric parameter."""
        return float(self.parameters[name])


class Policy(ABC):
    """A pure reading of the sums: (sums, φ, eligible arms) → probability of each arm.

    A policy may cache what it computes from the sums in ``refresh``, but the cache must be a pure function of
    the sums: which rewards came in which order, or were taken back, must leave no trace in its bits.
    """

    reads_context: ClassVar[bool] = False
    """True where the pmf depends on φ; otherwise φ may be passed as zeros."""

    @abstractmethod
    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:
        """Take note of new sums.

        ``reading`` (K, W): the statistics in natural units, laid out as in ``kernels.statistics``; rows
        ``changed`` differ from the last call. On the first call, every row is listed.
        """

    def increments(self, propensity: float, reward: int, seq: int) -> tuple[int, ...]:  # noqa: ARG002
        """What one rewarded decision adds to the further statistics of its arm, in units of 2⁻³².

        One integer for each name in the catalog entry's ``statistics``; a pure function, so that the row can
        be added in any order and taken back. ``propensity``: the logged one, or 0 where the policy did not
        choose (a holdout cohort). ``reward``: in units of 2⁻¹⁶. ``seq``: the row's number, from 1.
        """
        return ()

    @abstractmethod
    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:
        """Write the probability of each arm into ``out`` (K,): ≥ 0, 0 where not eligible, sum 1 (± 1e-9).

        ``phi`` (D,) is the encoded context, ``eligible`` (K,) has at least one True. Arms that tie share
        mass.
        """

    def masses(self, phi: Floats, eligible: Mask, floor: float, out: npt.NDArray[np.int64]) -> None:
        """Write ``pmf`` of each context φ (n, D), as ``quantise`` rounds it, to its row of ``out`` (n, K)."""
        pmf = np.zeros(out.shape[1])
        for i in range(len(phi)):
            self.pmf(phi[i], eligible, pmf)
            kernels.choice.quantise(pmf, eligible, floor, out[i])

    @abstractmethod
    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (K,), (K,) of what the policy holds each arm's expected reward to be.

        NaN where the policy holds no belief (an arm without rewards, under a policy without a prior).
        """

    def contenders(self, phi: Floats) -> Contenders:
        """What the policy holds of the arms as rivals of each other: beliefs without what all arms share.

        By default the beliefs, as if no two arms shared anything: independent, and in one hypothesis.
        """
        mean, sd = self.beliefs(phi)
        variance = (sd * sd)[None, :]
        return Contenders(np.ones(1), mean[None, :].copy(), variance, variance)


def sample_beliefs(reading: Floats) -> tuple[Floats, Floats]:
    """Sample mean and its standard error for policies without a model; NaN where n is 0 (or 1)."""
    n, total, squares = reading[:, 0], reading[:, 1], reading[:, 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, total / n, np.nan)
        variance = np.where(n > 1, np.maximum(squares - n * mean * mean, 0.0) / (n - 1), np.nan)
        return mean, np.sqrt(variance / n)
