"""Partitions by month, made ahead of the decisions that will stand in them."""

from __future__ import annotations

import logging

import asyncpg

from .queries import Connection, query

__all__ = ["prepare_partitions"]

_LOG = logging.getLogger("nyx_learning")
_MONTHS = 2


async def prepare_partitions(connection: Connection) -> int:
    """Make the partitions of this month and the next where they are missing; returns how many tables.

    Where that cannot be done now, a warning says so: rows then stand in the default partition, and move when
    the month's own one is made.
    """
    if await connection.fetchval(query("partitions_ready"), _MONTHS):
        return 0
    try:
        return int(await connection.fetchval(query("add_partitions"), _MONTHS))
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.LockNotAvailableError,
        asyncpg.DeadlockDetectedError,
        asyncpg.ReadOnlySQLTransactionError,
    ) as error:
        _LOG.warning("no partition was made for the months ahead: %s", str(error)[:200])
        return 0
