# ruff: noqa: S608 (statements are made of names that stand in this file and in the catalogue)
"""``verify`` holds for what the engine wrote, and names whatever was changed since."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, Outcome

Contexts = Callable[[int], dict[str, Any]]

OTHER = {
    "text": "{0} || '~'",
    "integer": "{0} + 1",
    "date": "{0} + 1",
    "bigint": "{0} + 1",
    "double precision": "coalesce({0}, 0) * 0.5 + 0.001",
}
"""How to change a column of each type to a value that could stand there."""

DECISION = {
    "context": """(replace({0}::text, '"code"', '"text"'))::json""",
    "phi": "{0}[1:4] || ({0}[5] - 1)",
    "phi, short": "{0}[1:2]",
    "eligible": "ARRAY[0, 1, 2, 3]",
    "eligible, where it was set": "ARRAY[1, 2]",
    "stages": "(replace({0}::text, '\"chosen\":', '\"chosen\":1'))::json",
    "stages, unreadable": "'[1]'",
    "pmf": "ARRAY[{0}[2], {0}[1], {0}[3], {0}[4]]",
    "pmf, empty": "ARRAY[]::bigint[]",
    "pmf, one unit": "ARRAY[{0}[1] - 1, {0}[2] + 1, {0}[3], {0}[4]]",
    "arm_id, another": "CASE {0} WHEN 'direct' THEN 'parallel(workers=2)' ELSE 'direct' END",
    "reason, another": "CASE {0} WHEN 'policy' THEN 'holdout' ELSE 'policy' END",
    "mode, another": "'write_behind'",
    "epoch, negative": "-1",
}
LOG = {
    "phi": "{0}[1:4] || ({0}[5] - 1)",
    "phi, short": "{0}[1:2]",
    "units": "65536 - {0}",
    "outcome": """'{{"success":false}}'""",
    "outcome, none": "NULL",
    "pricing": "(replace({0}::text, 'value', 'valve'))::json",
    "arm_id, another": "CASE {0} WHEN 'direct' THEN 'parallel(workers=2)' ELSE 'direct' END",
    "encoding, made to re-encode": "'{{}}'",
    "kind, another": "'retraction'",
    "taken, where nothing was": "7",
}


@pytest.fixture
async def told(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> Any:
    """An engine with a log of 40 rows; returns what ``verify`` says first, or None."""
    engine = await open_engine(spec)
    for i in range(44):
        eligible = ["direct", "parallel(workers=2)", "parallel(workers=4)"] if i % 4 == 3 else None
        decision = await engine.select_arm(contexts(i), f"wf-{i}", eligible=eligible)
        if i < 40:
            outcome = Outcome(success=i % 3 > 0, quality=i / 40)
            await engine.update_reward(decision, outcome)
    assert engine.state_seq == 40

    async def verify() -> str | None:
        report = await engine.verify()
        assert report.ok == (report.first_divergence is None)
        return report.first_divergence  # type: ignore[no-any-return]

    assert await verify() is None
    return verify


@pytest.fixture
async def tamper(database_dsn: str) -> Any:
    """Change something beside all constraints, ask, and put it back."""
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("SET session_replication_role = replica")  # no foreign keys

    async def run(ask: Callable[[], Any], table: str, *statements: str) -> str | None:
        await connection.execute(f"CREATE TABLE kept AS SELECT * FROM {table}")
        for statement in statements:
            await connection.execute(statement)
        answer = await ask()
        await connection.execute(f"DELETE FROM {table}")
        await connection.execute(f"INSERT INTO {table} SELECT * FROM kept")
        await connection.execute("DROP TABLE kept")
        return answer  # type: ignore[no-any-return]

    yield run
    await connection.close()


async def columns(sql: Any, table: str) -> dict[str, str]:
    return dict(
        await sql(
            "SELECT column_name::text, data_type::text FROM information_schema.columns"
            " WHERE table_schema = 'nyx' AND table_name = $1",
            table,
        )
    )


async def changes(sql: Any, table: str, special: dict[str, str]) -> list[tuple[str, str, str]]:
    """(name, column, expression) so that every column of the table is changed at least once."""
    found = []
    for column, kind in (await columns(sql, table)).items():
        own = [(name, text) for name, text in special.items() if name.split(",")[0] == column]
        if kind in OTHER and column not in {"units", "kind", "taken"}:
            own.append((column, OTHER[kind]))
        assert own, f"no way to change {table}.{column} of type {kind}"
        found += [(name, column, text.format(column)) for name, text in own]
    return found


@pytest.mark.parametrize("row", ["wf-3", "wf-42"])
async def test_every_column_of_a_decision(told: Any, tamper: Any, sql: Any, row: str) -> None:
    """wf-3 has a restricted eligibility and a reward, wf-42 has neither."""
    named = 0
    for name, column, value in await changes(sql, "decision", DECISION):
        if row == "wf-42" and name == "eligible, where it was set":
            continue
        where = f"WHERE decision_id = '{row}'"
        before = await sql(f"SELECT {column}::text FROM nyx.decision {where}")
        answer = await tamper(told, "nyx.decision", f"UPDATE nyx.decision SET {column} = {value} {where}")
        after = await sql(f"SELECT {column}::text FROM nyx.decision {where}")
        assert before == after
        changed = await sql(f"SELECT ({value})::text <> {column}::text FROM nyx.decision {where}")
        if changed == [(False,)]:
            continue
        named += 1
        assert answer is not None, name
        if column not in {"bandit", "decision_id"}:
            assert f"'{row}'" in answer, (name, answer)
    assert named > 20


async def test_every_column_of_a_log_row(told: Any, tamper: Any, sql: Any) -> None:
    columns_seen = set()
    for name, column, value in await changes(sql, "log", LOG):
        value = "77" if column == "seq" else value  # noqa: PLW2901
        answer = await tamper(told, "nyx.log", f"UPDATE nyx.log SET {column} = {value} WHERE seq = 17")
        assert answer is not None, name
        assert "log row 17" in answer or "'wf-16'" in answer, (name, answer)
        columns_seen.add(column)
    assert columns_seen == set(await columns(sql, "log"))


REMOVED = [
    ("nyx.log", "DELETE FROM nyx.log WHERE seq = 1", "log row 1: missing"),
    ("nyx.log", "DELETE FROM nyx.log WHERE seq = 20", "log row 20: missing"),
    ("nyx.log", "DELETE FROM nyx.log WHERE seq = 40", "log row 40"),
    ("nyx.log", "DELETE FROM nyx.log", "log row 1"),
    ("nyx.decision", "DELETE FROM nyx.decision WHERE decision_id = 'wf-7'", "'wf-7'"),
    ("nyx.decision", "DELETE FROM nyx.decision WHERE decision_id = 'wf-42'", "43 are stored, 44"),
    ("nyx.bandit", "UPDATE nyx.bandit SET last_seq = 41", "log row 41"),
    ("nyx.bandit", "UPDATE nyx.bandit SET last_seq = 39", "log row 40"),
    ("nyx.bandit", "UPDATE nyx.bandit SET adopted_seq = 7", "adoptions: row 0 is the last one"),
    ("nyx.counted", "UPDATE nyx.counted SET decisions = decisions + 1", "44 are stored, 45"),
    ("nyx.spec", "UPDATE nyx.spec SET document = replace(document::text, '7', '8')::json", "spec"),
    ("nyx.spec", "UPDATE nyx.spec SET document = '{}'", "unreadable"),
    ("nyx.spec", "DELETE FROM nyx.spec", "its spec is not stored"),
    ("nyx.checkpoint", "UPDATE nyx.checkpoint SET seq = 30", "the stored sums of arm"),
    ("nyx.checkpoint", "UPDATE nyx.checkpoint SET seq = 4000", "up to row 4000"),
    ("nyx.sums", "UPDATE nyx.sums SET statistics[2] = statistics[2] + 1 WHERE bucket = 1", "bucket 1"),
    ("nyx.sums", "UPDATE nyx.sums SET statistics[20] = statistics[20] + 1 WHERE bucket = 0", "bucket 0"),
    ("nyx.sums", "UPDATE nyx.sums SET bucket = bucket + 9", "bucket"),
    ("nyx.sums", "UPDATE nyx.sums SET statistics = '{}' WHERE arm_id = 'direct'", "'direct'"),
    ("nyx.sums", "DELETE FROM nyx.sums WHERE arm_id = 'direct'", "'direct'"),
]


async def test_removed_and_miscounted(told: Any, tamper: Any) -> None:
    for table, statement, answer in REMOVED:
        found = await tamper(told, table, statement)
        assert found is not None, statement
        assert answer in found, statement
    assert await told() is None


async def test_swapped_rows(told: Any, tamper: Any, sql: Any) -> None:
    for table, key, one, two in (
        ("nyx.log", "seq", "5", "6"),
        ("nyx.decision", "decision_id", "'wf-40'", "'wf-42'"),
        ("nyx.decision", "decision_id", "'wf-5'", "'wf-6'"),
    ):
        other = f"CASE {key} WHEN {one} THEN {two} ELSE {one} END"
        others = [c for c in await columns(sql, table.removeprefix("nyx.")) if c != key]
        left, right = ", ".join(others), ", ".join(f"o.{c}" for c in others)
        # In two steps where (bandit, decision_id) is unique beside the key.
        swap = (
            f"CREATE TEMP TABLE o AS SELECT * FROM {table} WHERE {key} IN ({one}, {two})",
            f"DELETE FROM {table} WHERE {key} IN ({one}, {two})",
            f"INSERT INTO {table} ({key}, {left}) SELECT {other}, {right} FROM o",
            "DROP TABLE o",
        )
        answer = await tamper(told, table, *swap)
        assert answer is not None
        assert one.strip("'") in answer or two.strip("'") in answer


async def test_swapped_rewards_of_two_rows(told: Any, tamper: Any) -> None:
    swap = (
        "UPDATE nyx.log l SET outcome = o.outcome, reward = o.reward, units = o.units, pricing = o.pricing,"
        " digest = o.digest FROM nyx.log o WHERE l.seq + o.seq = 15 AND l.seq IN (7, 8)"
    )
    assert "log row 7" in (await tamper(told, "nyx.log", swap) or "")


async def test_sums_of_another_encoding_are_checked_too(
    told: Any, tamper: Any, open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    other = await open_engine(replace(spec, bucket_rows=64))
    decision = await other.select_arm(contexts(1), "elsewhere")
    await other.update_reward(decision, reward=0.5)
    await other.close()
    assert await told() is None
    answer = await tamper(
        told, "nyx.sums", "UPDATE nyx.sums SET statistics[1] = statistics[1] + 1 WHERE bucket_rows = 64"
    )
    assert answer is not None
    assert "sums" in answer


async def test_an_empty_bandit_verifies(open_engine: Any, spec: BanditSpec) -> None:
    report = await (await open_engine(spec)).verify()
    assert report.ok
    assert (report.decisions, report.rewards) == (0, 0)


UNSEEN = {
    ("bandit", "created_at"): "nothing follows from it",
    ("spec", "created_at"): "nothing follows from it",
    ("counted", "stripe"): "which of the counters counted",
    ("migration", "*"): "for doctor",
    ("abandoned", "*"): "nothing is written there any more",
}
"""What may be changed without ``verify`` minding, and why."""
ANY = {
    **OTHER,
    "integer": "{0} + 1000003",
    "bigint": "{0} + 1000003",
    "json": "'{{}}'",
    "ARRAY": "{0}[2:]",
    "boolean": "NOT {0}",
    "date": "{0} + 40",
    "timestamp with time zone": "{0} + interval '1 day'",
}
CHECKED_ABOVE = {"decision", "log"}
EMPTY = {
    "base": "test_retention changes it",
    "base_sums": "test_retention changes it",
    "hold": "says what retention must keep, and nothing of what was learned",
    "conflict": "kept apart: no fold reads it",
    "unlearned": "kept apart: no fold reads it",
    "monitoring": "where the leader stands; its events are rows of the log",
    "abandoned": "nothing is written there any more",
    "budget": "refuses executions, and changes no choice: test_guardrails_processes adds it up",
    "reservation": "the same, for each execution",
    "execution": "what agents report beside the log: no fold reads it",
    "pattern_snapshot": "found in the log by analysis: no fold reads it",
    "advice": "said of decisions afterwards: no fold reads it",
}
"""Tables without rows in a plain log, and where or why their rows are not changed here."""


async def tables(sql: Any) -> list[str]:
    """Every table of the schema that holds rows, but not the partitions of another."""
    found = await sql(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'nyx' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
    )
    return [name for (name,) in found]


async def test_one_row_of_every_table(told: Any, tamper: Any, sql: Any) -> None:
    """Whatever table or column a migration adds: changing it is seen, or UNSEEN says why it need not be."""
    for table in await tables(sql):
        rows = await sql(f"SELECT count(*) FROM nyx.{table}")
        if (table, "*") in UNSEEN:
            continue
        if rows == [(0,)]:
            assert table in EMPTY, f"{table} is not changed by any test"
            continue
        one = f"ctid = (SELECT min(ctid) FROM nyx.{table})"
        if table not in CHECKED_ABOVE:
            answer = await tamper(told, f"nyx.{table}", f"DELETE FROM nyx.{table} WHERE {one}")
            assert answer is not None, f"a deleted row of {table}"
        for column, kind in (await columns(sql, table)).items():
            if table in CHECKED_ABOVE or (table, column) in UNSEEN:
                continue
            value = ANY[kind].format(column)
            answer = await tamper(
                told, f"nyx.{table}", f"UPDATE nyx.{table} SET {column} = {value} WHERE {one}"
            )
            assert answer is not None, (table, column)
    assert await told() is None
