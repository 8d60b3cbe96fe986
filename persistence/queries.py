"""All SQL stands in the files of ``sql/`` that are no migrations; here it gets its names."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

__all__ = ["Connection", "query"]

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""What a query runs on: a connection of one's own, or one of a pool."""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in (files(__package__) / "sql").iterdir():
        if path.name[:4].isdigit() or not path.name.endswith(".sql"):
            continue  # a migration
        parts = _NAME.split(path.read_text("utf-8"))[1:]
        for name, sql in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                message = f"two statements are named {name}"
                raise ValueError(message)
            found[name] = sql.strip().removesuffix(";")
    return found


def query(name: str) -> str:
    """Return the statement of that name."""
    return _all()[name]
