"""One spelling for each JSON value, and its hash.

Versions of reward functions and of reference times are hashes of this spelling, so it must not depend on
insertion order, on the process, or on ``PYTHONHASHSEED``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["canonical_json", "short_hash"]


def canonical_json(document: Mapping[str, Any]) -> str:
    """Spell a JSON-able document with sorted keys, no spaces, ASCII only; NaN and infinity are refused."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def short_hash(document: Mapping[str, Any]) -> str:
    """BLAKE2b of the canonical spelling, 16 bytes, as 32 hexadecimal digits."""
    return hashlib.blake2b(canonical_json(document).encode("ascii"), digest_size=16).hexdigest()
