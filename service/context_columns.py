"""φ of many stored contexts at once: their canonical JSON is read by a compiled loop.

Each rule of ``features.Encoder`` for the values that contexts mostly hold is followed here, to the same bits.
A context that holds anything else (a text with an escape, an integer of more digits than a float has) is not
encoded, and left to the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..bandit.kernels.elementary import log
from ..canonical import quoted
from ..features import ONE, Encoder
from ..features.kinds import Categorical, Feature, Flag, Numeric, Ordinal, columns
from ..features.schema import ContextSchema
from ..ieee import log as plain_log
from ..jit import kernel
from ..persistence.wire import Bytes, Integers
from .spelling import Flags

__all__ = ["ContextColumns"]

Floats = npt.NDArray[np.float64]

_LEVEL, _NUMBER, _FLAG = range(3)
_LINEAR, _LOGARITHMIC, _RANK = range(3)
_MOST_EXACT = 1 << 53
_POWERS = np.array([10.0**i for i in range(23)])
"""All powers of ten that are floats without an error."""


class ContextColumns:
    """Reads the contexts of one schema."""

    def __init__(self, schema: ContextSchema) -> None:
        self.dimension = schema.dimension
        encoder, made, column = Encoder(schema), {}, 1
        for name, feature in schema.items():
            made[name] = (feature, column)
            column += columns(feature)
        # Canonical JSON sorts the keys. Row of a feature: what it is, its first column, may it be missing,
        # the levels' rows, the scale's kind, the quantiles.
        rows: list[tuple[int, ...]] = []
        scales: list[tuple[float, float, float, float]] = []
        texts: list[bytes] = []
        levels: list[bytes] = []
        writes: list[list[int]] = []
        quantiles: list[float] = []
        self.usable = True
        for place, (name, (feature, column)) in enumerate(sorted(made.items())):
            texts.append(f"{',' if place else '{'}{quoted(name)}:".encode())
            first, begin = len(levels), len(quantiles)
            kind, scale, numbers = _FLAG, _LINEAR, (0.0, 0.0, 0.0, 0.0)
            if isinstance(feature, Categorical | Ordinal):
                kind = _LEVEL
                for level in (*feature.levels, None):
                    levels.append(b"" if level is None else quoted(level).encode())
                    writes.append(_written(encoder, schema, name, level, column, columns(feature)))
            elif isinstance(feature, Numeric):
                kind = _NUMBER
                scale, numbers = _scale(feature)
                quantiles += feature.quantiles or ()
                self.usable &= max(abs(feature.low), abs(feature.high)) <= _MOST_EXACT
            rows.append(
                (kind, column, int(feature.optional), first, len(levels), scale, begin, len(quantiles))
            )
            scales.append(numbers)
        texts.append(b"}" if rows else b"{}")
        self._rows = np.array(rows, np.int64).reshape(len(rows), 8)
        self._scales = np.array(scales, np.float64).reshape(len(rows), 4)
        self._texts, self._levels = _joined(texts), _joined(levels)
        width = max((len(write) for write in writes), default=0)
        self._writes = np.array([(*w, *[0] * (width - len(w))) for w in writes], np.int64).reshape(
            len(writes), width
        )
        self._quantiles = np.array(quantiles, np.float64)

    def encode(self, sent: bytes, data: Bytes, place: Integers, length: Integers) -> tuple[Integers, Flags]:
        """φ (n, D) of the contexts that stand in ``data`` (the bytes of ``sent``), and which were encoded.

        One that was is what the encoder makes of it, and its JSON is what the encoder's context would give
        but for the spelling of its numbers.
        """
        count, features = len(place), len(self._rows)
        phi, done = np.zeros((count, self.dimension), np.int64), np.zeros(count, np.bool_)
        if not self.usable:
            return phi, done
        values = np.zeros((count, features))
        far = np.zeros((count, features, 2), np.int64)
        _read(
            data,
            place,
            length,
            *self._texts,
            *self._levels,
            self._rows,
            self._writes,
            phi,
            values,
            far,
            done,
        )
        many = far[:, :, 1]
        for i, f in np.argwhere(many > 0).tolist():
            begin, size = far[i, f].tolist()
            values[i, f] = float(sent[begin : begin + size])
        _place(self._rows, self._scales, self._quantiles, values, phi, done)
        return phi, done


def _joined(texts: Sequence[bytes]) -> tuple[Bytes, Integers]:
    ends = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=ends[1:])
    return np.frombuffer(b"".join(texts), np.uint8), ends


def _written(
    encoder: Encoder, schema: ContextSchema, name: str, level: str | None, column: int, width: int
) -> list[int]:
    """What the encoder writes to a feature's columns for a level, None for one that was never declared."""
    feature = schema[name]
    known = feature.levels if isinstance(feature, Categorical | Ordinal) else ()
    text = level
    if text is None:
        text = "?"
        while text in known:
            text += "?"
    context = {other: _any_value(told) for other, told in schema.items()}
    _, phi = encoder.encode({**context, name: text})
    return phi[column : column + width]


def _any_value(feature: Feature) -> str | float | bool:
    match feature:
        case Numeric():
            return feature.low
        case Flag():
            return True
        case _:
            return feature.levels[0]


def _scale(feature: Numeric) -> tuple[int, tuple[float, float, float, float]]:
    """As in ``features.encoding``: kind, low, high, where the scale starts, and its steps."""
    low, high = float(feature.low), float(feature.high)
    if feature.quantiles is not None:
        return _RANK, (low, high, 0.0, float(len(feature.quantiles) - 1))
    if feature.log:
        start = plain_log(low)
        return _LOGARITHMIC, (low, high, start, 2 * ONE / (plain_log(high) - start))
    return _LINEAR, (low, high, feature.low, 2 * ONE / (feature.high - feature.low))


@kernel
def _same(data: Bytes, at: int, end: int, text: Bytes, begin: int, stop: int) -> bool:
    if end - at < stop - begin:
        return False
    for j in range(stop - begin):  # noqa: SIM110 (a generator is not compiled)
        if data[at + j] != text[begin + j]:
            return False
    return True


@kernel
def _null(data: Bytes, at: int, end: int) -> bool:
    return (
        end - at >= 4
        and data[at] == 110
        and data[at + 1] == 117
        and data[at + 2] == 108
        and data[at + 3] == 108
    )


@kernel
def _text_end(data: Bytes, at: int, end: int, most: int) -> int:
    """Behind a JSON text of at most ``most`` printable ASCII characters without an escape; −1 for another."""
    if at >= end or data[at] != 34:
        return -1
    for j in range(at + 1, min(end, at + most + 2)):
        if data[j] == 34:
            return j + 1
        if data[j] < 32 or data[j] > 126 or data[j] == 92:
            return -1
    return -1


@kernel
def _digits(data: Bytes, at: int, end: int) -> int:
    while at < end and 48 <= data[at] <= 57:
        at += 1
    return at


@kernel
def _number(data: Bytes, at: int, end: int) -> tuple[int, float, bool]:
    """Where a JSON number ends (−1 where there is none that can be read so), its value, and whether that is
    exact: a mantissa and a power of ten that floats hold without an error give it by one operation.
    """
    negative = at < end and data[at] == 45
    if negative:
        at += 1
    whole = _digits(data, at, end)
    if whole == at or (data[at] == 48 and whole > at + 1):
        return -1, 0.0, False
    behind, integer, power = whole, True, 0
    if whole < end and data[whole] == 46:
        behind = _digits(data, whole + 1, end)
        if behind == whole + 1:
            return -1, 0.0, False
        integer = False
        power = whole + 1 - behind
    mantissa, count = 0, 0
    for j in range(at, behind):
        if data[j] != 46:
            if count > 0 or data[j] != 48:
                count += 1
            if count <= 15:
                mantissa = mantissa * 10 + int(data[j]) - 48
    stop = behind
    if stop < end and data[stop] in (101, 69):
        integer = False
        stop += 1
        down = stop < end and data[stop] == 45
        if stop < end and data[stop] in (43, 45):
            stop += 1
        last = _digits(data, stop, end)
        if last == stop or last > stop + 4:
            return -1, 0.0, False
        shift = 0
        for j in range(stop, last):
            shift = shift * 10 + int(data[j]) - 48
        power += -shift if down else shift
        stop = last
    if count > 15 or power < -22 or power > 22:
        # An integer of so many digits is compared as such, which floats cannot.
        return (-1 if integer else stop), 0.0, False
    value = np.float64(mantissa)
    value = value * _POWERS[power] if power >= 0 else value / _POWERS[-power]
    return stop, (-value if negative else value), True


@kernel
def _read(
    data: Bytes,
    place: Integers,
    length: Integers,
    texts: Bytes,
    text_ends: Integers,
    levels: Bytes,
    level_ends: Integers,
    rows: Integers,
    writes: Integers,
    phi: Integers,
    values: Floats,
    far: npt.NDArray[np.int64],
    done: Flags,
) -> None:
    """Write levels and flags to φ, and numbers to ``values``; those that take more to read, to ``far``."""
    features = rows.shape[0]
    for i in range(done.shape[0]):
        at = place[i]
        end = at + length[i]
        good = length[i] > 0
        phi[i, 0] = 65536
        for f in range(features):
            if not good or not _same(data, at, end, texts, text_ends[f], text_ends[f + 1]):
                good = False
                break
            at += text_ends[f + 1] - text_ends[f]
            kind, column, optional, first, last = rows[f, 0], rows[f, 1], rows[f, 2], rows[f, 3], rows[f, 4]
            if optional and _null(data, at, end):
                at += 4
                if kind == 0:
                    for j in range(writes.shape[1]):
                        if writes[last - 1, j] != 0:
                            phi[i, column + j] = writes[last - 1, j]
                else:
                    phi[i, column + 1] = 65536
                    values[i, f] = np.nan
            elif kind == 0:
                stop = -1
                chosen = last - 1
                for k in range(first, last - 1):
                    if _same(data, at, end, levels, level_ends[k], level_ends[k + 1]):
                        chosen = k
                        stop = at + level_ends[k + 1] - level_ends[k]
                        break
                if stop < 0:
                    stop = _text_end(data, at, end, 1000)
                if stop < 0:
                    good = False
                    break
                at = stop
                for j in range(writes.shape[1]):
                    if writes[chosen, j] != 0:
                        phi[i, column + j] = writes[chosen, j]
            elif kind == 1:
                stop, value, exact = _number(data, at, end)
                if stop < 0:
                    good = False
                    break
                values[i, f] = value
                if not exact:
                    far[i, f, 0] = at
                    far[i, f, 1] = stop - at
                at = stop
            elif end - at >= 4 and data[at] == 116 and data[at + 1] == 114 and data[at + 2] == 117:
                good = data[at + 3] == 101
                phi[i, column] = 65536
                at += 4
            elif end - at >= 5 and data[at] == 102 and data[at + 1] == 97 and data[at + 2] == 108:
                good = data[at + 3] == 115 and data[at + 4] == 101
                phi[i, column] = -65536
                at += 5
            else:
                good = False
        begin, stop = int(text_ends[features]), int(text_ends[features + 1])
        done[i] = good and end - at == stop - begin and _same(data, at, end, texts, begin, stop)


@kernel
def _rank(quantiles: Floats, begin: int, end: int, number: float) -> float:
    """Position of a number among quantiles, 0 for the first, 1 for each step."""
    first = begin
    while first < end and quantiles[first] < number:
        first += 1
    behind = first
    while behind < end and quantiles[behind] <= number:
        behind += 1
    if first < behind:
        return 0.5 * (first + behind - 1 - 2 * begin)
    low, high = quantiles[first - 1], quantiles[first]
    return float(first - 1 - begin + (number - low) / (high - low))


@kernel
def _place(
    rows: Integers, scales: Floats, quantiles: Floats, values: Floats, phi: Integers, done: Flags
) -> None:
    """Write numbers to φ."""
    for f in range(rows.shape[0]):
        if rows[f, 0] != 1:
            continue
        column, scale = rows[f, 1], rows[f, 5]
        low, high, start, steps = scales[f, 0], scales[f, 1], scales[f, 2], scales[f, 3]
        for i in range(done.shape[0]):
            value = values[i, f]
            if not done[i] or (np.isnan(value) and rows[f, 2]):
                continue
            if not np.isfinite(value):
                done[i] = False
            elif value < low:
                phi[i, column] = -65536
            elif value > high:
                phi[i, column] = 65536
            elif scale == 2:
                position = _rank(quantiles, rows[f, 6], rows[f, 7], value)
                phi[i, column] = np.int64(np.rint(position * 2 * 65536.0 / steps)) - 65536
            else:
                position = log(value) if scale == 1 else value
                placed = int(np.rint((position - start) * steps)) - 65536
                phi[i, column] = min(65536, max(-65536, placed))
