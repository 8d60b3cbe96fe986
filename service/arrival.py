"""Making a database ready for an engine: when it is opened, or, where it was away then, when it is back."""

from __future__ import annotations

import asyncpg

from ..persistence.database import prepare, reaching
from ..persistence.gate import Gate, passing
from ..persistence.replica import Replica
from ..persistence.store import Store
from .following import Following

__all__ = ["Arrival"]


class Arrival:
    """Brings the schema up to date, restores what the bandit knows, and makes it and its spec known.

    ``gate`` : before the pool; it is opened when all is done, so that no call meets a schema that is not
    there, or of another version. ``ready`` : the memory of the process is a prefix of the log. ``done`` :
    rows can be written too.
    """

    def __init__(
        self, pool: asyncpg.Pool, gate: Gate, store: Store, replica: Replica, following: Following
    ) -> None:
        self._pool, self._gate, self._store = pool, gate, store
        self._replica, self._following = replica, following
        self._prepared = self.ready = self.done = False

    async def attempt(self) -> None:
        """Do what is not done yet.

        Raises
        ------
        DatabaseUnavailable, DatabaseRefused, SchemaMismatch : what was done so far stays.
        """
        if self.done:
            return
        if not self._prepared:
            await prepare(self._pool)
            self._prepared = True
        with reaching(), passing():
            if not self.ready:
                if self._replica.seq:  # an earlier attempt got as far as that
                    await self._replica.catch_up()
                else:
                    await self._replica.restore()
                self.ready = True
                self._following.start()
            await self._store.register()
        self.done = True
        self._gate.open()
