"""Checks of what a world's document says: four-part errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ...bandit import Strategy
from ...bandit.arms import MAX_ARMS
from ...errors import SpecInvalid, shown

__all__ = ["fields", "number", "numbers", "strategies", "table", "text", "unusable", "whole"]


def unusable(world: str, field: str, expected: str, found: object, fix: str = "") -> SpecInvalid:
    """The error for one field of a world."""
    return SpecInvalid(
        f"'{field}' of the world '{world}' is unusable",
        expected=expected,
        found=found if isinstance(found, str) else shown(found),
        fix=fix or f"correct '{field}'",
    )


def fields(
    world: str, document: Mapping[str, Any], required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, Any]:
    """The fields of a document without ``kind``, known ones only, required ones all there."""
    if not isinstance(document, Mapping):
        raise unusable(world, "world", "an object with a 'kind'", document)
    given = {name: value for name, value in document.items() if name != "kind"}
    unknown = sorted(str(name) for name in given if name not in (*required, *optional))
    missing = [name for name in required if name not in given]
    if unknown or missing:
        raise SpecInvalid(
            f"the fields of the world '{world}' are not those of its kind",
            expected=f"required: {list(required)}, optional: {list(optional)}",
            found=f"unknown: {unknown}, missing: {missing}",
            fix="correct the names",
        )
    return given


def number(world: str, field: str, value: object, low: float, high: float) -> float:
    """A finite number in [low, high]."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if plain and isfinite(value) and low <= value <= high:  # type: ignore[arg-type,operator]
        return float(value)  # type: ignore[arg-type]
    raise unusable(world, field, f"a number from {low:g} to {high:g}", value)


def whole(world: str, field: str, value: object, low: int, high: int = 10**12) -> int:
    """A whole number in [low, high]."""
    if type(value) is int and low <= value <= high:
        return value
    raise unusable(world, field, f"a whole number from {low} to {high}", value)


def text(world: str, field: str, value: object, choices: Sequence[str]) -> str:
    """One of some words."""
    if isinstance(value, str) and value in choices:
        return value
    raise unusable(world, field, f"one of {list(choices)}", value)


def numbers(
    world: str, field: str, value: object, low: float = 0.0, high: float = 1.0, *, least: int = 1
) -> tuple[float, ...]:
    """A list of at least ``least`` numbers in [low, high], for example one for each arm."""
    if isinstance(value, (list, tuple)) and least <= len(value) <= MAX_ARMS:
        return tuple(number(world, field, item, low, high) for item in value)
    raise unusable(world, field, f"a list of {least} to {MAX_ARMS} numbers", value)


def table(
    world: str, field: str, value: object, low: float = 0.0, high: float = 1.0
) -> tuple[tuple[float, ...], ...]:
    """A list of lists of numbers, all of one length."""
    if isinstance(value, (list, tuple)) and value:
        rows = tuple(numbers(world, field, row, low, high) for row in value)
        if len({len(row) for row in rows}) == 1:
            return rows
    raise unusable(world, field, "a list of rows of one length", value)


def strategies(world: str, value: object) -> tuple[Strategy, ...]:
    """Strategies as ``Strategy.to_dict`` writes them; a bare name stands for one without parameters."""
    if isinstance(value, (list, tuple)) and value:
        try:
            return tuple(
                Strategy(item) if isinstance(item, str) else Strategy.from_dict(item) for item in value
            )
        except (KeyError, TypeError, AttributeError):
            pass
    raise unusable(world, "strategies", 'a list of names, or of {"name": …, "parameters": {…}}', value)
