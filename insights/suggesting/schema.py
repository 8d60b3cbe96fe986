"""From the values of a column to the feature that takes them, each as it stands in the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...features import Categorical, Feature, Flag, Numeric, Ordinal, Value

__all__ = ["MOST_LEVELS", "feature_of", "kind_of"]

MOST_LEVELS = 24
"""Names that get columns of their own; others are encoded as "unknown"."""

_SCALES = (
    (
        "trivial",
        "simple",
        "easy",
        "moderate",
        "medium",
        "normal",
        "hard",
        "complex",
        "very complex",
        "expert",
    ),
    ("none", "very low", "low", "moderate", "medium", "normal", "high", "very high", "urgent", "critical"),
    ("tiny", "xs", "s", "small", "m", "medium", "l", "large", "xl", "huge"),
)
_SKEWED = 100.0  # largest over smallest, in the middle 98 %


def kind_of(values: Sequence[Value]) -> str:
    """Number, text, flag, or nothing."""
    first = next((v for v in values if v is not None), None)
    if first is None:
        return "empty"
    if isinstance(first, bool):
        return "flag"
    return "number" if isinstance(first, (int, float)) else "text"


def feature_of(values: Sequence[Value], fewest: int = 5) -> tuple[Feature, str]:
    """The feature for a column of at least two different values, and its description.

    Names that stand in fewer than ``fewest`` rows get no column of their own.
    """
    optional = None in values
    kind = kind_of(values)
    if kind == "flag":
        return Flag(optional=optional), "true or false"
    if kind == "number":
        return _numeric(np.array([v for v in values if v is not None], np.float64), optional=optional)
    counts = Counter(str(v) for v in values if v is not None)
    for scale in _SCALES:
        if len(counts) > 1 and all(level.lower() in scale for level in counts):
            levels = sorted(counts, key=lambda level: scale.index(level.lower()))
            return Ordinal(levels, optional=optional), " < ".join(levels)
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    often = [level for level in ranked if counts[level] >= fewest][:MOST_LEVELS] or ranked[:2]
    rest = len(counts) - len(often)
    told = f"{len(often)} names" + (f", {rest} rarer ones unknown" if rest else "")
    return Categorical(sorted(often), optional=optional), told


def _numeric(
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]], *, optional: bool
) -> tuple[Feature, str]:
    low, high = (float(q) for q in np.quantile(numbers, [0.01, 0.99], method="nearest"))
    if low >= high or len(np.unique(numbers)) <= 12:
        low, high = float(numbers.min()), float(numbers.max())
    if low >= high:  # the values are equal, and only whether there is one differs
        high = low + max(1.0, abs(low))
    log = low > 0.0 and high / low >= _SKEWED
    if high - low < 1e-8 * max(abs(low), abs(high)):
        low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
    low, high = _round(low, down=True), _round(high, down=False)
    told = f"{low:g} to {high:g}" + (", logarithmic" if log else "")
    return Numeric(low, high, log=log and low > 0.0, optional=optional), told


def _round(value: float, *, down: bool) -> float:
    """Three digits, outwards: bounds are read by people."""
    if value == 0.0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(abs(value))) - 2.0)
    return float(f"{(np.floor if down else np.ceil)(value / step) * step:.3g}")
