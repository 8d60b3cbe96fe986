"""The kinds of features: what values each takes, its columns, and how it is declared.

Values outside a numeric feature's bounds saturate at the bound, and a category that was never declared goes
to a bucket of its own: an orchestrator must not fail because the world has grown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, TypeAlias

from ..errors import SpecInvalid, shown

__all__ = [
    "MAX_TEXT",
    "UNSTORABLE",
    "Categorical",
    "Feature",
    "Flag",
    "Numeric",
    "Ordinal",
    "Value",
    "columns",
]

Value: TypeAlias = str | int | float | bool | None
"""What a context may hold under a key: what JSON can hold without nesting."""

_MAX_QUANTILES = 1001
_NARROWEST, _SMALLEST = 1e-9, 1e-200
MAX_TEXT = 1000
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Neither JSON in Postgres nor UTF-8 can hold NUL or half a surrogate pair."""


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of a set of names without order; any other name is encoded as "unknown".

    With ``optional=True`` a missing key (or None) counts as "unknown" too.
    """

    kind: ClassVar[str] = "categorical"
    levels: tuple[str, ...]
    optional: bool = False

    def __init__(self, levels: Sequence[str], *, optional: bool = False) -> None:
        object.__setattr__(self, "levels", _checked_levels(levels, minimum=1))
        object.__setattr__(self, "optional", _checked_flag("optional", optional))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"kind": self.kind, "levels": list(self.levels), "optional": self.optional}


@dataclass(frozen=True, slots=True)
class Ordinal:
    """One of a set of names in ascending order; any other name is encoded as "unknown"."""

    kind: ClassVar[str] = "ordinal"
    levels: tuple[str, ...]
    optional: bool = False

    def __init__(self, levels: Sequence[str], *, optional: bool = False) -> None:
        object.__setattr__(self, "levels", _checked_levels(levels, minimum=2))
        object.__setattr__(self, "optional", _checked_flag("optional", optional))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"kind": self.kind, "levels": list(self.levels), "optional": self.optional}


@dataclass(frozen=True, slots=True)
class Numeric:
    """A number; values beyond ``low`` and ``high`` saturate. ``log=True`` spaces it logarithmically.

    ``quantiles``: 2 to 1,001 ascending numbers, equally probable steps of what is known of the feature. It is
    then spaced by rank: a value at the i-th of m + 1 has the position i/m, one between two of them is
    interpolated; ``low`` and ``high`` are the first and the last. A number that is repeated (many values are
    equal) has the middle of its positions.

    >>> Numeric(quantiles=(0, 1, 10, 1000)).high
    1000.0
    """

    kind: ClassVar[str] = "numeric"
    low: float = None  # type: ignore[assignment]  # the quantiles' first
    high: float = None  # type: ignore[assignment]
    log: bool = False
    optional: bool = False
    quantiles: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.quantiles is not None:
            object.__setattr__(self, "quantiles", _checked_quantiles(self))
            object.__setattr__(self, "low", self.quantiles[0])
            object.__setattr__(self, "high", self.quantiles[-1])
        for name in ("low", "high"):
            object.__setattr__(self, name, _checked_bound(name, getattr(self, name)))
        for name in ("log", "optional"):
            _checked_flag(name, getattr(self, name))
        if not self.low < self.high or not _finite(self.high - self.low):
            raise SpecInvalid(
                "the bounds of a numeric feature do not span an interval",
                expected="low < high",
                found=f"low={self.low!r}, high={self.high!r}",
                fix="swap or widen the bounds",
            )
        if self.log and self.low <= 0.0:
            raise SpecInvalid(
                "a logarithmic feature reaches down to zero or below",
                expected="low > 0 when log=True",
                found=f"low={self.low!r}",
                fix="raise low (to 1, say), or leave log out",
            )
        # A position between bounds closer than this would not be resolved, or divide by zero.
        if self.high - self.low < _NARROWEST * max(abs(self.low), abs(self.high), _SMALLEST):
            raise SpecInvalid(
                "the bounds of a numeric feature are too close to tell values between them apart",
                expected=f"bounds that differ by {_NARROWEST} of their size",
                found=f"low={self.low!r}, high={self.high!r}",
                fix="widen the bounds",
            )

    @classmethod
    def by_quantiles(cls, values: Iterable[float], steps: int = 32, *, optional: bool = False) -> Numeric:
        """The feature whose quantiles are those of recorded values.

        >>> Numeric.by_quantiles([3, 1, 2, 50, 4], steps=4).quantiles
        (1.0, 2.0, 3.0, 4.0, 50.0)

        Raises
        ------
        SpecInvalid : not numbers, fewer than two different ones, or steps out of its domain.
        """
        known = sorted(_checked_bound("values", value) for value in values)
        if type(steps) is not int or not 1 <= steps < _MAX_QUANTILES or not known:
            raise SpecInvalid(
                "quantiles cannot be taken",
                expected=f"at least one value, and 1 to {_MAX_QUANTILES - 1} steps",
                found=f"{len(known)} values, steps={shown(steps)}",
                fix="pass recorded values, or declare low and high",
            )
        last = len(known) - 1
        return cls(
            quantiles=tuple(known[(2 * i * last + steps) // (2 * steps)] for i in range(steps + 1)),
            optional=optional,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON; ``quantiles`` only where there are any, so that other schemas keep their hash."""
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "optional": self.optional,
            **({} if self.quantiles is None else {"quantiles": list(self.quantiles)}),
        }


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    kind: ClassVar[str] = "flag"
    optional: bool = False

    def __post_init__(self) -> None:
        _checked_flag("optional", self.optional)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"kind": self.kind, "optional": self.optional}


Feature: TypeAlias = Categorical | Ordinal | Numeric | Flag
"""One feature of a context."""


def columns(feature: Feature) -> int:
    """How many columns a feature takes in the encoded context."""
    match feature:
        case Categorical(levels=levels):
            return len(levels) + 1
        case Ordinal(levels=levels):
            return 3 if len(levels) > 2 else 2
        case Numeric(optional=optional) | Flag(optional=optional):
            return 2 if optional else 1


def _checked_bound(name: str, value: object) -> float:
    try:
        if isinstance(value, Real) and not isinstance(value, bool) and _finite(float(value)):
            return float(value)
    except OverflowError:
        pass
    raise SpecInvalid(
        f"the bound '{name}' of a numeric feature is not a finite number",
        expected="a finite number",
        found=shown(value),
        fix=f"pass {name}=<number>",
    )


def _checked_quantiles(feature: Numeric) -> tuple[float, ...]:
    given: Any = feature.quantiles
    listed = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
    if not listed or not 2 <= len(given) <= _MAX_QUANTILES:
        raise _unusable_quantiles(f"2 to {_MAX_QUANTILES} numbers", shown(given))
    values = tuple(_checked_bound("quantiles", value) for value in given)
    if any(a > b for a, b in pairwise(values)) or feature.log:
        raise _unusable_quantiles(
            "ascending numbers, without log (ranks are the same on any scale)",
            f"{shown(given)}, log={feature.log!r}",
        )
    for name, bound in (("low", values[0]), ("high", values[-1])):
        if getattr(feature, name) not in {None, bound}:
            raise _unusable_quantiles(
                f"{name}={bound:g}, as the quantiles say", shown(getattr(feature, name))
            )
    return values


def _unusable_quantiles(expected: str, found: str) -> SpecInvalid:
    return SpecInvalid(
        "the quantiles of a numeric feature are unusable",
        expected=expected,
        found=found,
        fix="for example Numeric(quantiles=[0, 10, 100, 5000]), or Numeric.by_quantiles(recorded values)",
    )


def _checked_flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise SpecInvalid(
        f"'{name}' of a feature is not true or false",
        expected="True or False",
        found=shown(value),
        fix=f"pass {name}=True, or leave it out",
    )


def _finite(value: float) -> bool:
    return value - value == 0.0


def _checked_levels(levels: Sequence[str], minimum: int) -> tuple[str, ...]:
    sequence = isinstance(levels, Sequence) and not isinstance(levels, (str, bytes))
    # Members of string enumerations become the plain strings that they stand for.
    listed = tuple(str.__str__(level) for level in levels if isinstance(level, str)) if sequence else ()
    usable = all(len(level) <= MAX_TEXT and not UNSTORABLE.search(level) for level in listed)
    if not sequence or len(listed) < max(minimum, len(levels)) or not usable:
        raise SpecInvalid(
            "the levels of a feature are not a list of names",
            expected=f"a list of at least {minimum} strings of at most {MAX_TEXT} characters, without NUL",
            found=shown(levels, 120),
            fix='write them out, for example ["simple", "complex"]',
        )
    repeated = sorted(level for level, count in Counter(listed).items() if count > 1)
    if repeated:
        raise SpecInvalid(
            "a feature names a level twice",
            expected="levels that differ",
            found=f"repeated: {repeated}",
            fix="leave the repetition out",
        )
    return listed
