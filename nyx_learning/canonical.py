"""Canonical JSON and its hash: equal content gives equal bytes, in every process."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["canonical_json", "digest"]


def canonical_json(content: Any) -> str:
    """JSON in ASCII with sorted keys and no spaces; floats by their shortest repr; NaN and infinity
    refused.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(content: Any) -> str:
    """BLAKE2b-128 of the canonical JSON, as 32 hexadecimal digits."""
    return hashlib.blake2b(canonical_json(content).encode(), digest_size=16).hexdigest()
