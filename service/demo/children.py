"""Child processes of the demo: the loopback service and the reused worker processes.

A child is a file of this folder, started as a program of its own; it speaks lines on its standard streams,
and ends when its standard input closes. A clean end, an error, Ctrl-C and even ``kill -9`` of this process
close that pipe, so no child stays behind. Children stand in a session of their own, so that Ctrl-C at the
terminal reaches only their parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final, Self

from .items import Attempt, ItemFailed, ItemTimeout

__all__ = ["Child", "WorkerPool"]

_FOLDER: Final = Path(__file__).resolve().parent
_CLOSE_WITHIN_S: Final = 2.0
# What a worker may take beyond an attempt's timeout before it counts as stuck and is replaced.
_GRACE_S: Final = 1.0


class Child:
    """One running child process; ``greeting`` is the first line that it wrote."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.greeting = ""

    @classmethod
    async def start(cls, program: str) -> Self:
        """Start the file ``program`` of this folder and wait for its first line."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # neither the environment nor a file in the current folder changes what it imports
            "-S",  # standard library only: it starts in a moment
            str(_FOLDER / program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        child = cls(process)
        try:
            child.greeting = await child._line()
        except BaseException:
            await child.close()
            raise
        return child

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def _line(self) -> str:
        stdout = self._process.stdout
        line = await stdout.readline() if stdout is not None else b""
        if not line:
            raise ConnectionResetError(f"child process {self.pid} ended")
        return line.decode().strip()

    async def ask(self, line: bytes) -> str:
        """Send one line and wait for the line that answers it.

        Raises
        ------
        ConnectionError : the child has ended.
        """
        if self._process.stdin is not None:
            self._process.stdin.write(line)
        return await self._line()

    async def close(self, *, within_s: float = _CLOSE_WITHIN_S) -> None:
        """Close the child's standard input and wait for its end; kill it after ``within_s`` seconds."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            async with asyncio.timeout(within_s):
                await self._process.communicate()
        except (TimeoutError, ConnectionError):
            self._kill()
            await self._process.communicate()
        except BaseException:
            self._kill()
            raise

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class WorkerPool:
    """A fixed number of worker processes, started once and reused for every batch."""

    def __init__(self) -> None:
        self._idle: asyncio.Queue[Child] = asyncio.Queue()
        self._all: set[Child] = set()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return sorted(child.pid for child in self._all)

    async def start(self, workers: int) -> None:
        """Start ``workers`` processes side by side."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._add())
        except BaseException:
            await self.close()
            raise

    async def _add(self) -> None:
        child = await Child.start("items.py")
        self._all.add(child)
        self._idle.put_nowait(child)

    async def attempt(self, task: Attempt) -> str:
        """Do one attempt in the next idle worker, and return the digest.

        Raises
        ------
        ItemTimeout : not done in time. A worker that does not even say so is killed and replaced.
        ItemFailed : the work went wrong, or the worker died.
        """
        child = await self._idle.get()
        try:
            async with asyncio.timeout(task.timeout_s + _GRACE_S):
                verdict, _, digest = (await child.ask(task.encode())).partition(" ")
        except (TimeoutError, ConnectionError) as error:
            await self._replace(child)
            kind = ItemTimeout if isinstance(error, TimeoutError) else ItemFailed
            raise kind(task.item.key) from None
        except BaseException:
            # Cancelled: an answer is still under way in this worker's pipe, and nobody may read it as theirs.
            await self._replace(child)
            raise
        self._idle.put_nowait(child)
        if verdict == "ok":
            return digest
        raise (ItemTimeout if verdict == "timeout" else ItemFailed)(task.item.key)

    async def _replace(self, child: Child) -> None:
        self._all.discard(child)
        await child.close(within_s=0.0)
        await self._add()

    async def close(self) -> None:
        """End all workers."""
        children, self._all = list(self._all), set()
        await asyncio.gather(*(child.close() for child in children))
