"""From a context to φ: a vector of fixed-point numbers in [−1, 1] whose first entry is 1.

φ is made of integers in units of 2⁻¹⁶, so that sums of products of φ are exact (see ``bandit.sums``).
The columns of each kind:

* categorical: one column a level, and one for "unknown"; a single 1 among them;
* ordinal with m levels at positions x = −1 … 1: x itself, 2x²−1 (from three levels on; the
  Chebyshev pair, so that a middle level may be best), and one column for "unknown";
* numeric: position between the bounds, −1 … 1, on a linear or logarithmic scale, or among quantiles;
* flag: −1 or 1; numeric and flag, if optional: 0 and a second column that says "missing".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias

from .. import ieee
from ..errors import ContextInvalid, shown
from .kinds import MAX_TEXT, UNSTORABLE, Categorical, Feature, Flag, Numeric, Ordinal, Value, columns
from .schema import ContextSchema, invalid_context

__all__ = ["ONE", "Encoder", "groups"]

ONE = 1 << 16
"""The fixed-point unit of features and rewards: 2¹⁶ stands for 1."""

_LARGEST_BITS = 1023
_Writer: TypeAlias = Callable[[Any, list[int]], Value]


class Encoder:
    """Validates contexts against a schema and encodes them.

    >>> schema = ContextSchema(size=Numeric(0, 10), urgent=Flag())
    >>> Encoder(schema).encode({"size": 5, "urgent": True})
    ({'size': 5, 'urgent': True}, [65536, 0, 65536])
    """

    def __init__(self, schema: ContextSchema) -> None:
        self.schema = schema
        self.dimension = schema.dimension
        self.column_names = _column_names(schema)
        self._template = [ONE] + [0] * (schema.dimension - 1)
        # Linear numeric features are the many and the cheap: they are encoded in line, without a call.
        self._linear: list[tuple[str, int, float, float, float]] = []
        self._writers: list[tuple[str, _Writer]] = []
        column = 1
        for name, feature in schema.items():
            plain = isinstance(feature, Numeric) and not feature.log and feature.quantiles is None
            if isinstance(feature, Numeric) and plain and not feature.optional:
                scale = 2 * ONE / (feature.high - feature.low)
                self._linear.append((name, column, feature.low, feature.high, scale))
            else:
                self._writers.append((name, _writer(name, feature, column)))
            column += columns(feature)
        self._count = len(schema)
        self._required = frozenset(name for name, feature in schema.items() if not feature.optional)

    def encode(self, context: Mapping[str, Value]) -> tuple[dict[str, Value], list[int]]:
        """Validate and encode one context.

        Returns
        -------
        The context as plain JSON values, and φ as a list of ``dimension`` integers in
        units of 2⁻¹⁶ (the first is 1, all lie in [−1, 1]).

        Raises
        ------
        ContextInvalid : a key is unknown or missing, or a value is of the wrong type or not finite.
        """
        if not isinstance(context, Mapping):
            raise ContextInvalid(
                "the context is not a mapping",
                expected="a mapping from feature names to values",
                found=shown(context),
                fix="pass a dict",
            )
        clean = dict(context)
        if len(clean) != self._count or not self._required <= clean.keys():
            self._check_keys(clean)
        phi = self._template.copy()
        try:
            for name, column, low, high, scale in self._linear:
                value = clean[name]
                kind = type(value)
                if kind is not float and kind is not int:
                    clean[name] = value = _number(name, value)
                if low <= value <= high:  # type: ignore[operator]
                    phi[column] = round((value - low) * scale) - ONE  # type: ignore[operator]
                else:
                    phi[column] = _saturated(name, value, low)
            for name, write in self._writers:
                clean[name] = write(clean.get(name), phi)
        except KeyError:
            self._check_keys(clean)
            raise
        if len(clean) != self._count:  # an unknown key may stand in for an optional one that is left out
            self._check_keys(clean)
        return clean, phi

    def _check_keys(self, context: Mapping[str, Value]) -> None:
        unknown = sorted(str(key) for key in context if key not in self.schema)
        missing = sorted(self._required - context.keys())
        if unknown or missing:
            raise ContextInvalid(
                "the context's keys are not those of the schema",
                expected=f"the features {sorted(self.schema)}",
                found=f"unknown keys {unknown}, missing keys {missing}",
                fix="send the declared features only, or add the new one to the ContextSchema",
            )


def _saturated(name: str, value: Any, low: float) -> int:
    large = type(value) is int and value.bit_length() > _LARGEST_BITS
    if large or value != value or value - value != 0.0:
        raise invalid_context(name, "a finite number that a float can hold", value)
    return -ONE if value < low else ONE


def groups(schema: ContextSchema) -> list[int]:
    """For each column of φ behind the leading 1, the index of the feature that it belongs to."""
    return [i for i, feature in enumerate(schema.values()) for _ in range(columns(feature))]


def _column_names(schema: ContextSchema) -> tuple[str, ...]:
    names = ["1"]
    for name, feature in schema.items():
        match feature:
            case Categorical(levels=levels):
                names += [f"{name}={level}" for level in levels] + [f"{name}=?"]
            case Ordinal(levels=levels):
                names += [name] + ([f"{name}²"] if len(levels) > 2 else []) + [f"{name}=?"]
            case Numeric(optional=optional) | Flag(optional=optional):
                names += [name] + ([f"{name}=?"] if optional else [])
    return tuple(names)


def _writer(name: str, feature: Feature, column: int) -> _Writer:
    match feature:
        case Categorical():
            return _categorical(name, feature, column)
        case Ordinal():
            return _ordinal(name, feature, column)
        case Numeric():
            return _numeric(name, feature, column)
        case Flag():
            return _flag(name, feature, column)


def _level(name: str, value: object, *, optional: bool) -> str | None:
    if value is None and optional:
        return None
    if isinstance(value, str) and len(value) <= MAX_TEXT and not UNSTORABLE.search(value):
        return str.__str__(value)  # of a member of a string enumeration, str() would give the member's name
    raise invalid_context(name, f"a string of at most {MAX_TEXT} characters, without NUL", value)


def _categorical(name: str, feature: Categorical, column: int) -> _Writer:
    place = {level: column + i for i, level in enumerate(feature.levels)}
    unknown = column + len(feature.levels)
    optional = feature.optional

    def write(value: Any, phi: list[int]) -> Value:
        if type(value) is str and value in place:
            phi[place[value]] = ONE
            return value
        level = _level(name, value, optional=optional)
        phi[unknown if level is None else place.get(level, unknown)] = ONE
        return level

    return write


def _ordinal(name: str, feature: Ordinal, column: int) -> _Writer:
    last = len(feature.levels) - 1
    codes: dict[str, tuple[int, ...]] = {}
    for i, level in enumerate(feature.levels):
        x = 2.0 * i / last - 1.0
        codes[level] = (_fixed(x), _fixed(2.0 * x * x - 1.0), 0) if last > 1 else (_fixed(x), 0)
    unknown = (0, 0, ONE) if last > 1 else (0, ONE)
    stop = column + len(unknown)
    optional = feature.optional

    def write(value: Any, phi: list[int]) -> Value:
        level = value if type(value) is str and value in codes else _level(name, value, optional=optional)
        phi[column:stop] = unknown if level is None else codes.get(level, unknown)
        return level

    return write


def _rank(quantiles: tuple[float, ...]) -> Callable[[float], float]:
    """Position of a number among quantiles, 0 for the first, 1 for each step."""

    def position(number: float) -> float:
        first, behind = bisect_left(quantiles, number), bisect_right(quantiles, number)
        if first < behind:
            return 0.5 * (first + behind - 1)
        low, high = quantiles[first - 1], quantiles[first]
        return first - 1 + (number - low) / (high - low)

    return position


def _numeric(name: str, feature: Numeric, column: int) -> _Writer:
    low, high, optional = feature.low, feature.high, feature.optional
    position: Callable[[float], float] = ieee.log if feature.log else float
    if feature.quantiles is not None:
        position = _rank(feature.quantiles)
        steps = len(feature.quantiles) - 1

        def write_rank(value: Any, phi: list[int]) -> Value:
            if value is None and optional:
                phi[column + 1] = ONE
                return None
            number = value if type(value) is float or type(value) is int else _number(name, value)
            if low <= number <= high:
                phi[column] = round(position(float(number)) * 2 * ONE / steps) - ONE
            else:
                phi[column] = _saturated(name, number, low)
            return number

        return write_rank
    start = position(low)
    scale = 2 * ONE / (position(high) - start)

    def write(value: Any, phi: list[int]) -> Value:
        if value is None and optional:
            phi[column + 1] = ONE
            return None
        number = value if type(value) is float or type(value) is int else _number(name, value)
        if low <= number <= high:
            phi[column] = max(-ONE, min(ONE, round((position(float(number)) - start) * scale) - ONE))
        else:
            phi[column] = _saturated(name, number, low)
        return number

    return write


def _number(name: str, value: object) -> int | float:
    """Plain numbers out of numpy scalars and the like; booleans are refused as numbers."""
    if type(value).__name__ not in {"bool", "bool_"} and isinstance(value, Real):
        try:
            return int(value) if isinstance(value, Integral) else float(value)
        except OverflowError:
            pass
    raise invalid_context(name, "a finite number", value)


def _flag(name: str, feature: Flag, column: int) -> _Writer:
    optional = feature.optional

    def write(value: Any, phi: list[int]) -> Value:
        if value is None and optional:
            phi[column + 1] = ONE
            return None
        if type(value).__name__ in {"bool_", "bool"}:  # numpy's own booleans included
            phi[column] = ONE if value else -ONE
            return bool(value)
        raise invalid_context(name, "true or false", value)

    return write


def _fixed(x: float) -> int:
    return round(x * ONE)
