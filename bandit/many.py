"""The pmfs of many decisions that know the same sums, without a draw from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from . import kernels
from .joint import JointChooser
from .policies.base import Floats

__all__ = ["ManyChooser", "Readings", "Run"]


class Readings(NamedTuple):
    """What the sums read at some steps of a fold, from the present sums on.

    At step g the arms ``arms[begins[g]:begins[g + 1]]`` read anew: ``rows[begins[g]:begins[g + 1]]``.
    """

    begins: npt.NDArray[np.int64]
    arms: npt.NDArray[np.int64]
    rows: Floats


class Run(NamedTuple):
    """Decisions ``begin`` to before ``end`` know the sums at ``step``; ``eligible`` as in ``allowed``."""

    step: int
    begin: int
    end: int
    eligible: tuple[int, ...] | None


class ManyChooser(JointChooser):
    """A chooser among listed arms that derives again what was chosen.

    Two choosers over one ``Sums`` must not take turns unless all arms are marked stale in between: each
    takes note of a change only once.
    """

    def masses(
        self,
        chosen: npt.NDArray[np.int64],
        phi: Floats,
        allowed: Sequence[tuple[int, ...] | None],
        out: npt.NDArray[np.int64],
        held: npt.NDArray[np.bool_],
    ) -> None:
        """Write the pmf of the decisions ``chosen`` in units of 2⁻³² to their rows of ``out`` (n, K).

        ``phi`` (n, D) are encoded contexts in natural units, ``allowed`` the eligible arms, None for all;
        ``held`` (n,) is set where the policy holds back and the baseline is kept.
        """
        self._refresh()
        places = chosen.tolist()
        for eligible, alike in itertools.groupby(places, allowed.__getitem__):
            rows = list(alike)
            if self._holds_back(eligible):
                held[rows] = True
                out[rows] = self._kept(eligible)
            elif self._policy.reads_context:
                made = np.zeros((len(rows), out.shape[1]), np.int64)
                self._policy.masses(phi[rows], self._mask(eligible), self._floor, made)
                out[rows] = made
            else:
                mask = self._mask(eligible)
                self._policy.pmf(self._no_context, mask, self._pmf)
                kernels.choice.quantise(self._pmf, mask, self._floor, self._units)
                out[rows] = self._units

    @property
    def reads_only_sums(self) -> bool:
        """True where a pmf follows from what the sums read: not from their blocks, nor from a bound."""
        return self._forgetting is None and self._conservative is None

    def masses_at(
        self, readings: Readings, runs: Iterable[Run], phi: Floats, out: npt.NDArray[np.int64]
    ) -> None:
        """``masses`` of decisions that know sums to come, in the order of the steps; ``reads_only_sums`` is
        true. The sums are to be folded to the last step before they are read again.
        """
        self._refresh()
        reading, policy = self._sums.reading.copy(), self._policy
        begins, arms = readings.begins.tolist(), readings.arms.tolist()
        at = 0
        for step, begin, end, eligible in runs:
            while at <= step:
                first, last = begins[at], begins[at + 1]
                at += 1
                if first < last:
                    changed = arms[first:last]
                    reading[changed] = readings.rows[first:last]
                    policy.refresh(reading, changed)
            mask = self._mask(eligible)
            if policy.reads_context:
                policy.masses(phi[begin:end], mask, self._floor, out[begin:end])
            else:
                policy.pmf(self._no_context, mask, self._pmf)
                kernels.choice.quantise(self._pmf, mask, self._floor, self._units)
                out[begin:end] = self._units

    def _refresh(self) -> None:
        if self._forgetting is not None:
            if self._forgetting.due:
                changed = self._forgetting.refresh()
                self._policy.refresh(self._forgetting.reading, changed)
        elif self._sums.stale:
            changed = self._sums.refresh()
            self._policy.refresh(self._sums.reading, changed)
