"""Scores reach the table that the user has, whatever it is called, and what is not there is said."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import pytest

from nyx_learning.errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    InputInvalid,
    NyxError,
    OutcomeInvalid,
    Overloaded,
)
from nyx_learning.persistence.thought_trees import COLUMNS, ThoughtTrees, ThoughtTreesWritten
from nyx_learning.rewards import ScoringResult

SPACE = UUID(int=7)
SCORES = "success_score real, quality_score float8, speed_score numeric, usefulness_score float8"
TABLE = f"CREATE TABLE {{}} (id {{}} PRIMARY KEY, {SCORES}, overall_weight float8, note text DEFAULT 'kept')"


def tree(i: int) -> UUID:
    return uuid5(SPACE, str(i))


def scored(value: float, **changes: Any) -> ScoringResult:
    scores = {"success_score": 1.0, "quality_score": value, "speed_score": 0.5, "usefulness_score": None}
    return ScoringResult(**{**scores, "overall_weight": value / 2, **changes})


@pytest.fixture
async def pool(database_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database_dsn, min_size=1, max_size=4) as opened:
        yield opened


async def make(pool: asyncpg.Pool, name: str, kind: str, ids: list[str]) -> None:
    await pool.execute(TABLE.format(name, kind))
    await pool.execute(f"INSERT INTO {name} (id) SELECT i::{kind} FROM unnest($1::text[]) AS i", ids)  # noqa: S608


async def stored(pool: asyncpg.Pool, name: str = "thought_trees") -> dict[str, tuple[Any, ...]]:
    rows = await pool.fetch(f"SELECT * FROM {name}")  # noqa: S608
    return {str(row["id"]): tuple(row[c] for c in COLUMNS) for row in rows}


async def test_queued_and_flushed(pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture) -> None:
    await make(pool, "thought_trees", "uuid", [str(tree(i)) for i in range(3)])
    trees = ThoughtTrees(pool)
    await trees.update(tree(0), scored(0.25))
    await trees.update(str(tree(1)).upper(), scored(0.5))
    await trees.update(tree(9), scored(0.5))
    await trees.update(tree(0), scored(0.75))  # the later one counts
    assert await trees.flush() == ThoughtTreesWritten(2, (str(tree(9)),))
    assert await stored(pool) == {
        str(tree(0)): (1.0, 0.75, 0.5, None, 0.375),
        str(tree(1)): (1.0, 0.5, 0.5, None, 0.25),
        str(tree(2)): (None,) * 5,
    }
    assert await trees.flush() == ThoughtTreesWritten(0, ())
    assert "1 thought trees with scores are not in table 'thought_trees'" in caplog.text
    assert {row["note"] for row in await pool.fetch("SELECT note FROM thought_trees")} == {"kept"}
    await trees.close()


async def test_updating_does_not_wait_for_the_database(pool: asyncpg.Pool) -> None:
    await make(pool, "thought_trees", "uuid", [str(tree(0))])
    trees = ThoughtTrees(pool)
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE thought_trees IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(1):
            for i in range(2500):
                await trees.update(tree(i), scored(0.5))
        assert not (await asyncio.wait([asyncio.ensure_future(trees.flush())], timeout=0.05))[0]
    written = await trees.flush()
    assert written.updated + len(written.missing) in {0, 500, 2500}  # the first flush has told the rest
    assert (await stored(pool))[str(tree(0))][1] == 0.5
    await trees.close()


@pytest.mark.parametrize(
    ("name", "created", "kind", "ids"),
    [
        ("app.thoughts", 'app."thoughts"', "bigint", [1, 2, -3]),
        ("Trees", '"Trees"', "text", ["a", "b'; DROP TABLE x; --", 'c"']),
        ("app.select", 'app."select"', "character varying(40)", ["x", "y"]),
        ("äpfel$1", '"äpfel$1"', "integer", [7]),
    ],
)
async def test_names_and_types(
    pool: asyncpg.Pool, name: str, created: str, kind: str, ids: list[Any]
) -> None:
    await pool.execute("CREATE SCHEMA app")
    await make(pool, created, kind, [str(i) for i in ids])
    trees = ThoughtTrees(pool, name)
    absent = 1234 if isinstance(ids[0], int) else "absent"
    written = await trees.update_many({i: scored(0.5) for i in [*ids, absent]})
    assert written == ThoughtTreesWritten(len(ids), (str(absent),))
    assert all(row[1] == 0.5 for row in (await stored(pool, created)).values())


@pytest.mark.parametrize(
    "name", ["", "a.b.c", "a b", 'a"b', "a;b", "a.", ".a", "1a", "x" * 64, None, "thought_trees--"]
)
async def test_names_that_are_none(pool: asyncpg.Pool, name: Any) -> None:
    with pytest.raises(InputInvalid, match="the name of the thought trees' table"):
        ThoughtTrees(pool, name)
    with pytest.raises(InputInvalid):
        ThoughtTrees(pool, key=name or "a b")


async def test_tables_that_cannot_be_used(pool: asyncpg.Pool) -> None:
    await pool.execute("CREATE TABLE half (id uuid, success_score real)")
    one = {tree(1): scored(0.5)}
    with pytest.raises(InputInvalid, match="no such table"):
        await ThoughtTrees(pool, "nowhere").update_many(one)
    with pytest.raises(InputInvalid, match="a table without overall_weight, quality_score"):
        await ThoughtTrees(pool, "half").update_many(one)
    with pytest.raises(InputInvalid, match=r"without .*identifier"):
        await ThoughtTrees(pool, "half", key="identifier").update_many(one)


async def test_bad_input_writes_nothing(pool: asyncpg.Pool) -> None:
    await make(pool, "thought_trees", "uuid", [str(tree(0))])
    trees = ThoughtTrees(pool)
    good = scored(0.5)
    bad: list[tuple[Any, Any, type[NyxError]]] = [
        (tree(1), scored(float("nan")), OutcomeInvalid),
        (tree(1), scored(0.5, success_score=1.5), OutcomeInvalid),
        (tree(1), 0.5, InputInvalid),
        (None, good, InputInvalid),
        (True, good, InputInvalid),
        ("no uuid", good, InputInvalid),
        ("a\x00b", good, InputInvalid),
    ]
    for key, value, error in bad:
        with pytest.raises(error):
            await trees.update_many({tree(0): good, key: value})
    assert (await stored(pool))[str(tree(0))] == (None,) * 5


async def test_a_refused_write_is_told_and_the_next_one_works(
    pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await make(pool, "thought_trees", "uuid", [str(tree(0))])
    await pool.execute("ALTER TABLE thought_trees ADD CHECK (quality_score < 0.9)")
    trees = ThoughtTrees(pool)
    await trees.update(tree(0), scored(1.0))
    with pytest.raises(DatabaseRefused):
        await trees.flush()
    await trees.update(tree(0), scored(0.5))
    assert (await trees.flush()).updated == 1
    await trees.update(tree(0), scored(1.0))
    with caplog.at_level(logging.ERROR):
        await trees.close()
    assert "were not written" in caplog.text


async def test_ten_thousand_rows_in_few_statements(pool: asyncpg.Pool) -> None:
    await make(pool, "thought_trees", "uuid", [str(tree(i)) for i in range(10_000)])
    statements: list[str] = []
    async with pool.acquire() as connection:
        connection.add_query_logger(lambda record: statements.append(record.query))
        trees = ThoughtTrees(connection)  # type: ignore[arg-type]
        written = await trees.update_many({tree(i): scored(i / 10_000) for i in range(10_000)})
    assert written == ThoughtTreesWritten(10_000, ())
    assert len(statements) <= 20
    assert (await stored(pool))[str(tree(9999))][1] == 0.9999


async def test_what_waits_is_bounded(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(pool, "thought_trees", "uuid", [str(tree(i)) for i in range(6)])
    monkeypatch.setattr("nyx_learning.persistence.thought_trees._MOST_WAITING", 5)
    monkeypatch.setattr("nyx_learning.persistence.thought_trees._MOST_MISSING", 3)
    trees = ThoughtTrees(pool, patience_s=0.01)
    with monkeypatch.context() as away:
        away.setattr(trees, "_insisted", _away)
        for i in range(5):
            await trees.update(tree(i), scored(0.25))
        with pytest.raises(Overloaded) as caught:
            await trees.update(tree(5), scored(0.25))
        assert caught.value.retryable
        await trees.update(tree(4), scored(0.5))  # it waits already
        with pytest.raises(DatabaseUnavailable):
            await trees.flush()
    assert (await trees.flush()).updated == 5
    for i in range(10, 20):
        await trees.update(tree(i), scored(0.5))
    written = await trees.flush()
    assert (written.updated, len(written.missing)) == (0, 3)


async def _away(*_: Any) -> Any:
    raise DatabaseUnavailable("a test", expected="-", found="a test", fix="-")
