"""The bandits of a server: each is opened when first asked for, with the newest spec of the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

import asyncpg
from fastapi import Request

from ...bandit import BanditSpec
from ...errors import BanditUnknown, InputInvalid, NyxError, Overloaded
from ...persistence.database import close_pool, connect, reaching
from ...persistence.queries import query
from ...persistence.rows import spec_from
from ..access import database_address
from ..engine import LearningEngine
from .options import ServeOptions
from .problems import Refused

__all__ = ["Bandits", "engine_of", "only_engine"]

_LOG = logging.getLogger("nyx_learning")
_WATCH_S = 1.0
_LEAVE_S = 2.0


class Bandits:
    """Open engines by the names of their bandits; an asynchronous context.

    settle : called behind each one that was opened.
    """

    def __init__(self, options: ServeOptions, settle: Callable[[], None] | None = None) -> None:
        self._options, self._settle = options, settle
        self._engines: dict[str, LearningEngine] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._leaving: set[asyncio.Task[None]] = set()
        self._coming: dict[str, asyncio.Task[LearningEngine]] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._address = await stack.enter_async_context(database_address(self._options.dsn))
            self._pool: asyncpg.Pool = await connect(self._address, connections=2)
            stack.push_async_callback(close_pool, self._pool)
            self._stack = stack.pop_all()
        self._watching = asyncio.create_task(self._watch(), name="nyx-specs")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every engine: what waits is written, or spooled."""
        ending = [self._watching, *self._coming.values()]
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        engines = list(self._engines.values())
        self._engines = {}
        try:
            closed = await asyncio.gather(
                *(engine.close() for engine in engines), *self._leaving, return_exceptions=True
            )
        finally:
            await self._stack.aclose()
        for error in closed:
            if isinstance(error, BaseException):
                _LOG.error("a bandit could not be closed in order: %s", error)

    @property
    def opened(self) -> Mapping[str, LearningEngine]:
        """The engines that are open now."""
        return self._engines

    @property
    def address(self) -> str:
        """Where the database is."""
        return self._address

    @property
    def pool(self) -> asyncpg.Pool:
        """Two connections for what concerns all bandits, and for who looks at them."""
        return self._pool

    async def names(self) -> list[str]:
        """Every bandit of the database."""
        with reaching():
            return [row["bandit"] for row in await self._pool.fetch(query("bandits"))]

    async def get(self, name: str) -> LearningEngine:
        """The engine of a bandit.

        Raises
        ------
        BanditUnknown : the database has none of this name.
        Overloaded : too many are open.
        """
        return self._engines.get(name) or await self._bring(name, await self._newest(name))

    async def _newest(self, name: str) -> Any:
        """The document of a bandit's newest spec."""
        with reaching():
            document = await self._pool.fetchval(query("newest_spec"), name) if _storable(name) else None
        if document is None:
            raise BanditUnknown(
                "there is no such bandit",
                expected="the name of a bandit of this database",
                found=f"{name!r:.100}",
                fix="create it: POST /v1/bandits; or list them: GET /v1/bandits",
            )
        return document

    async def _bring(self, name: str, document: Any) -> LearningEngine:
        async with self._opening:
            return self._engines.get(name) or await self._open(spec_from(document))

    async def soon(self, name: str, wait_s: float) -> LearningEngine | None:
        """``get`` for who waits ``wait_s`` at most; None: it is being opened, and that goes on.

        Raises
        ------
        BanditUnknown, Overloaded : as in ``get``.
        """
        engine = self._engines.get(name)
        if engine is not None:
            return engine
        document = await self._newest(name)
        coming = self._coming.get(name)
        if coming is None:
            bringing = self._bring(name, document)
            coming = self._coming[name] = asyncio.create_task(bringing, name="nyx-open")
            coming.add_done_callback(partial(self._came, name))
        done, _ = await asyncio.wait([coming], timeout=wait_s)
        return coming.result() if done else None

    def _came(self, name: str, coming: asyncio.Task[LearningEngine]) -> None:
        del self._coming[name]
        if not coming.cancelled() and (error := coming.exception()) is not None:
            _LOG.debug("bandit '%.100s' could not be opened: %r", name, error)  # who asks again is told

    async def only(self, name: str | None) -> LearningEngine:
        """The engine of a bandit, or of the only one where none is named.

        Raises
        ------
        InputInvalid : none is named, and there are several, or none.
        BanditUnknown, Overloaded : as in ``get``.
        """
        if name is not None:
            return await self.get(name)
        names = list(self._engines) if len(self._engines) == 1 else await self.names()
        if len(names) == 1:
            return await self.get(names[0])
        raise InputInvalid(
            "no bandit is named",
            expected="?bandit=NAME, where the server has several",
            found=f"{len(names)} bandits",
            fix="name the bandit that made the decision",
        )

    async def put(self, document: Mapping[str, Any]) -> LearningEngine:
        """Create a bandit, or go over to a changed spec of it; the same spec again changes nothing.

        Raises
        ------
        DocumentInvalid, SpecInvalid : no spec.
        Refused : the spec was in force before, and another one has come after it.
        """
        spec = _spec_of(document)
        async with self._opening:
            engine = self._engines.get(spec.name)
            if engine is not None and engine.spec.spec_hash == spec.spec_hash:
                return engine
            with reaching():
                known = await self._pool.fetchval(query("spec_known"), spec.name, spec.spec_hash)
                newest = await self._pool.fetchval(query("newest_spec"), spec.name)
            if known and spec_from(newest).spec_hash != spec.spec_hash:
                raise Refused(
                    409,
                    "spec_superseded",
                    f"this spec of bandit '{spec.name}' was replaced by a later one",
                    expected="the spec in force, or one that was never used",
                    found=f"spec {spec.spec_hash}",
                    fix="change something that does not matter, such as seed, to go back to its settings",
                )
            return await self._open(spec)

    async def _open(self, spec: BanditSpec) -> LearningEngine:
        before = self._engines.get(spec.name)
        if before is None and len(self._engines) >= self._options.bandits:
            raise Overloaded(
                "too many bandits are open",
                expected=f"at most {self._options.bandits}",
                found=f"{len(self._engines)}",
                fix="serve with a higher --bandits, or from several servers",
            )
        engine = await LearningEngine.open(
            spec,
            self._address,
            connections=self._options.connections,
            deadline_s=self._options.deadline_s,
        )
        self._engines[spec.name] = engine
        if before is not None:
            leaving = asyncio.create_task(_close_later(before), name="nyx-leave")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        if self._settle is not None:
            self._settle()
        return engine

    async def _watch(self) -> None:
        """Go over to a spec that another process has brought."""
        while True:
            await asyncio.sleep(_WATCH_S)
            try:
                await self._follow_specs()
            except NyxError as error:
                _LOG.warning("cannot look for changed specs: %s", error.found)

    async def _follow_specs(self) -> None:
        if not self._engines:
            return
        with reaching():
            rows = await self._pool.fetch(query("newest_hashes"), list(self._engines))
        for row in rows:
            engine = self._engines.get(row["bandit"])
            if engine is None or engine.spec.spec_hash == row["spec_hash"]:
                continue
            async with self._opening:
                with reaching():
                    document = await self._pool.fetchval(query("newest_spec"), row["bandit"])
                if self._engines[row["bandit"]].spec.spec_hash != row["spec_hash"]:
                    await self._open(spec_from(document))


async def engine_of(request: Request, name: str) -> LearningEngine:
    """The engine that a request names; see ``Bandits.get``."""
    bandits: Bandits = request.app.state.bandits
    return await bandits.get(name)


async def only_engine(request: Request, name: str | None) -> LearningEngine:
    """The engine that a request names, or the only one; see ``Bandits.only``."""
    bandits: Bandits = request.app.state.bandits
    return await bandits.only(name)


async def _close_later(engine: LearningEngine) -> None:
    """Requests that hold the engine may still be on their way."""
    await asyncio.sleep(_LEAVE_S)
    await engine.close()


def _storable(name: str) -> bool:
    """Whether Postgres can hold the text at all."""
    return name.isprintable() and name.encode("utf-8", "replace").decode() == name


def _spec_of(document: Mapping[str, Any]) -> BanditSpec:
    try:
        return BanditSpec.from_dict(document)
    except (ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, NyxError):
            raise
        raise InputInvalid(
            "the document is no spec of a bandit",
            expected="what BanditSpec.to_dict() writes",
            found=f"{type(error).__name__}: {error}"[:200],
            fix="build the spec in Python, and send to_dict() of it",
        ) from error
