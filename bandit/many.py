"""The pmfs of many decisions that know the same sums, without a draw from them."""

from __future__ import annotations

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
        chosen: Sequence[int],
        phi: Floats,
        allowed: Sequence[tuple[int, ...] | None],
        out: npt.NDArray[np.int64],
        held: npt.NDArray[np.bool_],
    ) -> None:
        """Write the pmf of the decisions ``chosen`` in units of 2⁻³² to their rows of ``out`` (n, K).

        ``phi`` (n, D) are encoded contexts in natural units, ``allowed`` the eligible arms, None for all;
        ``held`` (n,) is set where the policy holds back and the baseline is kept.
        """
        last = -1  # the decision before, where contexts say nothing
        for i in chosen:
            eligible = allowed[i]
            if self._holds_back(eligible):
                held[i] = True
                out[i] = self._kept(eligible)
                continue
            if last >= 0 and not self._policy.reads_context and allowed[last] == eligible:
                out[i] = out[last]
                continue
            if last < 0:
                self._refresh()
            mask = self._mask(eligible)
            context = phi[i] if self._policy.reads_context else self._no_context
            self._policy.pmf(context, mask, self._pmf)
            kernels.choice.quantise(self._pmf, mask, self._floor, out[i])
            last = i

    def _refresh(self) -> None:
        if self._forgetting is not None:
            if self._forgetting.due:
                changed = self._forgetting.refresh()
                self._policy.refresh(self._forgetting.reading, changed)
        elif self._sums.stale:
            changed = self._sums.refresh()
            self._policy.refresh(self._sums.reading, changed)
