"""The pmfs of many decisions that know the same sums, without a draw from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import kernels
from .joint import JointChooser
from .policies.base import Floats

__all__ = ["ManyChooser"]


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

    def _refresh(self) -> None:
        if self._forgetting is not None:
            if self._forgetting.due:
                changed = self._forgetting.refresh()
                self._policy.refresh(self._forgetting.reading, changed)
        elif self._sums.stale:
            changed = self._sums.refresh()
            self._policy.refresh(self._sums.reading, changed)
