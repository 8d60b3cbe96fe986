"""From columns of text to context features: what kind each column is, and its schema.

The kind of a column is inferred from all its values, so it does not depend on their order:

* no value but true and false (any case): ``Flag``;
* no value but finite numbers: ``Numeric``, with the smallest and the largest as bounds;
* anything else: ``Categorical``, its levels sorted.

An empty value, ``nan`` and ``na`` (any case) are missing values, in every kind.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import TableInvalid
from ..features import Categorical, Feature, Flag, Numeric, Value

__all__ = ["FeatureColumn", "feature_column", "number_of"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = frozenset({"", "nan", "na"})
_TRUTH = {"true": True, "false": False}
_MAX_LEVELS = 254  # with the constant and "unknown", the widest context that a schema takes


def number_of(text: str) -> float | None:
    """The finite number that a text stands for; None if it stands for none."""
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if number - number == 0.0 else None


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One context feature of a table: a value for each of the table's distinct contexts; None for missing."""

    name: str
    values: tuple[Value, ...]

    def feature(self, contexts: Sequence[int]) -> Feature | None:
        """The feature as these contexts have it; None where it is the same in all of them and says nothing.

        Raises
        ------
        TableInvalid : a text column with too many levels.
        """
        present = {self.values[c] for c in contexts}
        if len(present) == 1:
            return None
        optional = None in present
        known = sorted(value for value in present if value is not None)
        if isinstance(known[0], str):
            if len(known) > _MAX_LEVELS:
                raise TableInvalid(
                    f"context column '{self.name}' has too many levels to learn one by one",
                    expected=f"at most {_MAX_LEVELS} different texts",
                    found=f"{len(known)}, such as {known[0]!r:.60}",
                    fix="describe them by features (--features FILE --on COLUMN), or draw fewer contexts "
                    "(--context-limit N)",
                )
            return Categorical([str(level) for level in known], optional=optional)
        if isinstance(known[0], bool):
            return Flag(optional=optional)
        low, high = float(known[0]), float(known[-1])
        # All numbers are equal, and only whether there is one differs.
        high = high if low < high else low + max(1.0, abs(low))
        return Numeric(low, high, optional=optional)


def feature_column(
    name: str, texts: Sequence[str], *, categorical: bool = False, ranks: bool = False
) -> FeatureColumn:
    """Infer the kind of a column (see above) and convert it.

    ``categorical=True`` leaves it text. ``ranks=True`` replaces numbers by their rank among the column's
    values (ties share the mean of theirs), so that a few very large ones do not push all others together.
    """
    known = [text for text in texts if text.lower() not in _MISSING]
    values: list[Value]
    if categorical:
        values = [text or None for text in texts]
    elif known and all(text.lower() in _TRUTH for text in known):
        values = [_TRUTH.get(text.lower()) for text in texts]
    elif known and all(number_of(text) is not None for text in known):
        numbers = [number_of(text) for text in texts]
        values = [*(_ranked(numbers) if ranks else numbers)]
    else:
        values = [None if text.lower() in _MISSING else text for text in texts]
    return FeatureColumn(name, tuple(values))


def _ranked(numbers: Sequence[float | None]) -> list[float | None]:
    known = sorted(number for number in numbers if number is not None)
    return [
        None if number is None else (bisect_left(known, number) + bisect_right(known, number) - 1) / 2
        for number in numbers
    ]
