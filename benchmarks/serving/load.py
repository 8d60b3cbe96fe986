"""A load generator: requests at a fixed rate, whatever the answers do; prints one JSON object.

    python -m benchmarks.serving.load HOST PORT PATH BODY RATE SECONDS CONNECTIONS

``%d`` in the body is the request's number. The time of a request begins when it was *due*, so that a server
which stalls is not asked less. The generator's own lateness (from when a request was due until it was
written, while a connection was idle) is part of that time, and is told apart.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time as clock
from collections import deque
from typing import cast

import numpy as np
import uvloop

_WARM_S = 1.0
_PATIENCE_S = 20.0


class _Connection(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self, load: _Load) -> None:
        self._load, self._seen = load, b""
        self._number, self._due = 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, number: int, due: float) -> None:
        self._number, self._due = number, due
        self._transport.write(self._load.request(number))

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self._seen = b""
        self._load.answered(self, self._number, self._due, int(head[9:12]))

    def connection_lost(self, _exc: Exception | None) -> None:
        self._load.lost += 1


class _Load:
    """Asks, and notes what came when."""

    def __init__(self, path: str, body: str, rate: float, seconds: float) -> None:
        before, self._marked, self._after = body.partition("%d")
        self._head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._before = before
        self.rate, self.count, self._first = rate, int(rate * (seconds + _WARM_S)), int(rate * _WARM_S)
        self.idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[int, float]] = deque()
        self.times: list[float] = []
        self.lateness: list[float] = []
        self.errors = self.lost = 0
        self.done = 0
        self.ended = asyncio.Event()

    def request(self, number: int) -> bytes:
        content = f"{self._before}{number}{self._after}" if self._marked else self._before
        return f"{self._head}Content-Length: {len(content)}\r\n\r\n{content}".encode()

    def due(self, number: int, due: float) -> None:
        if not self.idle:
            self._waiting.append((number, due))
            return
        self.idle.popleft().ask(number, due)
        if number >= self._first:
            self.lateness.append(clock.perf_counter() - due)

    def answered(self, connection: _Connection, number: int, due: float, status: int) -> None:
        if number >= self._first:
            self.times.append(clock.perf_counter() - due)
            self.errors += status != 200
        self.done += 1
        if self.done == self.count:
            self.ended.set()
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self.idle.append(connection)


async def _run(
    host: str, port: int, path: str, body: str, rate: float, seconds: float, connections: int
) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    load = _Load(path, body, rate, seconds)
    for _ in range(connections):
        _, connection = await loop.create_connection(lambda: _Connection(load), host, port)
        load.idle.append(connection)
    gc.collect()
    gc.disable()
    begin = clock.perf_counter()
    number = 0
    while number < load.count:
        now = clock.perf_counter()
        while number < load.count and begin + number / rate <= now:
            load.due(number, begin + number / rate)
            number += 1
        await asyncio.sleep(max(0.0, begin + number / rate - clock.perf_counter()))
    try:
        await asyncio.wait_for(load.ended.wait(), _PATIENCE_S)
    except TimeoutError:
        load.errors += load.count - load.done
    answered, late = np.array(load.times) * 1000.0, np.array(load.lateness or [0.0]) * 1000.0
    return {
        "rate": rate,
        "answered": len(load.times),
        "errors": load.errors + load.lost,
        **{f"{name}_ms": float(np.quantile(answered, q)) for name, q in _QUANTILES},
        "max_ms": float(answered.max()),
        "generator_p99_ms": float(np.quantile(late, 0.99)),
    }


_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))


def _main() -> None:
    host, port, path, body, rate, seconds, connections = sys.argv[1:]
    found = uvloop.run(_run(host, int(port), path, body, float(rate), float(seconds), int(connections)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main()
