"""All SQL stands in ``sql/queries.sql``; here it gets its names."""

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
    text = (files(__package__) / "sql" / "queries.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {name: sql.strip().removesuffix(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def query(name: str) -> str:
    """Return the statement of that name."""
    return _all()[name]
