"""What a dashboard reads of a bandit: newest rows, in bounded numbers, added up by Postgres.

Rewards are what decisions contribute now to what is learned: corrected, put together of parts, the default
behind a silent window; without what was retracted. (Also what was told while learning was frozen.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import asyncpg

from ..bandit.events import EventRow
from .queries import query
from .rows import event_from

__all__ = [
    "ArmRecord",
    "BanditRecord",
    "DecisionRecord",
    "Stretch",
    "arm_records",
    "bandit_records",
    "beat",
    "chosen_arms",
    "decided",
    "newest_contexts",
    "newest_decisions",
    "newest_events",
    "stretches",
]

BANDITS_MAX = 200
REWARDS_MAX = 10_000
DECISIONS_MAX = 5_000


class BanditRecord(NamedTuple):
    """A bandit of the database; ``mean``, ``sd`` of its newest ``rewards``; ``at``: when the last was told.

    ``mean`` and ``at`` are None without any reward.
    """

    bandit: str
    last_seq: int
    decisions: int
    rewards: int
    mean: float | None
    sd: float
    at: float | None


class Stretch(NamedTuple):
    """Rewards that follow each other: their number, mean and sd; of ``known`` outcomes, who ``succeeded``.

    ``first_seq``, ``last_seq`` : rows at which they stand in the sums: where each was first learned.
    """

    first_seq: int
    last_seq: int
    first_at: float | None
    last_at: float | None
    n: int
    mean: float
    sd: float
    known: int
    succeeded: int


class ArmRecord(NamedTuple):
    """What an arm was worth."""

    arm_id: str
    n: int
    mean: float
    sd: float
    known: int
    succeeded: int


class DecisionRecord(NamedTuple):
    """A decision, and where its reward stands; ``state`` None: nothing was reported."""

    decision_id: str
    decided_at: float | None
    arm_id: str
    propensity: float
    reason: str
    mode: str
    context: Mapping[str, Any]
    state: str | None
    reward: float | None


async def bandit_records(pool: asyncpg.Pool) -> list[BanditRecord]:
    """The first 200 bandits by name, with the mean of what each one's newest 200 rewards count."""
    rows = await pool.fetch(query("dashboard_bandits"), BANDITS_MAX, 200)
    names = BanditRecord._fields
    return [BanditRecord(*(row[name] for name in names)) for row in rows]


async def beat(pool: asyncpg.Pool) -> tuple[int, int]:
    """How many bandits there are, and rows of all logs."""
    row = await pool.fetchrow(query("dashboard_beat"))
    return (0, 0) if row is None else (row["bandits"], row["rows"])


async def decided(pool: asyncpg.Pool, bandit: str) -> int:
    """How many decisions are stored."""
    return int(await pool.fetchval(query("dashboard_decided"), bandit) or 0)


async def stretches(pool: asyncpg.Pool, bandit: str, most: int = 40, least: int = 10) -> list[Stretch]:
    """The newest 10,000 rewards in at most so many stretches of at least so many rewards, oldest first.

    Fewer where some of the newest 10,000 contributions were taken back.
    """
    rows = await pool.fetch(query("dashboard_stretches"), bandit, REWARDS_MAX, most, least)
    return [Stretch(*(row[name] for name in Stretch._fields)) for row in rows]


async def arm_records(pool: asyncpg.Pool, bandit: str) -> dict[str, ArmRecord]:
    """What each arm was worth in the newest 10,000 rewards."""
    rows = await pool.fetch(query("dashboard_arms"), bandit, REWARDS_MAX)
    return {row["arm_id"]: ArmRecord(*(row[name] for name in ArmRecord._fields)) for row in rows}


async def chosen_arms(pool: asyncpg.Pool, bandit: str) -> dict[str, int]:
    """How often each arm was chosen in the newest 5,000 decisions; the most frequent first."""
    rows = await pool.fetch(query("dashboard_chosen"), bandit, DECISIONS_MAX)
    return {row["arm_id"]: row["n"] for row in rows}


async def newest_contexts(pool: asyncpg.Pool, bandit: str, most: int) -> list[dict[str, Any]]:
    """The contexts of the newest decisions."""
    rows = await pool.fetch(query("dashboard_contexts"), bandit, most)
    return [json.loads(row["context"]) for row in rows]


async def newest_decisions(pool: asyncpg.Pool, bandit: str, most: int) -> list[DecisionRecord]:
    """The newest decisions, the latest first."""
    found = []
    for row in await pool.fetch(query("dashboard_decisions"), bandit, most):
        fields = {name: row[name] for name in DecisionRecord._fields}
        found.append(DecisionRecord(**{**fields, "context": json.loads(fields["context"])}))
    return found


async def newest_events(pool: asyncpg.Pool, bandit: str, most: int) -> list[EventRow]:
    """The newest conclusions of monitors and guardrails, and orders of people; the latest first."""
    return [event_from(row) for row in await pool.fetch(query("dashboard_events"), bandit, most)]
