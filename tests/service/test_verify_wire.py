# ruff: noqa: S608 (statements are made of values that stand in this file)
"""Rows for ``verify`` as Postgres sends them, and as they are spelled: what a fetch and a hash would give."""

import json
from collections.abc import Callable
from typing import Any

import asyncpg
import numpy as np

from nyx_learning import (
    BanditSpec,
    Outcome,
)
from nyx_learning.persistence.queries import query
from nyx_learning.persistence.wire import copied
from nyx_learning.service.spelling import Recipe, float_texts, spell
from nyx_learning.service.verify_columns import DECISION, LOG

Contexts = Callable[[int], dict[str, Any]]


async def test_rows_travel_as_a_fetch_gives_them(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str, sql: Any
) -> None:
    engine = await open_engine(spec)
    for i in range(12):
        eligible = ["direct", "parallel(workers=2)"] if i % 3 == 2 else None
        decision = await engine.select_arm(contexts(i), f"wf-é{i}", eligible=eligible)
        await engine.update_reward(decision, Outcome(success=True, quality=i / 12))
    await engine.retract("wf-é1")
    await sql("SET session_replication_role = replica")
    odd = ["'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'", "'{-2147483648,2147483647}'", "'[5:6]={7,8}'"]
    for i, text in enumerate(odd):
        await sql(f"UPDATE nyx.log SET phi = {text} WHERE seq = {i + 2}")
        await sql(f"UPDATE nyx.decision SET pmf = {text}, eligible = {text} WHERE decision_id = 'wf-é{i}'")
    days = "('infinity'::date, '-infinity', '0001-01-01', '9999-12-31')"
    for i, day in enumerate(days.replace("::date", "")[1:-1].split(", ")):
        await sql(f"UPDATE nyx.log SET decided_on = {day} WHERE seq = {i + 1}")
    await sql("UPDATE nyx.decision SET decided_at = 'NaN' WHERE decision_id = 'wf-é8'")
    connection = await asyncpg.connect(database_dsn)
    async with connection.transaction():
        for name, columns, bounds in (("wire_rows", LOG, (1, 99)), ("wire_decisions", DECISION, (0, 99))):
            sent = [dict(row) for row in await connection.fetch(query(name), spec.name, *bounds)]
            pieces = await copied(connection, name, columns, spec.name, *bounds)
            told = [rows.row(i) for rows in pieces for i in range(len(rows))]
            assert repr(told) == repr(sent)
            assert repr([row for rows in pieces for row in rows.fetched()]) == repr(sent)
            assert [list(row) for row in told] == [list(columns)] * len(sent)
            assert len(told) > 11
    await connection.close()


async def test_what_is_spelled_is_what_is_hashed(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str
) -> None:
    """A row whose texts need an escape, or whose array has a gap, is not spelled at all."""
    engine = await open_engine(spec)
    keys = ["plain", 'quo"te', "back\\slash", "é", "tilde~", "x" * 300]
    for i, key in enumerate(keys):
        await engine.select_arm(contexts(i), key)
    connection = await asyncpg.connect(database_dsn)
    async with connection.transaction():
        (rows,) = await copied(connection, "wire_decisions", DECISION, spec.name, 0, 99)
    await connection.close()
    recipe = Recipe.of(
        list(DECISION),
        "[",
        ("quoted", "decision_id"),
        ",",
        ("list", "phi"),
        ",",
        ("text", 0),
        ",",
        ("number", 0),
        "]",
    )
    values = np.array([0.1, -0.0, 1e300, float("nan"), 5e-324, 2.0])
    texts = float_texts(values, np.array([True, True, True, True, True, False]))
    numbers = np.array([0, -7, 10, 99, 123_456_789_012, -(1 << 40)])
    spelled = spell(recipe, rows, [numbers], [texts])
    for i in range(len(rows)):
        row = rows.row(i)
        plain = row["decision_id"] in {"plain", "tilde~", "x" * 300}
        assert spelled.done[i] == (plain and i != 3)
        if spelled.done[i]:
            value = None if i == 5 else float(values[i])
            text = json.dumps([row["decision_id"], row["phi"], value, int(numbers[i])], separators=(",", ":"))
            assert spelled.text[spelled.ends[i] : spelled.ends[i + 1]].tobytes().decode() == text
    assert spelled.done.sum() in (2, 3)
