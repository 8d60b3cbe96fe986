"""The shortest decimal of many floats at once, as ``repr`` and canonical JSON spell them.

Of all decimals that are read back as the float, those with the fewest digits, and of these the nearest one.

References
----------
Giulietti (2022), The Schubfach way to render doubles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..jit import kernel
from ..persistence.wire import Bytes, Integers

__all__ = ["LONGEST_FLOAT", "spell_floats", "write_number"]

LONGEST_FLOAT = 25
"""Bytes of room that a float needs."""

_LEAST_POWER, _MOST_POWER = -292, 324
_LOW = np.uint64(0xFFFFFFFF)
_FRACTION = (1 << 52) - 1
_BIAS = 1075


def _power(k: int) -> tuple[int, int]:
    """10ᵏ as an integer of 128 bits whose highest is 1, rounded up: its halves."""
    above, below = (10**k, 1) if k >= 0 else (1, 10**-k)
    shift = 128 - (above.bit_length() - below.bit_length())
    value = _ratio(above, below, shift)
    if value.bit_length() > 128:
        value = _ratio(above, below, shift - 1)
    return value >> 64, value & ((1 << 64) - 1)


def _ratio(above: int, below: int, shift: int) -> int:
    """above · 2^shift / below, rounded up."""
    return -(-(above << max(0, shift)) // (below << max(0, -shift)))


_POWERS = np.array([_power(k) for k in range(_LEAST_POWER, _MOST_POWER + 1)], np.uint64)


def spell_floats(
    values: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Text i is the first ``sizes[i]`` bytes of row i of ``slots``: the float's ``repr``, or ``null`` where
    it is not ``known``; nonsense for what is not finite.
    """
    slots, sizes = np.zeros((len(values), LONGEST_FLOAT), np.uint8), np.zeros(len(values), np.int64)
    _spell(values.view(np.int64), known, slots, sizes)
    return slots, sizes


@kernel
def write_number(value: int, out: Bytes, at: int) -> int:
    """Write an integer's digits; returns where they end."""
    if value < 0:
        out[at] = 45
        at += 1
        value = -value
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    for i in range(digits - 1, -1, -1):
        out[at + i] = 48 + value % 10
        value //= 10
    return at + digits


@kernel
def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The 128 bits of a · b, the higher half first."""
    half = np.uint64(32)
    a1, a0, b1, b0 = a >> half, a & _LOW, b >> half, b & _LOW
    low, middle, other = a0 * b0, a1 * b0, a0 * b1
    carried = (low >> half) + (middle & _LOW) + (other & _LOW)
    high = a1 * b1 + (middle >> half) + (other >> half) + (carried >> half)
    return high, (carried << half) | (low & _LOW)


@kernel
def _scaled(high: np.uint64, low: np.uint64, factor: np.uint64) -> np.uint64:
    """The highest 64 bits of the product, the lowest of them set where anything is behind them."""
    above, _ = _product(low, factor)
    most, rest = _product(high, factor)
    behind = rest + above
    if behind < rest:
        most += np.uint64(1)
    return most | np.uint64(behind > np.uint64(1))


@kernel
def _shortest(bits: int) -> tuple[int, int]:
    """Digits d and power p of the shortest decimal d · 10ᵖ of a positive float, which is told by its bits."""
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    fraction, exponent = bits & _FRACTION, (bits >> 52) & 2047
    c, q = (fraction | (1 << 52), exponent - _BIAS) if exponent else (fraction, 1 - _BIAS)
    closer = fraction == 0 and exponent > 1  # the float below is nearer than the one above
    center = np.uint64(4 * c)
    k = (q * 1262611 - (524031 if closer else 0)) >> 22  # ⌊log₁₀ 2^q⌋, or of ¾ · 2^q
    h = np.uint64(q + ((-k * 1741647) >> 19) + 1)
    high, low = _POWERS[-k - _LEAST_POWER, 0], _POWERS[-k - _LEAST_POWER, 1]
    below = _scaled(high, low, (center - (one if closer else two)) << h)
    exact = _scaled(high, low, center << h)
    above = _scaled(high, low, (center + two) << h)
    odd = np.uint64(c & 1)  # an odd float's bounds belong to its neighbours
    below += odd
    above -= odd
    s = exact >> two
    if s >= np.uint64(10):
        tens = s // np.uint64(10)
        forty = np.uint64(40) * tens
        down, up = below <= forty, forty + np.uint64(40) <= above
        if down != up:
            return int(np.int64(tens)) + (1 if up else 0), k + 1
    whole = four * s
    down, up = below <= whole, whole + four <= above
    if down != up:
        return int(np.int64(s)) + (1 if up else 0), k
    middle = whole + two
    up = exact > middle or (exact == middle and (s & one) == one)
    return int(np.int64(s)) + (1 if up else 0), k


@kernel
def _spell(
    bits: Integers, known: npt.NDArray[np.bool_], slots: npt.NDArray[np.uint8], sizes: Integers
) -> None:
    for i in range(bits.shape[0]):
        out = slots[i]
        if not known[i]:
            out[0], out[1], out[2], out[3] = 110, 117, 108, 108
            sizes[i] = 4
            continue
        to = 0
        if bits[i] < 0:
            out[0] = 45
            to = 1
        magnitude = bits[i] & ((1 << 63) - 1)
        if magnitude == 0:
            out[to], out[to + 1], out[to + 2] = 48, 46, 48
            sizes[i] = to + 3
            continue
        digits, power = _shortest(magnitude)
        while digits % 10 == 0:
            digits //= 10
            power += 1
        count = 1
        rest = digits
        while rest >= 10:
            rest //= 10
            count += 1
        point = count + power  # digits before the point
        if point > 16 or point < -3:  # d.ddde±xx
            write_number(digits, out, to + 1)
            out[to] = out[to + 1]
            to += 1
            if count > 1:
                out[to] = 46
                to += count
            out[to] = 101
            out[to + 1] = 45 if point < 1 else 43
            shift = abs(point - 1)
            to += 2
            if shift < 10:
                out[to] = 48
                to += 1
            to = write_number(shift, out, to)
        elif point <= 0:
            out[to], out[to + 1] = 48, 46
            to += 2
            for _ in range(-point):
                out[to] = 48
                to += 1
            to = write_number(digits, out, to)
        elif power >= 0:
            to = write_number(digits, out, to)
            for _ in range(power):
                out[to] = 48
                to += 1
            out[to], out[to + 1] = 46, 48
            to += 2
        else:
            write_number(digits, out, to + 1)
            for j in range(to, to + point):
                out[j] = out[j + 1]
            out[to + point] = 46
            to += count + 1
        sizes[i] = to
