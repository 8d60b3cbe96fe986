"""Canonical JSON and its hash: equal content gives equal bytes, in every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from json import encoder
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

__all__ = ["canonical_json", "digest", "hashed", "integers", "number", "quoted"]

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


def number(value: float | None) -> str:
    """``canonical_json`` of a number, or of None."""
    return repr(value) if type(value) is float and value - value == 0.0 else _ENCODE(value)


def integers(values: Sequence[int]) -> str:
    """``canonical_json`` of a list of integers, without its brackets."""
    return _commas(len(values)) % tuple(values)


@lru_cache(maxsize=4096)
def _commas(count: int) -> str:
    # One operation for all of them: a third of what it takes to spell each and join them.
    return ",".join(["%d"] * count)


def digest(content: Any) -> str:
    """BLAKE2b-128 of the canonical JSON, as 32 hexadecimal digits."""
    return hashed(_ENCODE(content))


def hashed(text: str) -> str:
    """``digest`` of a content whose canonical JSON is known."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
