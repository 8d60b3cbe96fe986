"""Decisions over HTTP with durable logging, at fixed rates, beside the bare framework's echo in the same run.

What a decision cannot do without stands beside it too: one-row transactions of pgbench on the same server, at
the same rate; these are due at random moments, and not evenly.

The generator runs in a process of its own; server, Postgres and generator share the machine's cores. The time
of a request is from when it was due until its answer was read.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from benchmarks.durable.pgbench import Pgbench
from nyx_learning import BanditSpec, Categorical, ContextSchema, Flag, Strategy
from nyx_learning.persistence.embedded import start

_SPEC = BanditSpec(
    "load",
    [
        Strategy("direct"),
        Strategy("sequential"),
        Strategy("parallel", {"workers": [2, 4, 8], "timeout_s": [30, 60]}),
    ],
    context=ContextSchema(task=Categorical(["research", "coding", "analysis"]), urgent=Flag()),
)
_BODY = json.dumps({"context": {"task": "coding", "urgent": True}, "decision_id": "d%d"})
_CONNECTIONS = 64


def main() -> None:
    """Print the table. NYX_BENCH_SECONDS : of each load; NYX_BENCH_RATES : such as 500,1000."""
    seconds = float(os.environ.get("NYX_BENCH_SECONDS", "10"))
    rates = [int(rate) for rate in os.environ.get("NYX_BENCH_RATES", "500,1000").split(",")]
    heads = ("p50 ms", "p99 ms", "p99.9 ms", "max ms", "late ms")
    print(f"    {'':28} {'rate':>6} {'answers':>8} {'errors':>6} " + " ".join(f"{h:>8}" for h in heads))
    with tempfile.TemporaryDirectory(prefix="nyx-load-", dir="/tmp") as folder:
        with _echo() as url:
            for rate in rates:
                _row("echo of the bare framework", _load(url, "/echo", rate, seconds))
        with start(Path(folder) / "postgres") as postgres:
            pgbench = Pgbench(postgres.dsn, seconds=max(1, round(seconds)))
            asyncio.run(pgbench.prepare())
            for rate in rates:
                _row("one-row commit of pgbench", _quantiles(rate, pgbench.at_rate_ms(_CONNECTIONS, rate)))
            _decide(rates, seconds, Path(folder), postgres.dsn)
    print("    late: p99 of the generator's own lateness, which is part of the times")


def _decide(rates: list[int], seconds: float, folder: Path, dsn: str) -> None:
    with _server(folder, dsn) as url:
        httpx.post(f"{url}/v1/bandits", json=_SPEC.to_dict(), timeout=60).raise_for_status()
        for i, rate in enumerate(rates):
            body = _BODY.replace("d%d", f"{i}-%d")
            _row("durable decision", _load(url, "/v1/bandits/load/decisions", rate, seconds, body))


def _quantiles(rate: int, taken: list[float]) -> dict[str, float]:
    p50, p99, p999, longest = np.quantile(taken, [0.5, 0.99, 0.999, 1.0]).tolist()
    times = {"p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "max_ms": longest}
    return times | {"rate": rate, "answered": len(taken), "errors": 0}


def _row(name: str, found: dict[str, float]) -> None:
    times = ("p50_ms", "p99_ms", "p999_ms", "max_ms", "generator_p99_ms")
    print(
        f"    {name:28} {found['rate']:6.0f} {found['answered']:8.0f} {found['errors']:6.0f} "
        + " ".join(f"{found[time]:8.2f}" if time in found else f"{'-':>8}" for time in times)
    )


def _load(url: str, path: str, rate: float, seconds: float, body: str = _BODY) -> dict[str, float]:
    where = httpx.URL(url)
    command = [sys.executable, "-m", "benchmarks.serving.load", where.host, str(where.port), path, body]
    command += [str(rate), str(seconds), str(_CONNECTIONS)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ended.stdout)
    return found


@contextmanager
def _echo() -> Iterator[str]:
    with _process([sys.executable, "-m", "benchmarks.serving.echo"], {}) as line:
        yield line.strip()


@contextmanager
def _server(folder: Path, dsn: str) -> Iterator[str]:
    environment = {
        "NYX_DATABASE_URL": dsn,
        "NYX_SPOOL": str(folder / "spool"),
        "NYX_API_KEYS": str(folder / "keys.json"),
    }
    command = [str(Path(sys.executable).with_name("nyx-learning")), "serve", "--port", "0", "--json"]
    with _process(command, environment) as line:
        yield json.loads(line)["url"]


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    kept = {name: value for name, value in os.environ.items() if name != "NYX_DATABASE_URL"}
    with subprocess.Popen(command, env=kept | environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = (process.stdout or sys.stdin).readline()
            _await(json.loads(line)["url"] if line.startswith("{") else line.strip())
            yield line
        finally:
            process.send_signal(signal.SIGTERM)


def _await(url: str) -> None:
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(transport=transport) as client:
        client.get(f"{url}/health/live", timeout=60)
