"""Reference times, tokens and costs: frozen versions that speed and efficiency are judged against.

A yardstick that follows the data would move with what is being learned, and the same execution would be worth
something else in another process. So references are values: built once (by hand, or from a stated stretch of
the log, ``estimate.py``), named by the hash of their content, adopted by a numbered row, and named again in
every reward that used them.

A table has up to three context features as its key (``by``) and cells keyed by their values; ``"*"`` in a key
means "any". ``lookup`` takes, for each quantity apart, the most specific cell that has it: all features, then
with the last one free, and so on down to the cell that is free in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

from ..canonical import digest
from ..errors import DocumentInvalid, SpecInvalid
from .numbers import number
from .speed import REFERENCE_MAX, REFERENCE_MIN

__all__ = ["ANY", "Reference", "ReferenceCell", "ReferenceTimes", "context_key"]

ANY = "*"
_FEATURES_MAX = 3
_FORMAT = 1


class Reference(NamedTuple):
    """What was found for one context: each quantity, and the key of the cell that it came from."""

    time_s: float | None = None
    tokens: float | None = None
    cost: float | None = None
    time_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceCell:
    """One cell: positive references in their units, and the number of executions behind them.

    ``n`` is 0 for a cell that was set by hand; ``source`` says whose executions they were: ``stated``,
    ``baseline_arm`` or ``all_arms``.
    """

    key: tuple[str, ...]
    time_s: float | None = None
    tokens: float | None = None
    cost: float | None = None
    n: int = 0
    source: str = "stated"

    def __post_init__(self) -> None:
        if not self.key or not all(isinstance(part, str) and part for part in self.key):
            raise SpecInvalid(
                "the key of a reference cell is not usable",
                expected='a tuple of non-empty strings, "*" for any value',
                found=repr(self.key),
                fix='write one string for each feature of the table, such as ("coding", "*")',
            )
        for name in ("time_s", "tokens", "cost"):
            value = getattr(self, name)
            if value is not None:
                checked = number(f"reference {name}", value, REFERENCE_MIN, REFERENCE_MAX, SpecInvalid)
                object.__setattr__(self, name, checked)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict without what is unknown."""
        known = {name: getattr(self, name) for name in ("time_s", "tokens", "cost")}
        return {
            "key": list(self.key),
            **{name: value for name, value in known.items() if value is not None},
            "n": self.n,
            "source": self.source,
        }


def context_key(context: Mapping[str, Any] | None, by: tuple[str, ...]) -> tuple[str, ...]:
    """Spell the context's values of the features ``by`` as strings; ``"*"`` for one that is absent."""
    if context is None:
        return (ANY,) * len(by)
    return tuple([_spell(context.get(name)) for name in by])


def _spell(value: object) -> str:
    if isinstance(value, str):
        return value or ANY
    if value is None:
        return ANY
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _masks(n: int) -> tuple[tuple[int, ...], ...]:
    # Fewest free features first; among equals, the last feature is freed first.
    return tuple(
        free
        for size in range(n + 1)
        for free in sorted(combinations(range(n), size), key=lambda f: f[::-1])[::-1]
    )


@dataclass(frozen=True, slots=True)
class ReferenceTimes:
    """A frozen version of the references.

    ``by`` : names of 1 to 3 context features. ``cells`` : kept sorted by key. ``first_seq``, ``last_seq`` :
    the stretch of the bandit's log that they were estimated from, None when set by hand. ``version`` : hash
    of all that.

    Raises
    ------
    SpecInvalid : no or too many features, a key of another length, a key twice.
    """

    by: tuple[str, ...] = ("task_type", "complexity")
    cells: tuple[ReferenceCell, ...] = ()
    first_seq: int | None = None
    last_seq: int | None = None
    version: str = field(init=False)
    _index: dict[tuple[str, ...], ReferenceCell] = field(init=False, repr=False, compare=False)
    _order: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)
    _only: Reference | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by = tuple(self.by)
        if (
            not 1 <= len(by) <= _FEATURES_MAX
            or len(set(by)) != len(by)
            or not all(isinstance(b, str) for b in by)
        ):
            raise SpecInvalid(
                "the features of a reference table are not usable",
                expected=f"1 to {_FEATURES_MAX} different names of context features",
                found=repr(self.by),
                fix='name the features whose tasks are comparable, such as ("task_type", "complexity")',
            )
        cells = tuple(sorted(self.cells, key=lambda cell: cell.key))
        index: dict[tuple[str, ...], ReferenceCell] = {}
        for cell in cells:
            if len(cell.key) != len(by) or cell.key in index:
                raise SpecInvalid(
                    "a cell of a reference table has a key that does not fit",
                    expected=f"one part for each of {by}, and each key once",
                    found=repr(cell.key),
                    fix='use "*" for a feature that may have any value, and merge cells with the same key',
                )
            index[cell.key] = cell
        # Only the patterns of free features that some cell has: a lookup tries no others.
        patterns = {tuple(i for i, part in enumerate(key) if part == ANY) for key in index}
        order = tuple(free for free in _masks(len(by)) if free in patterns)
        for name, value in (
            ("by", by),
            ("cells", cells),
            ("_index", index),
            ("_order", order),
            ("_only", None),
        ):
            object.__setattr__(self, name, value)
        if set(index) == {(ANY,) * len(by)}:  # a number for all contexts
            object.__setattr__(self, "_only", self.lookup(None))
        object.__setattr__(self, "version", digest(self._content()))

    def __reduce__(self) -> tuple[object, ...]:
        return ReferenceTimes, (self.by, self.cells, self.first_seq, self.last_seq)

    def __hash__(self) -> int:
        return hash(self.version)

    def lookup(self, context: Mapping[str, Any] | None) -> Reference:
        """Return the most specific references for a context; what no cell has is None.

        >>> table = ReferenceTimes(by=("task_type",), cells=(ReferenceCell(("coding",), time_s=60.0),))
        >>> table.lookup({"task_type": "coding"}).time_s, table.lookup({"task_type": "research"}).time_s
        (60.0, None)
        """
        if self._only is not None:
            return self._only
        key = context_key(context, self.by)
        time_s = tokens = cost = None
        time_key: tuple[str, ...] = ()
        for free in self._order:
            masked = key
            if free:
                parts = list(key)
                for i in free:
                    parts[i] = ANY
                masked = tuple(parts)
            cell = self._index.get(masked)
            if cell is None:
                continue
            if time_s is None and cell.time_s is not None:
                time_s, time_key = cell.time_s, masked
            if tokens is None:
                tokens = cell.tokens
            if cost is None:
                cost = cell.cost
            if time_s is not None and tokens is not None and cost is not None:
                break
        return Reference(time_s, tokens, cost, time_key)

    def _content(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "by": list(self.by),
            "cells": [cell.to_dict() for cell in self.cells],
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict, with the version that ``from_dict`` checks."""
        return {**self._content(), "version": self.version}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> ReferenceTimes:
        """Rebuild what ``to_dict`` wrote.

        Raises
        ------
        DocumentInvalid : a field is missing or of another kind, or the content has not its version's hash.
        """
        try:
            table = cls(
                by=tuple(document["by"]),
                cells=tuple(_cell(cell) for cell in document["cells"]),
                first_seq=document["first_seq"],
                last_seq=document["last_seq"],
            )
            stated = document["version"]
            known = document["format"] == _FORMAT
        except (KeyError, TypeError) as error:
            raise DocumentInvalid(
                "the document of reference times is damaged",
                expected="the object that ReferenceTimes.to_dict writes",
                found=f"{type(error).__name__}: {error}",
                fix="read it again from where it was stored",
            ) from None
        if stated != table.version or not known:
            raise DocumentInvalid(
                "the document of reference times does not have the content that its version names",
                expected=f"format {_FORMAT} and version {table.version}",
                found=f"format {document['format']!r} and version {stated!r}",
                fix="read it again from where it was stored; references are never edited in place",
            )
        return table


def _cell(document: Mapping[str, Any]) -> ReferenceCell:
    return ReferenceCell(
        tuple(document["key"]),
        document.get("time_s"),
        document.get("tokens"),
        document.get("cost"),
        int(document["n"]),
        str(document["source"]),
    )


def static_table(
    by: tuple[str, ...], quantities: Iterable[tuple[str, float | Mapping[Any, float] | None]]
) -> ReferenceTimes | None:
    """Build the table of references that a specification states by hand; None where it states none.

    Each quantity (``time_s``, ``tokens``, ``cost``) is one number for all contexts, or a mapping from the
    values of the features ``by`` (a tuple, or one string where ``by`` has one name) to numbers.
    """
    cells: dict[tuple[str, ...], dict[str, float]] = {}
    for name, stated in quantities:
        if stated is None:
            continue
        table = stated if isinstance(stated, Mapping) else {(ANY,) * len(by): stated}
        for key, value in table.items():
            parts = (key,) if isinstance(key, str) else tuple(key)
            cells.setdefault(parts, {})[name] = value
    if not cells:
        return None
    return ReferenceTimes(
        by,
        tuple(
            ReferenceCell(key, quantity.get("time_s"), quantity.get("tokens"), quantity.get("cost"))
            for key, quantity in cells.items()
        ),
    )
