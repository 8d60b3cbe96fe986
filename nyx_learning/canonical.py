"""Canonical JSON and its hash: equal content gives equal bytes, in every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from json import encoder
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import orjson

__all__ = ["canonical_json", "digest", "hashed", "integers", "number", "plain_json", "quoted"]

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_ENCODE = _ENCODER.encode
# ``encode`` builds this one anew for each call, which takes longer than most of what is encoded here.
_COMPILED = None
if getattr(encoder, "c_make_encoder", None) is not None:
    _COMPILED = encoder.c_make_encoder(  # type: ignore[attr-defined]
        None, _ENCODER.default, quoted, None, ":", ",", True, False, False
    )


def canonical_json(content: Any) -> str:
    """JSON in ASCII with sorted keys and no spaces; floats by their shortest repr; NaN and infinity
    refused. ``quoted`` says the same of a string.
    """
    if _COMPILED is None or type(content) is not dict:
        return _ENCODE(content)
    try:
        return "".join(_COMPILED(content, 0))
    except RecursionError:
        return _ENCODE(content)  # says so where it contains itself


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS


def _alike() -> bool:
    """Whether this release of orjson spells as the standard library does, but for what is known to differ."""
    floats = [sign * 1.2345678901234567 * 10.0**power for power in range(-4, 16) for sign in (1, -1)]
    texts = ["".join(map(chr, range(0x7F))), True, None, -(1 << 63)]
    content = {"b": [*floats, 0.1, 1e-4, 5e15, 0.0, -0.0], "a": texts}
    large = [1e16, -1.5e22, 1.7976931348623157e308]
    return orjson.dumps(content, None, _SORTED).decode() == canonical_json(content) and all(
        orjson.dumps(value).decode() == repr(value) for value in large
    )


# A hash must not depend on a release: of 3.11.6, for one, 1e+16 is 1e16.
_ALIKE = _alike()


def plain_json(content: Any) -> str:
    """``canonical_json`` of what was checked before: strings, booleans, integers, finite floats, None, and
    lists, tuples and dicts of them. In an eighth of the time.
    """
    if not _ALIKE or type(content) is not dict:  # a row that was tampered with may hold a list
        return canonical_json(content)
    for value in content.values():
        if type(value) is float and value - value != 0.0:
            return canonical_json(content)  # which refuses it: such a row may hold this too
    try:
        sent = orjson.dumps(content, None, _SORTED)
    except TypeError:
        return canonical_json(content)
    # The two differ in floats below 1e-4, and in what is not printable ASCII; large floats are rare.
    if not sent.isascii() or b"0.0000" in sent or b"e-" in sent or b"e+" in sent or b"\x7f" in sent:
        return canonical_json(content)
    return sent.decode()


def number(value: float | None) -> str:
    """``canonical_json`` of a number, or of None."""
    if type(value) is not float:
        return _ENCODE(value)
    if _ALIKE and 1e-4 <= value < 1e16:
        return orjson.dumps(value).decode()  # the same digits, in a fourth of the time
    return repr(value) if value - value == 0.0 else _ENCODE(value)


def integers(values: Sequence[int]) -> str:
    """``canonical_json`` of a list of integers, without its brackets."""
    try:
        return orjson.dumps(tuple(values)).decode()[1:-1]
    except TypeError:  # longer than 64 bits, or of numpy
        return _commas(len(values)) % tuple(values)


@lru_cache(maxsize=4096)
def _commas(count: int) -> str:
    return ",".join(["%d"] * count)


def digest(content: Any) -> str:
    """BLAKE2b-128 of the canonical JSON, as 32 hexadecimal digits."""
    return hashed(_ENCODE(content))


def hashed(text: str) -> str:
    """``digest`` of a content whose canonical JSON is known."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
