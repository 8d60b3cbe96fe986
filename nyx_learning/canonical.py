"""Canonical JSON and its hash: equal content gives equal bytes, in every process."""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring_ascii
from typing import Any

__all__ = ["canonical_json", "digest", "hashed", "number", "quoted"]

_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical_json(content: Any) -> str:
    """JSON in ASCII with sorted keys and no spaces; floats by their shortest repr; NaN and infinity
    refused.
    """
    return _ENCODE(content)


def quoted(text: str) -> str:
    """``canonical_json`` of a string."""
    return encode_basestring_ascii(text)


def number(value: float | None) -> str:
    """``canonical_json`` of a number, or of None."""
    return repr(value) if type(value) is float and value - value == 0.0 else _ENCODE(value)


def digest(content: Any) -> str:
    """BLAKE2b-128 of the canonical JSON, as 32 hexadecimal digits."""
    return hashed(_ENCODE(content))


def hashed(text: str) -> str:
    """``digest`` of a content whose canonical JSON is known."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
