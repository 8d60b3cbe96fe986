"""River's detectors behind one small interface.

River is loaded when the first detector is made: importing its drift module takes seconds, and most processes
never need it. A detector's state is never stored: whoever needs it again feeds it the same values again. NaN
would poison it for good, so a value that is not finite is refused before it gets there.
"""

from __future__ import annotations

from typing import Any, Protocol

from ...errors import InputInvalid, shown

__all__ = ["Detector", "adwin", "page_hinkley"]


class Detector(Protocol):
    """Takes one number after the other, and tells when they are no longer what they were."""

    def update(self, value: float) -> bool:
        """Take the next value; True where it gives the alarm. ``InputInvalid`` for NaN and infinity."""


class _River:
    def __init__(self, model: Any) -> None:
        self._model = model

    def update(self, value: float) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0.0:
            raise InputInvalid(
                "a detector was given something that is no finite number",
                expected="a finite number",
                found=shown(value),
                fix="leave the value out where it is missing",
            )
        self._model.update(float(value))
        return bool(self._model.drift_detected)


def adwin(delta: float = 0.3, clock: int = 1) -> Detector:
    """River's ADWIN: values in [0, 1], both directions."""
    from river.drift import ADWIN  # noqa: PLC0415 (see above)

    return _River(ADWIN(delta=delta, clock=clock))  # type: ignore[no-untyped-call]


def page_hinkley(delta: float = 0.5, threshold: float = 8.0) -> Detector:
    """River's Page–Hinkley test without forgetting, both directions."""
    from river.drift import PageHinkley  # noqa: PLC0415

    return _River(PageHinkley(delta=delta, threshold=threshold, alpha=1.0))
