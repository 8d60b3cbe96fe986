"""Numbered migrations with checksums, applied in order under an advisory lock."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import asyncpg

from ..errors import SchemaMismatch

__all__ = ["Migration", "known_migrations", "migrate"]

_FILE = re.compile(r"^(\d{4})_(\w+)\.sql$")
_LOCK = 0x6E79785F6C6F67  # any number that nothing else locks


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str

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


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Bring the schema up to date; returns the names of the migrations that were applied.

    Raises
    ------
    SchemaMismatch : the database has a migration that this version does not know, or knows differently.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("CREATE SCHEMA IF NOT EXISTS nyx")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS nyx.migration (number integer PRIMARY KEY, name text NOT NULL,"
            " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch("SELECT number, name, checksum FROM nyx.migration ORDER BY number")
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
        applied = []
        for migration in known_migrations():
            if migration.number not in done:
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO nyx.migration (number, name, checksum) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.checksum,
                )
                applied.append(f"{migration.number:04d}_{migration.name}")
        return applied
