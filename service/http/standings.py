"""What the log itself says for Prometheus: asked of the database when somebody looks, seldom and in time."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import asyncpg

from ...persistence.queries import query
from ...rewards.lifecycle import RewardState

__all__ = ["STATES", "Standing", "Standings"]

STATES = tuple(str(state) for state in RewardState)
_NEWEST = 1000
_APART_S = 5.0
_PATIENCE_S = 2.0
_BANDITS = 100


class Standing(NamedTuple):
    """The newest decisions by the state of their reward; the log's events by (kind, monitor)."""

    states: Mapping[str, int]
    events: Mapping[tuple[str, str], int]


class Standings:
    """Reads standings, one reader at a time; where the database does not answer, what it said last holds."""

    def __init__(self) -> None:
        self._read_at, self._turn = 0.0, asyncio.Lock()
        self._known: dict[str, Standing] = {}

    async def read(self, pool: asyncpg.Pool, bandits: Iterable[str]) -> Mapping[str, Standing]:
        """The standings of these bandits (of the first 100), as known within the last five seconds."""
        async with self._turn:
            if clock.monotonic() - self._read_at > _APART_S:
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        for bandit in list(bandits)[:_BANDITS]:
                            self._known[bandit] = await _standing(pool, bandit)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    pass  # health says that the database is away
                self._read_at = clock.monotonic()
        return self._known


async def _standing(pool: asyncpg.Pool, bandit: str) -> Standing:
    states = await pool.fetch(query("newest_states"), bandit, _NEWEST)
    events = await pool.fetch(query("event_counts"), bandit)
    return Standing(
        {row["state"]: row["n"] for row in states},
        {(row["kind"], row["monitor"]): row["n"] for row in events},
    )
