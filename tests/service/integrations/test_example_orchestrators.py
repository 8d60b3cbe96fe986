"""The example of three levels, in short: credit by level, learning across processes, and all kinds of end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.patiently import PATIENTLY, wait_long

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "orchestrators"
MODULES = ("agent_level", "orchestrators", "run", "world")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's program; its modules have plain names, so they leave again."""
    kept = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    monkeypatch.syspath_prepend(str(FOLDER))
    import run  # type: ignore[import-not-found]  # examples are run by path

    wait_long(monkeypatch)

    def patiently(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run([command[0], PATIENTLY, *command[1:]], **options)  # noqa: PLW1510 (its own)

    monkeypatch.setattr(run, "subprocess", SimpleNamespace(run=patiently))
    yield run
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(kept)


def test_it_is_short_and_has_no_sleep_that_pretends_work() -> None:
    for path in FOLDER.glob("*.py"):
        text = path.read_text("utf-8")
        assert len(text.splitlines()) < 220, path.name
        assert "time.sleep" not in text


async def test_three_levels_learn_across_processes(
    example: Any, shared_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    team = f"team-{os.getpid()}"
    first = example.in_a_process(team, "first", 6, shared_dsn)  # another process
    assert [result["workflow_id"] for result in first] == [f"first-{number:04d}" for number in range(6)]
    steps = sum(result["steps"] for result in first)
    assert all(0.0 <= result["reward"] <= 1.0 for result in first)
    async with AsyncExitStack() as stack:
        learning = await example.Learning.open(team, shared_dsn, stack)
        counts = await example.settled(learning)
        # this process ran none of it, and knows all: a decision a workflow, a fetch a step, then an agent
        assert counts["top"] == {"decisions": 6, "rewards": 6, "abandoned": 0}
        assert counts["fetch"] == {"decisions": steps, "rewards": steps, "abandoned": 0}
        came = counts["agent"]["decisions"]
        fetches = [
            await learning.fetch.rewards(f"{r['workflow_id']}/step-{n}/fetch")
            for r in first
            for n in range(r["steps"])
        ]
        assert came == sum(status.outcome.success for status in fetches)
        known = {
            level: sum(b.rewards for b in engine.beliefs(ask))
            for (level, engine), ask in zip(
                learning.levels.items(),
                (
                    {"source": "calm", "size": "large"},
                    {"source": "calm"},
                    {"noise": "clean", "length": "long"},
                ),
                strict=True,
            )
        }
        assert known == {"top": 6, "fetch": steps, "agent": came}
        await example.troubles(learning)
        await example.advice(learning)
    lines = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    assert lines["run"][0] == "1/1/0"
    # a fetch that failed for want of time may come the second time, and then an agent is asked
    assert lines["again by the same id"][:2] == ["0/0/0", "0/0/0"]
    assert lines["deadline missed"][0] == "1/1/0"
    assert lines["cancelled"][0] == "1/0/1"
    assert all(name in lines for name in ("deadline missed", "cancelled"))
    told = " ".join(word for words in lines.values() for word in words)
    assert told.count("sums True") == 3


async def test_an_agent_answers_for_its_own_errors(example: Any, shared_dsn: str) -> None:
    import agent_level  # type: ignore[import-not-found]
    import world  # type: ignore[import-not-found]

    class Broken(agent_level.BaseAgent):  # type: ignore[misc]
        async def _perform_task(self, text: str, names: list[str]) -> Any:
            raise ConnectionError

    async with AsyncExitStack() as stack:
        learning = await example.Learning.open(f"broken-{os.getpid()}", shared_dsn, stack)
        document = world.Document("d", "calm", "clean", "short", "bado")
        decision = await learning.agent.select_arm({"noise": "clean", "length": "short"}, "wf-1/step-0/agent")
        with pytest.raises(ConnectionError):
            await Broken("broken-1", learning.agent).execute(document, "bado", decision)
        outcome = (await learning.agent.rewards("wf-1/step-0/agent")).outcome
        assert outcome is not None
        assert (outcome.success, outcome.error_codes) == (False, ("ConnectionError",))
        assert await learning.top.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}
