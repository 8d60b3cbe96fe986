"""The stored sums of one bandit: what a start or a fold of the log begins from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import asyncpg

from ..bandit import BanditSpec
from .base import Base, StoredBlock, read_base
from .database import snapshot
from .queries import Connection, query
from .rows import array_text

__all__ = ["Checkpoints"]


class Checkpoints:
    """Saves and loads the sums of one spec's encoding and buckets."""

    def __init__(self, pool: asyncpg.Pool, spec: BanditSpec) -> None:
        self.pool, self.spec = pool, spec
        self._key = (spec.name, spec.encoding, spec.bucket_rows)

    async def register(self, connection: Connection) -> None:
        """Begin a checkpoint at row 0, where there is none."""
        await connection.execute(query("start_checkpoint"), *self._key)

    async def save(self, take: Callable[[int], tuple[int, Iterable[StoredBlock]]]) -> int:
        """Store the sums; returns the row that the stored sums go up to.

        ``take(stored)`` is called under the checkpoint's lock with the row that the stored sums go up to, and
        gives the row that the new ones go up to, and the blocks that changed between.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(query("start_checkpoint"), *self._key)
            stored = int(await connection.fetchval(query("lock_checkpoint"), *self._key))
            seq, taken = take(stored)
            # Spelled out before the next await: the blocks go on changing.
            blocks = [(arm, epoch, bucket, array_text(numbers)) for arm, epoch, bucket, numbers in taken]
            if seq <= stored:
                return stored
            await connection.execute(
                query("write_sums"), *self._key, *([block[i] for block in blocks] for i in range(4))
            )
            await connection.execute(query("advance_checkpoint"), *self._key, seq)
        return seq

    async def load(self) -> tuple[int, int, list[StoredBlock]]:
        """The last row of the log, the row that the stored sums go up to, and the sums."""
        async with snapshot(self.pool) as connection:
            last = int(await connection.fetchval(query("last_seq"), self.spec.name) or 0)
            return last, *await self.read(connection, self.spec)

    async def load_base(self) -> Base:
        """The sums of what may be dropped: a fold of the log starts from them."""
        async with snapshot(self.pool) as connection:
            return await read_base(connection, self.spec)

    async def read(self, connection: Connection, spec: BanditSpec) -> tuple[int, list[StoredBlock]]:
        """The row that the stored sums of a spec go up to, and the sums."""
        key = (spec.name, spec.encoding, spec.bucket_rows)
        seq = await connection.fetchval(query("checkpoint_seq"), *key)
        rows = await connection.fetch(query("read_sums"), *key)
        return int(seq or 0), [(r["arm_id"], r["epoch"], r["bucket"], r["statistics"]) for r in rows]
