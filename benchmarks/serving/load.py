"""A load generator: requests at a fixed rate, whatever the answers do; prints one JSON object.

    python -m benchmarks.serving.load HOST PORT PATH BODY RATE SECONDS CONNECTIONS

``%d`` in the body is the request's number. The time of a request begins when it was *due*, so that a server
which stalls is not asked less.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time as clock

import numpy as np

_WARM_S = 1.0


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    await reader.readexactly(length)
    return status


async def _run(
    host: str, port: int, path: str, body: str, rate: float, seconds: float, connections: int
) -> dict[str, float]:
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        idle.put_nowait(await asyncio.open_connection(host, port))
    times: list[float] = []
    statuses: list[int] = []

    async def one(number: int, due: float) -> None:
        reader, writer = await idle.get()
        content = body.replace("%d", str(number)).encode()
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        status = await _answer(reader)
        idle.put_nowait((reader, writer))
        if number >= rate * _WARM_S:
            times.append(clock.perf_counter() - due)
            statuses.append(status)

    begin = clock.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * (seconds + _WARM_S))):
            due = begin + number / rate
            wait = due - clock.perf_counter()
            if wait > 0.0:
                await asyncio.sleep(wait)
            group.create_task(one(number, due))
    took = clock.perf_counter() - begin
    while not idle.empty():
        _, writer = idle.get_nowait()
        writer.close()
    quantiles = np.quantile(np.array(times), [0.5, 0.99, 0.999]) * 1000.0
    return {
        "rate": rate,
        "answered": len(times),
        "errors": sum(status != 200 for status in statuses),
        "p50_ms": float(quantiles[0]),
        "p99_ms": float(quantiles[1]),
        "p999_ms": float(quantiles[2]),
        "late_s": max(0.0, took - seconds - _WARM_S),
    }


def _main() -> None:
    host, port, path, body, rate, seconds, connections = sys.argv[1:]
    found = asyncio.run(_run(host, int(port), path, body, float(rate), float(seconds), int(connections)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main()
