"""Settings that every policy takes: forgetting, and keeping to the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import SpecInvalid, shown

__all__ = ["COMMON_NAMES", "CommonSettings"]

DEFAULT_DELTA = 0.05


@dataclass(frozen=True, slots=True)
class CommonSettings:
    """What ``PolicySpec`` takes beside the floor and the policy's own parameters; None: not used.

    discount : weight that a row keeps with each later row, in (0, 1). window : rows that are read at all.
        idle_discount : weight that a row keeps with each later row *of another arm*, in (0, 1): arms that are
        not played are forgotten, and found again when they have improved. These three are taken in whole
        buckets of the sequence (``BanditSpec.bucket_rows``); see ``bandit.forgetting``.
    past_epochs : weight that an arm's rows keep with each new epoch of the arm, in (0, 1).
    conservative : share of the baseline arm's reward that may be risked, in (0, 1). conservative_delta :
    probability
        with which more than that may be lost, .05 if not given; see ``bandit.conservative``.

    Raises
    ------
    SpecInvalid : a value outside its domain, or conservative_delta without conservative.
    """

    discount: float | None = None
    window: int | None = None
    conservative: float | None = None
    conservative_delta: float | None = None
    idle_discount: float | None = None
    past_epochs: float | None = None

    def __post_init__(self) -> None:
        for name in ("discount", "idle_discount", "past_epochs", "conservative", "conservative_delta"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < 1.0:
                raise _unusable(name, "a number above 0 and below 1", value, _EXAMPLES[name])
            object.__setattr__(self, name, float(value))
        if self.window is not None:
            value = self.window
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 2 <= value <= 1e15:
                raise _unusable("window", "a whole number of rows, at least 2", value, _EXAMPLES["window"])
            if value != int(value):
                raise _unusable("window", "a whole number of rows", value, f"window={int(value)}")
            object.__setattr__(self, "window", int(value))
        if self.conservative_delta is not None and self.conservative is None:
            raise SpecInvalid(
                "'conservative_delta' says nothing without 'conservative'",
                expected="conservative=α beside it",
                found=f"conservative_delta={self.conservative_delta:g} alone",
                fix="add conservative=0.1, or leave conservative_delta out",
            )

    @property
    def forgets(self) -> bool:
        """True where a row's weight is not that of its arm's present epoch, 1."""
        return any(
            value is not None for value in (self.discount, self.window, self.idle_discount, self.past_epochs)
        )

    @property
    def delta(self) -> float:
        """``conservative_delta``, or its default."""
        return DEFAULT_DELTA if self.conservative_delta is None else self.conservative_delta

    def given(self) -> dict[str, Any]:
        """What is used, as plain JSON; empty where nothing is."""
        values = {name: getattr(self, name) for name in _EXAMPLES}
        return {name: value for name, value in values.items() if value is not None}

    def check_against(self, bucket_rows: int, *, baseline: bool) -> None:
        """Raise ``SpecInvalid`` unless buckets are fine enough to forget by and a baseline is named."""
        if self.window is not None and self.window < 2 * bucket_rows:
            _too_coarse(
                f"window={self.window}", "half the window", bucket_rows, self.window // 2, self.window // 10
            )
        for name in ("discount", "idle_discount"):
            discount = getattr(self, name)
            if discount is None or bucket_rows == 1:
                continue
            horizon = (1.0 + 1e-9) / (1.0 - discount)  # rows that count in all
            if 2 * bucket_rows > horizon:
                setting, limit = f"{name}={discount:g}", f"half of 1/(1 − {name})"
                _too_coarse(setting, limit, bucket_rows, int(horizon / 2), int(horizon / 10))
        if self.conservative is not None and not baseline:
            raise SpecInvalid(
                "a conservative policy needs a baseline arm",
                expected="baseline_arm=<arm id> in the BanditSpec",
                found=f"conservative={self.conservative:g}, baseline_arm=None",
                fix="name the arm whose reward must be kept, or leave conservative out",
            )


_EXAMPLES = {
    "discount": "discount=0.999",
    "window": "window=2000",
    "conservative": "conservative=0.1",
    "conservative_delta": "conservative_delta=0.05",
    "idle_discount": "idle_discount=0.998",
    "past_epochs": "past_epochs=0.1",
}
COMMON_NAMES = tuple(_EXAMPLES)


def _unusable(name: str, expected: str, found: object, example: str) -> SpecInvalid:
    return SpecInvalid(
        f"'{name}' of the policy is unusable",
        expected=expected,
        found=shown(found),
        fix=f"for example {example}, or leave it out",
    )


def _too_coarse(setting: str, limit: str, bucket_rows: int, most: int, better: int) -> None:
    raise SpecInvalid(
        f"the buckets of the sums are too coarse to forget by {setting}",
        expected=f"bucket_rows of at most {max(1, most)}, {limit}",
        found=f"bucket_rows={bucket_rows}",
        fix=f"BanditSpec(…, bucket_rows={max(1, better)})",
    )
