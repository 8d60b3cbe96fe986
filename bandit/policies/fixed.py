"""One arm, always."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import SpecInvalid
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["Fixed"]


class Fixed(Policy):
    """The named arm (``arm``, by default the spec's baseline arm) with probability 1.

    A strategy with several arms shares the mass equally among them. Where none of them is eligible, all
    eligible arms share it. Choose it as the static yardstick, or to serve one arm while everything is logged.

    Raises
    ------
    ArmUnknown : the arm is not part of the spec.
    SpecInvalid : no arm is named and the spec has no baseline arm.
    """

    def __init__(self, setting: Setting) -> None:
        name = str(setting.parameters["arm"])
        if name:
            self._arms = sorted(setting.arms.resolve([name]))
        elif setting.baseline >= 0:
            self._arms = [setting.baseline]
        else:
            raise SpecInvalid(
                "the policy 'fixed' does not know which arm to serve",
                expected='PolicySpec("fixed", arm=…), or a baseline_arm in the spec',
                found="neither",
                fix="name the arm",
            )
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        out[:] = 0.0
        for arm in self._arms:
            out[arm] = float(eligible[arm])
        if not out.any():
            out[:] = eligible
        out /= out.sum()

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
