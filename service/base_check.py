"""What ``verify`` checks of retention: the base that it left, and the keys of what it dropped."""

from __future__ import annotations

from ..persistence.base import base_digest, read_bases
from ..persistence.guardrails import guardrail_events
from ..persistence.queries import Connection, query
from ..persistence.store import Store
from . import log_walk
from .log_walk import Base, Found

__all__ = ["checked_base", "checked_keys"]


async def checked_base(store: Store, connection: Connection, found: Found) -> Base:
    """Where the log of a bandit begins; a base that is not what was written is noted in ``found``."""
    seq = int(await connection.fetchval(query("base_seq"), store.bandit) or 0)
    sums = {}
    for key, (base, digest) in (await read_bases(connection, store.bandit)).items():
        sums[key] = base.blocks
        if base.seq != seq:
            told = f"the base: sums go up to row {base.seq}, the bandit names row {seq}"
            found.add(log_walk.SPECS, 0, "", told)
        elif base_digest(base.seq, base.blocks) != digest:
            found.add(log_walk.SPECS, 0, "", f"the base at row {seq}: its sums are not what was written")
    if seq and not sums:
        found.add(log_walk.SPECS, 0, "", f"the base at row {seq}: no sums are stored")
    return Base(seq, sums, await guardrail_events(connection, store.bandit, seq) if seq else ())


async def checked_keys(store: Store, connection: Connection, found: Found) -> None:
    """Note the first decision whose key says something else, or that is gone and was not dropped."""
    row = await connection.fetchrow(query("key_divergence"), store.bandit)
    if row is not None:
        problem = "it is missing" if row["missing"] else "its key is not what was written"
        key = row["decision_id"]
        found.add(log_walk.COUNTED, 0, key, f"decision '{key}': {problem}")
