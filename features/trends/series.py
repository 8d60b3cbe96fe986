"""From values at times to a regular series: means of buckets of equal length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import InputInvalid, shown

__all__ = ["MOST_BUCKETS", "Series", "bucket_of", "series_of"]

Floats = npt.NDArray[np.float64]

MOST_BUCKETS = 2000
"""Buckets of a series: of a longer one the newest are taken."""

_LATEST = 1e12
_WIDTHS_S = (60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 86400.0, 7 * 86400.0, 28 * 86400.0)
_WANTED = 120  # buckets that a width shall give, at most
_ROWS_OF_A_BUCKET = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Means of buckets: ``start`` of the first in seconds, ``width_s`` of each, ``mean`` and ``count`` (T,).

    A bucket without values has the count 0 and the mean NaN.
    """

    start: float
    width_s: float
    mean: Floats
    count: Floats


def bucket_of(times: Sequence[float]) -> float:
    """A width for buckets: the shortest that holds 3 rows on average, and gives at most 120 buckets."""
    span = max(times) - min(times)
    for width in _WIDTHS_S:
        buckets = span / width + 1.0
        if buckets <= _WANTED and len(times) >= _ROWS_OF_A_BUCKET * buckets:
            return width
    return next((w for w in _WIDTHS_S if span / w + 1.0 <= _WANTED), _WIDTHS_S[-1])


def series_of(times: Sequence[float], values: Sequence[float], width_s: float) -> Series:
    """Put values into buckets that begin at multiples of ``width_s``. Rows may come in any order.

    Raises
    ------
    InputInvalid : a time or value that is no finite number, no values, or a width that is not positive.
    """
    known = np.array(times, np.float64), np.array(values, np.float64)
    good = len(known[0]) == len(known[1]) > 0 and 0.0 < width_s < _LATEST
    if not good or not all(np.isfinite(k).all() for k in known) or np.abs(known[0]).max() >= _LATEST:
        raise InputInvalid(
            "a series cannot be made of these values",
            expected="finite values at finite times in seconds, at least one, and a positive width",
            found=f"{len(known[1])} values at {len(known[0])} times, width {shown(width_s)}",
            fix="leave values out that are missing",
        )
    place = np.floor(known[0] / width_s).astype(np.int64)
    place -= max(int(place.min()), int(place.max()) - MOST_BUCKETS + 1)
    kept = place >= 0
    start = float(np.floor(known[0].max() / width_s) - place.max()) * width_s
    count = np.bincount(place[kept]).astype(np.float64)
    total = np.bincount(place[kept], known[1][kept])
    mean = np.where(count > 0.0, total / np.maximum(count, 1.0), np.nan)
    return Series(start, float(width_s), mean, count)
