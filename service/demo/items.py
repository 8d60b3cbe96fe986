"""What one item of a workflow is, and one attempt at it: a request, a computation, or both.

Nothing is simulated here: an ``io`` item opens a TCP connection to the loopback service of ``loopback.py``
and waits for its answer; a ``cpu`` item hashes small blocks in a Python loop, which holds the GIL; a
``mixed`` item fetches and then hashes. Only the *plan* of an item is drawn beforehand (how long its answer
takes, which attempts hang or fail), so that every strategy meets the same troubles. Every attempt ends by
its deadline.

Run as a program, this file is a worker process: it reads attempts as JSON lines, does them one at a time,
answers each with a line, and ends when its standard input closes, so that it never outlives its parent. It
unpickles nothing, and imports only the standard library, so that a worker starts in a moment.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final, Literal

__all__ = [
    "Attempt",
    "Fate",
    "Item",
    "ItemFailed",
    "ItemTimeout",
    "Kind",
    "attempt",
    "attempt_async",
    "hash_rate",
    "work",
]

Kind = Literal["cpu", "io", "mixed"]
Fate = Literal["fine", "fails", "hangs"]

# The clock is read once per this many hashes (about a quarter of a millisecond).
_HASHES_PER_LOOK: Final = 256


class ItemFailed(Exception):
    """The item's work ended with an error; another attempt may succeed."""


class ItemTimeout(ItemFailed):
    """The attempt was not done by its deadline."""


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of work.

    Parameters
    ----------
    key : hexadecimal; names the item, and is what it hashes.
    kind : "cpu", "io" or "mixed".
    cpu_s : computing time on an idle core of this machine, in seconds; 0 for "io".
    latency_s : time that the service takes to answer, in seconds; 0 for "cpu".
    fates : what happens to the first, second, … attempt; the last one holds for all later attempts.
    """

    key: str
    kind: Kind
    cpu_s: float
    latency_s: float
    fates: tuple[Fate, ...]

    def fate(self, number: int) -> Fate:
        """What happens to attempt ``number`` (0 is the first)."""
        return self.fates[min(number, len(self.fates) - 1)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at an item.

    Parameters
    ----------
    number : 0 is the first try.
    hashes : block hashes to compute, ``cpu_s`` by the machine's ``hash_rate``.
    timeout_s : seconds from the start of the try within which it must be done.
    port : where the service listens.
    """

    item: Item
    number: int
    hashes: int
    timeout_s: float
    port: int

    def request(self) -> bytes:
        """One line to the service: microseconds until the answer ("never" hangs), verdict, payload."""
        fate = self.item.fate(self.number)
        delay = "never" if fate == "hangs" else str(round(self.item.latency_s * 1e6))
        verdict = "error" if fate == "fails" and self.item.kind == "io" else "ok"
        return f"{delay} {verdict} {self.item.key}\n".encode()

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Attempt:
        """The attempt that ``encode`` wrote."""
        row = json.loads(line)
        item = row.pop("item")
        return cls(item=Item(fates=tuple(item.pop("fates")), **item), **row)


def attempt(task: Attempt) -> str:
    """Do one attempt in the calling thread, and return the item's digest.

    Raises
    ------
    ItemTimeout : not done within ``task.timeout_s`` seconds.
    ItemFailed : the work went wrong.
    """
    deadline = time.perf_counter() + task.timeout_s
    seed = task.item.key if task.item.kind == "cpu" else _fetch(task, deadline)
    return _compute(task, seed, deadline)


async def attempt_async(task: Attempt) -> str:
    """:func:`attempt` for an event loop: waiting for the service yields, computing does not."""
    deadline = time.perf_counter() + task.timeout_s
    seed = task.item.key if task.item.kind == "cpu" else await _fetch_async(task)
    return _compute(task, seed, deadline)


def _fetch(task: Attempt, deadline: float) -> str:
    try:
        with socket.create_connection(("127.0.0.1", task.port), timeout=task.timeout_s) as connection:
            connection.sendall(task.request())
            answer = b""
            while not answer.endswith(b"\n"):
                left = deadline - time.perf_counter()
                if left <= 0:
                    raise ItemTimeout(task.item.key)
                connection.settimeout(left)
                part = connection.recv(256)
                if not part:
                    raise ItemFailed(task.item.key)
                answer += part
    except TimeoutError:
        raise ItemTimeout(task.item.key) from None
    except OSError as error:
        raise ItemFailed(task.item.key) from error
    return _read(task, answer)


async def _fetch_async(task: Attempt) -> str:
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(task.timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", task.port)
            writer.write(task.request())
            answer = await reader.readline()
    except TimeoutError:
        raise ItemTimeout(task.item.key) from None
    except OSError as error:
        raise ItemFailed(task.item.key) from error
    finally:
        if writer is not None:
            writer.transport.abort()
    return _read(task, answer)


def _read(task: Attempt, answer: bytes) -> str:
    verdict, _, digest = answer.decode().strip().partition(" ")
    if verdict != "ok":
        raise ItemFailed(task.item.key)
    return digest


def _compute(task: Attempt, seed: str, deadline: float) -> str:
    item = task.item
    block = seed.encode()
    # A computation that fails does so half-way, after real work.
    fails = item.kind != "io" and item.fate(task.number) == "fails"
    total = task.hashes // 2 if fails else task.hashes
    for done in range(total):
        if done % _HASHES_PER_LOOK == 0 and time.perf_counter() > deadline:
            raise ItemTimeout(item.key)
        block = _hash(block)
    if fails:
        raise ItemFailed(item.key)
    return block.hex() if total else seed


def _hash(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=32).digest()


def hash_rate() -> float:
    """Measure this machine's block hashes per second: the best of several short runs.

    Items are planned in seconds of computing, so that the demo takes about as long on any machine.
    """
    runs, count = 8, 2_000
    best = float("inf")
    for _ in range(runs):
        block = b"warm"
        started = time.perf_counter()
        for _ in range(count):
            block = _hash(block)
        best = min(best, time.perf_counter() - started)
    return count / best


def work() -> None:
    """Answer each attempt by ``ok <digest>``, ``timeout`` or ``failed``, until standard input closes."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        try:
            answer = f"ok {attempt(Attempt.decode(line))}\n"
        except ItemTimeout:
            answer = "timeout\n"
        except ItemFailed:
            answer = "failed\n"
        sys.stdout.write(answer)
        sys.stdout.flush()


if __name__ == "__main__":
    work()
