"""The service that the demo's requests go to: a TCP server on 127.0.0.1, in a process of its own.

Protocol, one line each way: ``<microseconds | never> <ok | error> <payload>`` is answered after that time by
``ok <blake2b of the payload>`` or ``error``; ``never`` keeps the connection open without an answer, as a hung
upstream does. More than ``CAPACITY`` requests at once are turned away with ``busy``. The process prints its
port, and ends when its standard input closes: whatever happens to its parent, it does not stay behind.

Run as a program; standard library only, so that it starts in a moment.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from typing import Final

__all__ = ["CAPACITY", "main"]

CAPACITY: Final = 20
"""Requests that are served at the same time."""

_open: set[asyncio.StreamWriter] = set()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        if len(_open) >= CAPACITY:
            writer.write(b"busy\n")
            return
        _open.add(writer)
        request = (await reader.readline()).decode().split()
        if len(request) != 3:
            return
        delay, verdict, payload = request
        if delay == "never":
            await reader.read()  # until the client gives up
            return
        await asyncio.sleep(int(delay) / 1e6)
        digest = hashlib.blake2b(payload.encode(), digest_size=32).hexdigest()
        writer.write(f"ok {digest}\n".encode() if verdict == "ok" else b"error\n")
        await writer.drain()
    except (ConnectionError, ValueError):
        pass  # the client has given up, or does not speak the protocol
    finally:
        _open.discard(writer)
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=256)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await stdin.read()
    server.close()


def main() -> None:
    """Serve until standard input closes."""
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
