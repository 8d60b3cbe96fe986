"""Numbered migrations with checksums, applied in order under an advisory lock."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..errors import SchemaMismatch
from .queries import Connection, query

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


async def migrate(connection: Connection) -> list[str]:
    """Bring the schema up to date; returns the names of the migrations that were applied.

    Raises
    ------
    SchemaMismatch : the database has a migration that this version does not know, or knows differently.
    """
    # Looking first: a role that may not change the schema can still use one that is up to date.
    if await connection.fetchval(query("has_migrations")) and not await _outstanding(connection):
        return []
    async with connection.transaction():
        await connection.execute(query("lock_migrations"), _LOCK)
        await connection.execute(query("create_schema"))
        await connection.execute(query("create_migrations"))
        outstanding = await _outstanding(connection)
        for migration in outstanding:
            await connection.execute(migration.sql)
            await connection.execute(
                query("note_migration"), migration.number, migration.name, migration.checksum
            )
        return [f"{migration.number:04d}_{migration.name}" for migration in outstanding]


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
