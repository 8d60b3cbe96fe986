"""Between the cells of a table of text and the values of the format.

A column ``context.size`` holds the feature ``size`` of the context (so do ``outcome.`` and ``pmf.``); the
columns ``context``, ``outcome``, ``pmf`` and ``eligible`` hold JSON. An empty cell is null. In a context a
text that could be read as something else (``""``, ``"true"``, ``"12"``) is written in JSON's quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...features import Categorical, ContextSchema, Feature, Flag, Numeric, Ordinal
from .choice import FIELDS, UNKNOWN

__all__ = ["NESTED", "cell_of", "context_cell", "document_from", "parse_json", "split_columns"]

NESTED = ("context", "outcome", "pmf")
_JSON = frozenset({*NESTED, "eligible"})
_NUMBERS = frozenset({"time", "propensity", "reward", "state_seq"})
_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TRUTH = {"true": True, "false": False}


def parse_json(text: str) -> Any:
    """What a text of JSON stands for.

    Raises
    ------
    ValueError : no JSON: NaN, infinity, an object that names a key twice, or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message) from None


def _no_constant(name: str) -> Any:
    message = f"{name} is no JSON"
    raise ValueError(message)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = f"a key comes twice among {[name for name, _ in pairs]}"[:120]
        raise ValueError(message)
    return found


def split_columns(header: Sequence[str]) -> list[tuple[str, str | None] | None]:
    """What each column holds: a field and, for one of its keys, the key; None for a column of others."""
    found: list[tuple[str, str | None] | None] = []
    for name in header:
        field, dot, key = name.partition(".")
        if name in FIELDS:
            found.append((name, None))
        elif dot and key and field in NESTED:
            found.append((field, key))
        else:
            found.append(None)
    return found


def document_from(
    columns: Sequence[tuple[str, str | None] | None], cells: Sequence[str], schema: ContextSchema | None
) -> dict[str, Any]:
    """The document that a row of cells stands for.

    Raises
    ------
    ValueError : a cell that should be JSON is none.
    """
    document: dict[str, Any] = {}
    for place, text in zip(columns, cells, strict=True):
        if place is None:
            continue
        field, key = place
        if key is None:
            value = _field(field, text)
            if value is not None or field not in document:
                document[field] = value
        elif text or field == "context":
            inside = document.get(field)
            if inside is None:
                inside = document[field] = {}
            if field == "context":
                inside[key] = _value(text, None if schema is None else schema.get(key))
            else:
                inside[key] = _number(text) if field == "pmf" else _loose(text)
    return document


def _field(field: str, text: str) -> Any:
    if not text:
        return None
    if field in _JSON:
        return parse_json(text)
    if field in _NUMBERS:
        return text if text == UNKNOWN else _number(text)
    if field == "success":
        return _TRUTH.get(text.lower(), text)
    return text


def _number(text: str) -> int | float | str:
    """A finite number, an integer where it is written as one; the text itself where it stands for none."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number - number == 0.0:
            return number
    return text


def _loose(text: str) -> Any:
    """A value whose kind nothing declares."""
    if text[:1] in {'"', "[", "{"}:
        try:
            return parse_json(text)
        except ValueError:
            return text
    return _TRUTH[text.lower()] if text.lower() in _TRUTH else _number(text)


def _value(text: str, feature: Feature | None) -> Any:
    if not text:
        return None
    if text.startswith('"'):
        try:
            quoted = parse_json(text)
        except ValueError:
            quoted = None
        if isinstance(quoted, str):
            return quoted
    match feature:
        case Categorical() | Ordinal():
            return text
        case Numeric():
            return _number(text)
        case Flag():
            return _TRUTH.get(text.lower(), text)
        case _:
            return _TRUTH[text.lower()] if text.lower() in _TRUTH else _number(text)


def context_cell(value: Any) -> str:
    """How a table writes a context's value."""
    if value is None:
        return ""
    if isinstance(value, str):
        # A carriage return alone ends a row for some readers, Python's own among them.
        unlike = value.lower() in _TRUTH or _number(value) is not value or "\r" in value
        quoted = not value or value.startswith('"') or unlike
        return json.dumps(value, ensure_ascii=False) if quoted else value
    return json.dumps(value, allow_nan=False)


def cell_of(field: str, value: Any) -> str:
    """How a table writes a field's value."""
    if value is None:
        return UNKNOWN if field == "propensity" else ""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, allow_nan=False)
