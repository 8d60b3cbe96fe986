"""The context schema: which features a context has, and what values they may take.

A schema is declared before the first decision, with bounds, so that an encoded context means the
same to every process and for ever. Values outside a numeric feature's bounds saturate at the bound, and a
category that was never declared goes to a bucket of its own: an orchestrator must not fail because the world
has grown. A key that the schema does not know, NaN, or a value of the wrong type is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, TypeAlias

from ..canonical import digest
from ..errors import ContextInvalid, SpecInvalid, shown

__all__ = [
    "MAX_TEXT",
    "UNSTORABLE",
    "Categorical",
    "ContextSchema",
    "Feature",
    "Flag",
    "Numeric",
    "Ordinal",
    "Value",
]

Value: TypeAlias = str | int | float | bool | None
"""What a context may hold under a key: what JSON can hold without nesting."""

_ENCODING_VERSION = 1
_MAX_NAME = 120
_MAX_COLUMNS = 256
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

_KINDS: dict[str, type[Feature]] = {kind.kind: kind for kind in (Categorical, Ordinal, Numeric, Flag)}


class ContextSchema(Mapping[str, Feature]):
    """Named features, in the order in which they were declared.

    >>> schema = ContextSchema(task_type=Categorical(["research", "coding"]), urgent=Flag())
    >>> list(schema), schema.dimension
    (['task_type', 'urgent'], 5)

    ``dimension`` counts the columns of the encoded context, the leading constant 1 included.
    """

    __slots__ = ("_features", "version")

    def __init__(self, features: Mapping[str, Feature] | None = None, /, **named: Feature) -> None:
        merged = {**(features or {}), **named}
        for name, feature in merged.items():
            _check_name(name)
            if not isinstance(feature, (Categorical, Ordinal, Numeric, Flag)):
                raise SpecInvalid(
                    f"context feature '{name}' is of no known kind",
                    expected="Categorical, Ordinal, Numeric or Flag",
                    found=shown(feature),
                    fix=f"declare it, for example {name}=Categorical([...])",
                )
        self._features = merged
        if self.dimension > _MAX_COLUMNS:
            raise SpecInvalid(
                "the context schema is too wide",
                expected=f"at most {_MAX_COLUMNS} encoded columns",
                found=f"{self.dimension} columns from {len(merged)} features",
                fix="group rare categories, or leave features out that carry no signal",
            )
        self.version: str = digest({"encoding": _ENCODING_VERSION, "features": self.to_dict()})
        """Hash of the schema and of the rules of encoding: equal hash, equal φ."""

    def __getitem__(self, name: str) -> Feature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def __repr__(self) -> str:
        return f"ContextSchema({', '.join(f'{k}={v!r}' for k, v in self._features.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContextSchema) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)

    @property
    def dimension(self) -> int:
        """Columns of the encoded context, the leading 1 included."""
        return 1 + sum(columns(feature) for feature in self._features.values())

    def to_dict(self) -> list[dict[str, Any]]:
        """As plain JSON; a list, because the order of the features is the order of the columns."""
        return [{"name": name, **feature.to_dict()} for name, feature in self._features.items()]

    @classmethod
    def from_dict(cls, document: Sequence[Mapping[str, Any]]) -> ContextSchema:
        """The schema that ``to_dict`` wrote.

        Raises
        ------
        SpecInvalid : the document is damaged.
        """
        features: dict[str, Feature] = {}
        if not isinstance(document, (list, tuple)):
            raise _unreadable_feature(shown(document))
        for entry in document:
            fields = dict(entry) if isinstance(entry, Mapping) else {}
            name, kind = fields.pop("name", None), fields.pop("kind", None)
            if (
                not isinstance(name, str)
                or name in features
                or not isinstance(kind, str)
                or kind not in _KINDS
            ):
                raise _unreadable_feature(shown(entry))
            try:
                features[name] = _KINDS[kind](**fields)
            except TypeError as error:
                raise SpecInvalid(
                    f"context feature '{name}' has fields that its kind does not",
                    expected=f"the fields of {_KINDS[kind].__name__}",
                    found=str(error),
                    fix="write the document with to_dict()",
                ) from error
        return cls(features)


def columns(feature: Feature) -> int:
    """How many columns a feature takes in the encoded context."""
    match feature:
        case Categorical(levels=levels):
            return len(levels) + 1
        case Ordinal(levels=levels):
            return 3 if len(levels) > 2 else 2
        case Numeric(optional=optional) | Flag(optional=optional):
            return 2 if optional else 1


def invalid_context(name: str, expected: str, found: object) -> ContextInvalid:
    """The error for one feature's value."""
    return ContextInvalid(
        f"context feature '{name}' has an unusable value",
        expected=expected,
        found=shown(found),
        fix="correct the value, or declare the feature optional and leave it out",
    )


def _unreadable_feature(found: str) -> SpecInvalid:
    return SpecInvalid(
        "a context feature in the document cannot be read",
        expected=f"objects, each with a new name and a kind out of {sorted(_KINDS)}",
        found=found,
        fix="write the document with to_dict()",
    )


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


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or len(name) > _MAX_NAME or not name.isprintable():
        raise SpecInvalid(
            "a context feature has no usable name",
            expected=f"a printable string of 1 to {_MAX_NAME} characters",
            found=repr(name)[:160],
            fix="rename the feature",
        )


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
