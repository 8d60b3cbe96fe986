"""How many statements a commit sends, beside BEGIN and COMMIT, however many decisions it carries."""

import asyncio
import time as clock
from typing import Any

from nyx_learning import BanditSpec, ContextSchema, Flag, Strategy
from nyx_learning.bandit import Learner
from nyx_learning.bandit.reports import Reported, draft_report
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.queries import query
from nyx_learning.persistence.store import Batch, Store


async def test_statements_of_a_commit(database_dsn: str) -> None:
    spec = BanditSpec("counted", [Strategy("a"), Strategy("b")], ContextSchema(flag=Flag()))
    pool = await connect(database_dsn, connections=1)
    store, learner = Store(pool, spec), Learner(spec)
    await store.register()
    sent: list[str] = []

    def said(statement: str) -> None:
        if statement not in {"BEGIN;", "COMMIT;"}:
            sent.append(statement)

    async with pool.acquire() as connection:
        inner: Any = connection
        inner._con.add_query_logger(lambda record: said(record.query))
    for attempt, size in enumerate((1, 1, 200)):  # at the first, asyncpg asks for types too
        if attempt == 1:
            store._last = None  # as after another process has written
        decisions = {}
        for number in range(size):
            clean, phi = learner.encoder.encode({"flag": number % 2 == 0})
            key = f"{attempt}-{number}"
            decisions[key] = learner.choose(clean, phi, key, None, time=clock.time(), mode="normal")
        sent.clear()
        await store.commit(Batch(decisions, {}, {}))
        await asyncio.sleep(0)  # the logger is told by the event loop
        assert not attempt or sent == [query("insert_decisions")]
        told = Reported(None, 0.5, None, "", "", None)
        rows = {
            key: draft_report(spec, decision, spec.encoding, told, clock.time())
            for key, decision in decisions.items()
        }
        sent.clear()
        batch = Batch({}, rows, decisions)
        await store.commit(batch)
        await asyncio.sleep(0)
        assert len(batch.appended) == size
        names = ["append_next"]  # it knows where the log ends
        if attempt < 2:
            names = ["lock_bandit", "append_next"]
        assert not attempt or sent == [query(name) for name in names]
    await close_pool(pool)
