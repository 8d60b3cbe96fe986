"""The context schema: which features a context has, and in which order.

A schema is declared before the first decision, with bounds, so that an encoded context means the
same to every process and for ever. A key that the schema does not know, NaN, or a value of the wrong type is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..canonical import digest
from ..errors import ContextInvalid, SpecInvalid, shown
from .kinds import Categorical, Feature, Flag, Numeric, Ordinal, columns

__all__ = ["ContextSchema", "invalid_context"]

_ENCODING_VERSION = 1
_MAX_NAME = 120
_MAX_COLUMNS = 256
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


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or len(name) > _MAX_NAME or not name.isprintable():
        raise SpecInvalid(
            "a context feature has no usable name",
            expected=f"a printable string of 1 to {_MAX_NAME} characters",
            found=repr(name)[:160],
            fix="rename the feature",
        )
