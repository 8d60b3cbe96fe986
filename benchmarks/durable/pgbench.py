"""pgbench of the binaries that run the embedded server, as a yardstick."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from nyx_learning.persistence.embedded.binaries import find_binaries

__all__ = ["Pgbench"]

_TABLE = "CREATE TABLE IF NOT EXISTS public.one_row (id bigserial PRIMARY KEY, client integer, filler text)"
_INSERT = "INSERT INTO public.one_row (client, filler) VALUES (:client_id, repeat('x', 40));\n"


class Pgbench:
    """Runs one-row transactions; ``seconds`` each time."""

    def __init__(self, dsn: str, seconds: int) -> None:
        self._dsn, self._seconds = dsn, seconds
        parts = urlsplit(dsn)
        host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
        self._where = ["-h", host, "-U", "nyx", parts.path.strip("/")]
        self._program = find_binaries().folder / "pgbench"

    async def prepare(self) -> None:
        """Make the table."""
        connection = await asyncpg.connect(self._dsn)
        await connection.execute(_TABLE)
        await connection.close()

    def one_row_ms(self, clients: int) -> float:
        """Mean latency of a one-row transaction."""
        return float(self._run(clients, r"latency average = ([\d.]+) ms"))

    def per_second(self, clients: int) -> float:
        """One-row transactions a second of so many connections."""
        return float(self._run(clients, r"tps = ([\d.]+) "))

    def at_rate_ms(self, clients: int, rate: float) -> list[float]:
        """Latency of each of the transactions that are due so many times a second, from when it was due."""
        with tempfile.TemporaryDirectory() as folder:
            prefix = str(Path(folder) / "log")
            self._run(
                clients, r"latency average = ([\d.]+) ms", "-R", str(rate), "-l", "--log-prefix", prefix
            )
            lines = [
                line for path in Path(folder).glob("log.*") for line in path.read_text("ascii").splitlines()
            ]
        return [int(line.split()[2]) / 1e3 for line in lines]

    def _run(self, clients: int, wanted: str, *options: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "one_row.sql"
            script.write_text(_INSERT, "utf-8")
            told = subprocess.run(
                [
                    str(self._program),
                    *("-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(self._seconds)),
                    *("-f", str(script), *options, *self._where),
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        found = re.search(wanted, told)
        if found is None:
            message = f"pgbench told something else: {told}"
            raise RuntimeError(message)
        return found[1]
