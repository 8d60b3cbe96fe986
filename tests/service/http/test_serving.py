"""The command, as a process: what it prints, several workers, and an end that loses nothing."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from nyx_learning import AsyncNyxClient, BanditSpec
from nyx_learning.service.cli import main

EACH = 75
"""Workflows of a worker: more than a server answers between its signal and its end."""
COMMAND = [str(Path(sys.executable).with_name("nyx-learning"))]


@pytest.fixture
def environment(tmp_path: Path, database_dsn: str) -> dict[str, str]:
    places = {"NYX_API_KEYS": str(tmp_path / "keys.json"), "NYX_SPOOL": str(tmp_path / "spool")}
    return {**os.environ, **places, "NYX_DATABASE_URL": database_dsn}


@contextmanager
def serving(environment: dict[str, str], *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [*COMMAND, "serve", "--json", "--deadline", "60", *options]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_restart_under_load_loses_and_doubles_nothing(
    environment: dict[str, str], spec: BanditSpec, database_dsn: str
) -> None:
    port = str(free_port())
    acknowledged: dict[str, Any] = {}
    enough = asyncio.Event()

    async def work(client: AsyncNyxClient, worker: int) -> None:
        for i in range(EACH):
            decision = await client.select_arm({"task": "code", "size": i % 10}, f"{worker}/{i}")
            await client.update_reward(decision, reward=i / EACH)
            acknowledged[decision.decision_id] = i / EACH
            if len(acknowledged) == 8:
                enough.set()

    async with AsyncNyxClient(f"http://127.0.0.1:{port}", spec.name, deadline_s=90, patience_s=90) as client:
        with serving(environment, "--port", port) as (first, _):
            await client.create_bandit(spec)
            workers = [asyncio.create_task(work(client, worker)) for worker in range(4)]
            await asyncio.wait_for(enough.wait(), 90)
            first.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(first.wait, 60) == 0
        assert len(acknowledged) < 4 * EACH
        with serving(environment, "--port", port) as (second, _):
            await asyncio.gather(*workers)
            second.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(second.wait, 60) == 0
    connection = await asyncpg.connect(database_dsn)
    try:
        rows = await connection.fetch("SELECT decision_id, reward FROM nyx.log ORDER BY seq")
    finally:
        await connection.close()
    assert len(rows) == 4 * EACH
    assert {row["decision_id"]: row["reward"] for row in rows} == acknowledged


def test_several_workers_tell_their_metrics_together(environment: dict[str, str], spec: BanditSpec) -> None:
    with serving(environment, "--port", str(free_port()), "--workers", "2") as (_, url):
        transport = httpx.HTTPTransport(retries=30)
        with httpx.Client(base_url=url, transport=transport, timeout=60) as client:
            assert client.post("/v1/bandits", json=spec.to_dict()).status_code == 200
        asked = {"context": {"task": "code", "size": 1}}
        for _ in range(10):  # a connection each, so that both workers get some
            answer = httpx.post(f"{url}/v1/bandits/orchestration/decisions", json=asked, timeout=60)
            assert answer.status_code == 200
        text = httpx.get(f"{url}/metrics", timeout=60).text
    assert sum(float(n) for n in re.findall(r"^nyx_decisions_total\{.*\} (\S+)$", text, re.MULTILINE)) == 10


def test_keys_are_created_listed_and_revoked_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> dict[str, Any]:
        assert main(["key", *words, "--keys", str(tmp_path / "keys.json"), "--json"]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    created = run("create", "--role", "reader", "--name", "someone")
    assert created["key"].startswith(f"nyx_{created['id']}_")
    (listed,) = run("list")["keys"]
    assert (listed["id"], listed["role"], "hash" in listed) == (created["id"], "reader", False)
    run("revoke", created["id"])
    assert run("list") == {"keys": []}


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--port", "99999"),
        ("serve", "--workers", "0"),
        ("serve", "--workers", "2", "--port", "0"),
        ("serve", "--host", "0.0.0.0"),  # noqa: S104 - what is refused
        ("key", "create", "--role", "king", "--name", "x"),
        ("key", "revoke", "none"),
    ],
)
def test_wrong_usage_is_an_error_of_four_parts(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*words, "--keys", str(tmp_path / "none.json"), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert set(told["error"]) == {"code", "what", "expected", "found", "fix"}
