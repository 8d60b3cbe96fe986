"""Numbered migrations with checksums, applied in order under an advisory lock."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..errors import InputInvalid, SchemaMismatch
from .queries import Connection, query

__all__ = [
    "Migration",
    "grant_roles",
    "known_migrations",
    "migrate",
    "outstanding_migrations",
    "rehearse",
    "roles_sql",
]

_FILE = re.compile(r"^(\d{4})_(\w+)\.sql$")
_LOCK = 0x6E79785F6C6F67  # any number that nothing else locks
_LONG_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def title(self) -> str:
        """Number and name, as the file has them."""
        return f"{self.number:04d}_{self.name}"

    @property
    def checksum(self) -> str:
        """Hash of the file: an applied migration must never be edited."""
        return hashlib.blake2b(self.sql.encode(), digest_size=16).hexdigest()


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Return the migrations that this version ships, in order."""
    found = []
    for path in (files(__package__) / "sql").iterdir():
        match = _FILE.match(path.name)
        if match:
            found.append(Migration(int(match[1]), match[2], path.read_text("utf-8")))
    return tuple(sorted(found, key=lambda m: m.number))


async def migrate(connection: Connection, to: int | None = None) -> list[str]:
    """Bring the schema up to date; returns the names of the migrations that were applied.

    ``to`` : stop behind the migration of this number. All are applied, or none.

    Raises
    ------
    SchemaMismatch : the database has a migration that this version does not know, or knows differently.
    InputInvalid : there is no migration of that number, or the database is further.
    """
    # Looking first: a role that may not change the schema can still use one that is up to date.
    if not await outstanding_migrations(connection, to):
        return []
    async with connection.transaction():
        await connection.execute(query("no_limits"))
        await connection.execute(query("lock_migrations"), _LOCK)
        await connection.execute(query("create_schema"))
        await connection.execute(query("create_migrations"))
        outstanding = await outstanding_migrations(connection, to)
        for migration in outstanding:
            await connection.execute(migration.sql, timeout=_LONG_S)
            await connection.execute(
                query("note_migration"), migration.number, migration.name, migration.checksum
            )
        return [migration.title for migration in outstanding]


class _Rehearsed(Exception):
    pass


async def rehearse(connection: Connection, to: int | None = None) -> list[str]:
    """Apply what ``migrate`` would, take it back, and return the names; fails where that would fail."""
    applied: list[str] = []
    with suppress(_Rehearsed):
        async with connection.transaction():
            applied = await migrate(connection, to)
            raise _Rehearsed
    return applied


async def outstanding_migrations(connection: Connection, to: int | None = None) -> list[Migration]:
    """The migrations that the database does not have yet, up to number ``to``; errors as of ``migrate``."""
    there = bool(await connection.fetchval(query("has_migrations")))
    outstanding = await _outstanding(connection) if there else list(known_migrations())
    if to is None:
        return outstanding
    numbers = [m.number for m in known_migrations()]
    done = [number for number in numbers if number not in {m.number for m in outstanding}]
    if to not in numbers or any(number > to for number in done):
        raise InputInvalid(
            f"the schema cannot be brought to migration {to}",
            expected=f"one of {numbers}, not below what is applied: migrations are not taken back",
            found=f"{to}, with {done} applied",
            fix="name a later migration, or restore a backup into another database",
        )
    return [migration for migration in outstanding if migration.number <= to]


@cache
def roles_sql() -> str:
    """What an owner runs to make the roles ``nyx_reader`` and ``nyx_writer`` and to grant their rights."""
    return (files(__package__) / "sql" / "roles.sql").read_text("utf-8")


async def grant_roles(connection: Connection) -> None:
    """Make the roles and grant their rights, or renew them after a migration; for the schema's owner."""
    async with connection.transaction():
        await connection.execute(roles_sql())


async def _outstanding(connection: Connection) -> list[Migration]:
    """The migrations that the database does not have yet; ``SchemaMismatch`` if it has others."""
    rows = await connection.fetch(query("migrations"))
    known = {m.number: m for m in known_migrations()}
    for row in rows:
        migration = known.get(row["number"])
        if migration is None or migration.checksum != row["checksum"]:
            raise SchemaMismatch(
                "the database's schema is not one that this version made",
                expected=f"migrations up to {max(known)}, unchanged",
                found=f"migration {row['number']} '{row['name']}', checksum {row['checksum']}",
                fix="run the version of nyx-learning that migrated this database, or a newer one",
            )
    done = {row["number"] for row in rows}
    return [migration for migration in known_migrations() if migration.number not in done]
