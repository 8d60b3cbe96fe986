"""What can be wrong with a database, looked up without changing anything."""

from __future__ import annotations

import time as clock
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import asyncpg

from .migrations import known_migrations
from .queries import Connection, query

__all__ = ["Finding", "State", "examine"]

State: TypeAlias = Literal["ok", "warn", "fail"]

_OLDEST = 140000
_NEEDED = {
    "decision": (("bandit", "decision_id"), ("bandit", "state_seq")),
    "log": (("bandit", "seq"), ("bandit", "decision_id")),
}
_WRITTEN = ("bandit", "spec", "decision_key", "decision", "log", "execution", "advice", "pattern_snapshot")
"""Columns that an index of the table has to begin with: every statement of ours relies on one of these."""
_MANY_ROWS = 20_000
_BLOATED = 0.3
_LAG_ROWS = 200_000
_SKEW_WARN_S, _SKEW_FAIL_S = 1.0, 60.0
_LONG_S = 60.0
_SLOW_S = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``found`` in words, and how to mend it where it is not ``ok``."""

    check: str
    state: State
    found: str
    fix: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """As plain JSON."""
        return {"check": self.check, "state": self.state, "found": self.found, "fix": self.fix}


_Check: TypeAlias = Callable[[Connection], Awaitable[list[Finding]]]


async def examine(connection: Connection) -> list[Finding]:
    """Look at the server, the schema, and how both are doing; every check answers, whatever the others do."""
    found: list[Finding] = []
    for name, check in _CHECKS.items():
        if name in _NEED_SCHEMA and any(f.check == "migrations" and f.state == "fail" for f in found):
            continue
        try:
            found += await check(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            told = f"{type(error).__name__}: {error!s:.160}"
            found.append(Finding(name, "fail", told, "give the role the right to look, or start the server"))
    return found


async def _connection(connection: Connection) -> list[Finding]:
    times = []
    for _ in range(5):
        began = clock.perf_counter()
        await connection.fetchval(query("doctor_clock"))
        times.append(clock.perf_counter() - began)
    trip = sorted(times)[2]
    told = f"answers in {trip * 1e3:.2f} ms"
    if trip > _SLOW_S:
        fix = "move the orchestrator nearer to the database: every durable decision waits for two trips"
        return [Finding("connection", "warn", told, fix)]
    return [Finding("connection", "ok", told)]


async def _version(connection: Connection) -> list[Finding]:
    (row,) = await connection.fetch(query("doctor_server"))
    good = row["version"] >= _OLDEST
    found = [
        Finding("version", "ok", f"Postgres {row['told']}")
        if good
        else Finding("version", "fail", f"Postgres {row['told']}", "upgrade to Postgres 14 or newer")
    ]
    if row["standby"]:
        found.append(
            Finding(
                "role", "fail", "a standby: it refuses writes", "connect to the primary, or promote this one"
            )
        )
    else:
        found.append(Finding("role", "ok", "a primary: it takes writes"))
    used, most = row["sessions"], row["max_connections"]
    full = used > 0.8 * most
    fix = "raise max_connections, or open engines with fewer connections" if full else None
    found.append(Finding("sessions", "warn" if full else "ok", f"{used} of {most} sessions", fix))
    return found


async def _migrations(connection: Connection) -> list[Finding]:
    known = {migration.number: migration for migration in known_migrations()}
    there = await connection.fetchval(query("has_migrations"))
    rows = await connection.fetch(query("migrations")) if there else []
    strange = [
        f"{row['number']:04d}_{row['name']}"
        for row in rows
        if row["number"] not in known or known[row["number"]].checksum != row["checksum"]
    ]
    if strange:
        fix = "run the version of nyx-learning that migrated this database, or a newer one"
        told = f"not of this version, which knows up to {max(known):04d}: {', '.join(strange)}"
        return [Finding("migrations", "fail", told, fix)]
    missing = [known[number] for number in sorted(known.keys() - {row["number"] for row in rows})]
    if not missing:
        return [Finding("migrations", "ok", f"all {len(known)} applied, unchanged")]
    names = ", ".join(f"{migration.number:04d}_{migration.name}" for migration in missing)
    fix = "nyx-learning migrate, with a role that owns the schema"
    return [Finding("migrations", "warn" if rows else "fail", f"not applied: {names}", fix)]


async def _settings(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(query("doctor_settings"), list(_SETTINGS))
    values = {row["name"]: row["value"] for row in rows}
    return [_setting(name, values[name]) for name in _SETTINGS if name in values]


_SETTINGS: Mapping[str, tuple[Sequence[str], State, str]] = {
    "fsync": (("on",), "fail", "ALTER SYSTEM SET fsync = on: a power cut loses committed rewards"),
    "synchronous_commit": (
        ("on", "remote_write", "remote_apply", "local"),
        "fail",
        "set synchronous_commit = on: what was acknowledged can be lost in a crash of the server",
    ),
    "full_page_writes": (("on",), "fail", "ALTER SYSTEM SET full_page_writes = on: pages can be torn"),
    "default_transaction_isolation": (
        ("read committed",),
        "fail",
        "leave the default, read committed: appending takes a lock, and must see what was committed then",
    ),
    "default_transaction_read_only": (("off",), "fail", "set default_transaction_read_only = off"),
    "statement_timeout": (
        (),
        "warn",
        "raise statement_timeout to 10s or more: a large page of the log takes seconds on a busy server",
    ),
    "lock_timeout": (
        (),
        "warn",
        "raise lock_timeout to 10s or more: writers of a hot bandit queue for its row",
    ),
    "idle_in_transaction_session_timeout": (
        (),
        "warn",
        "raise it to 10s or more, or engines lose sessions that were only slow",
    ),
}
"""Values that are good, what others mean, and how to mend them; without values: 0, or 10 s and more."""
_SHORTEST_MS = 10_000
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _setting(name: str, value: str) -> Finding:
    good, state, fix = _SETTINGS[name]
    fine = value in good if good else not 0 < _milliseconds(value) < _SHORTEST_MS
    return Finding(name, "ok", value) if fine else Finding(name, state, value, fix)


def _milliseconds(value: str) -> int:
    digits = value.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) * _UNITS_MS.get(value[len(digits) :], 1)


async def _indexes(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(query("doctor_indexes"))
    invalid = [row["index"] for row in rows if not row["valid"]]
    missing = [
        f"{table} ({', '.join(columns)})"
        for table, needed in _NEEDED.items()
        for columns in needed
        if not any(_begins(row, table, columns) for row in rows)
    ]
    if missing:
        fix = "restore the index from the migrations' SQL; without it every statement reads the whole table"
        return [Finding("indexes", "fail", f"missing: {'; '.join(missing)}", fix)]
    if invalid:
        fix = f"REINDEX INDEX CONCURRENTLY nyx.{invalid[0]}"
        return [Finding("indexes", "fail", f"invalid: {', '.join(invalid)}", fix)]
    tables = {row["table"]: row for row in await connection.fetch(query("doctor_tables"))}
    whole = [
        name
        for name, row in tables.items()
        if name in _NEEDED
        and row["live"] > _MANY_ROWS
        and row["scans"] > 100
        and row["scanned"] > 50 * row["live"]
    ]
    used = sum(row["scans"] > 0 for row in rows)
    told = f"{len(rows)} indexes, all valid, {used} in use"
    if whole:
        fix = f"ANALYZE nyx.{whole[0]}; the planner reads the whole table where an index would do"
        return [Finding("indexes", "warn", f"{told}; read whole again and again: {', '.join(whole)}", fix)]
    return [Finding("indexes", "ok", told)]


def _begins(row: Any, table: str, columns: Sequence[str]) -> bool:
    return bool(row["table"] == table and row["valid"] and row["columns"][: len(columns)] == list(columns))


async def _bloat(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(query("doctor_tables"))
    size = sum(row["bytes"] for row in rows)
    bloated = [
        f"{row['table']} ({row['dead']:,} of {row['live'] + row['dead']:,} rows are dead)"
        for row in rows
        if row["dead"] > _MANY_ROWS and row["dead"] > _BLOATED * (row["live"] + row["dead"])
    ]
    if bloated:
        fix = f"VACUUM (ANALYZE) nyx.{bloated[0].split()[0]}, and see that autovacuum is on"
        return [Finding("bloat", "warn", "; ".join(bloated), fix)]
    return [Finding("bloat", "ok", f"{size / 1e6:.1f} MB in {len(rows)} tables, few dead rows")]


async def _lag(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(query("doctor_bandits"))
    behind = {row["bandit"]: row["last_seq"] - row["stored_seq"] for row in rows}
    late = [f"{name} ({count:,} rows)" for name, count in behind.items() if count > _LAG_ROWS]
    found = []
    if late:
        fix = "open and close an engine of the bandit: it stores its sums, and the next start is quick again"
        found.append(Finding("lag", "warn", f"stored sums are behind the log: {', '.join(late)}", fix))
    else:
        most = max(behind.values(), default=0)
        bandits = f"{len(rows)} bandit{'' if len(rows) == 1 else 's'}"
        told = f"{bandits}, stored sums at most {most:,} rows behind the log"
        found.append(Finding("lag", "ok", told))
    (row,) = await connection.fetch(query("doctor_sessions"))
    told = (
        f"{row['own']} engine sessions, {row['waiting']} wait for a lock,"
        f" longest transaction {row['longest_s']:.1f} s"
    )
    if row["longest_s"] > _LONG_S:
        fix = "end the session that holds a transaction open (pg_stat_activity, pg_terminate_backend)"
        found.append(Finding("transactions", "warn", told, fix))
    else:
        found.append(Finding("transactions", "ok", told))
    return found


async def _replication(connection: Connection) -> list[Finding]:
    (row,) = await connection.fetch(query("doctor_replication"))
    if not row["standbys"]:
        return [Finding("replication", "ok", "no standby")]
    if row["waits"]:
        return [Finding("replication", "ok", f"{row['standbys']} standbys, which commits wait for")]
    fix = "set synchronous_standby_names: what was acknowledged can be lost when a standby is promoted"
    return [Finding("replication", "warn", f"{row['standbys']} standbys, which no commit waits for", fix)]


async def _slots(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(query("doctor_slots"))
    if not rows:
        return [Finding("slots", "ok", "no replication slot is left without its reader")]
    told = ", ".join(f"{row['name']} ({row['bytes'] / 1e6:,.1f} MB kept)" for row in rows)
    fix = f"start its standby, or call pg_drop_replication_slot('{rows[0]['name']}'): it fills the disk"
    return [Finding("slots", "warn", f"nobody reads from: {told}", fix)]


async def _rights(connection: Connection) -> list[Finding]:
    lacking = [row["name"] for row in await connection.fetch(query("doctor_rights"), list(_WRITTEN))]
    if not lacking:
        return [Finding("rights", "ok", "this role may append decisions and rewards")]
    fix = "nyx-learning migrate --roles, then GRANT nyx_writer TO the role of your orchestrators"
    if len(lacking) == len(_WRITTEN):
        return [Finding("rights", "warn", "this role may look, and not write", fix)]
    return [Finding("rights", "warn", f"this role may not append to {', '.join(lacking)}", fix)]


async def _clock(connection: Connection) -> list[Finding]:
    before = _now()
    there = await connection.fetchval(query("doctor_clock"))
    after = _now()
    skew = there - (before + after) / 2.0
    told = f"the server's clock is {abs(skew):.3f} s {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) <= max(_SKEW_WARN_S, after - before):
        return [Finding("clock", "ok", told)]
    fix = "synchronise both clocks (NTP); order never comes from the clock, but reward windows do"
    return [Finding("clock", "fail" if abs(skew) > _SKEW_FAIL_S else "warn", told, fix)]


def _now() -> float:
    return clock.time()


_CHECKS: Mapping[str, _Check] = {
    "connection": _connection,
    "version": _version,
    "migrations": _migrations,
    "rights": _rights,
    "settings": _settings,
    "indexes": _indexes,
    "bloat": _bloat,
    "lag": _lag,
    "replication": _replication,
    "slots": _slots,
    "clock": _clock,
}
_NEED_SCHEMA = {"rights", "indexes", "bloat", "lag"}
