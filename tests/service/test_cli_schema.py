"""``nyx-learning migrate`` and ``retention``: what they say, and their exit codes."""

import asyncio
import json
from typing import Any

import pytest

from nyx_learning import BanditSpec
from nyx_learning.persistence.migrations import known_migrations
from nyx_learning.service.cli import main

TITLES = [migration.title for migration in known_migrations()]
SECRET = "hunter2"  # noqa: S105 (what must never be shown)


@pytest.fixture
def database_dsn(empty_dsn: str) -> str:
    """Without the schema: making it is a subject here."""
    return empty_dsn


@pytest.fixture
def run(database_dsn: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the test's database; its exit code, and its one object."""

    def one(*arguments: str, dsn: str = database_dsn) -> tuple[int, dict[str, Any]]:
        code = main([*arguments, "--dsn", dsn, "--json"])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        return code, json.loads(said.out)

    return one


def test_migrate(run: Any, database_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("migrate", "--check") == (
        1,
        {
            "newest": known_migrations()[-1].number,
            "applied": [],
            "outstanding": TITLES,
            "dry_run": False,
            "roles": False,
        },
    )
    code, said = run("migrate", "--dry-run", "--to", "3")
    assert (code, said["applied"], said["outstanding"]) == (0, [], TITLES[:3])
    code, said = run("migrate", "--to", "3")
    assert (code, said["applied"], said["outstanding"]) == (0, TITLES[:3], [])
    assert run("migrate", "--check")[1]["outstanding"] == TITLES[3:]
    assert run("migrate", "--check", "--to", "3")[0] == 0
    assert main(["migrate", "--dsn", database_dsn]) == 0
    assert capsys.readouterr().out.splitlines() == [f"applied      {title}" for title in TITLES[3:]]
    assert main(["migrate", "--check", "--dsn", database_dsn]) == 0
    assert capsys.readouterr().out == "the schema is up to date\n"
    code, said = run("migrate", "--to", "3")
    assert (code, said["error"]["code"]) == (2, "input_invalid")


@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate", "--check", "--dry-run"),
        ("migrate", "--check", "--roles"),
        ("migrate", "--to", "x"),
        ("retention",),
        ("retention", "--older-than", "90"),
        ("retention", "--older-than", "-1d"),
        ("retention", "--older-than", "9d", "--bandit", "nobody"),
    ],
)
def test_wrong_usage(run: Any, arguments: tuple[str, ...]) -> None:
    code, said = run(*arguments)
    assert (code, said["error"]["code"]) == (2, "input_invalid")


@pytest.mark.parametrize("command", [("migrate",), ("retention", "--older-than", "9d")])
@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/x",
        f"postgresql://me:{SECRET}@127.0.0.1:port/x",
        f"postgresql://127.0.0.1:1/x?user=me&password={SECRET}",
        f"mysql://me:{SECRET}@localhost/x",
        f"host=localhost password={SECRET}",
    ],
)
def test_no_secret_is_told(run: Any, command: tuple[str, ...], dsn: str) -> None:
    code, said = run(*command, dsn=dsn)
    assert (code, said["error"]["code"]) == (2, "database_unavailable")


async def test_retention(
    open_engine: Any, spec: BanditSpec, contexts: Any, database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = await open_engine(spec)
    for i in range(6):
        await engine.update_reward(await engine.select_arm(contexts(i), f"wf-{i}"), reward=0.5)
    told = await engine.retain(90 * 86_400.0)
    assert (told.decisions, told.base_seq, told.held_by) == (0, 0, "young")

    async def run(*arguments: str) -> dict[str, Any]:
        code = await asyncio.to_thread(main, ["retention", *arguments, "--dsn", database_dsn, "--json"])
        assert code == 0
        return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]

    said = await run("--older-than", "0s", "--dry-run")
    assert said["dry_run"]
    (bandit,) = said["bandits"]
    assert bandit["held_by"] == "end"
    assert {k: bandit[k] for k in ("bandit", "before", "base_seq", "last_seq", "decisions", "rows")} == {
        "bandit": "orchestration",
        "before": 0,
        "base_seq": 6,
        "last_seq": 6,
        "decisions": 6,
        "rows": 6,
    }
    (bandit,) = (await run("--older-than", "0s", "--bandit", "orchestration"))["bandits"]
    assert (bandit["decisions"], bandit["rows"], bandit["months"]) == (6, 6, [])
    assert await asyncio.to_thread(main, ["retention", "--older-than", "1.5h", "--dsn", database_dsn]) == 0
    assert "base at row 6 of 6, was 6; held by the end of the log" in capsys.readouterr().out
    assert (await engine.verify()).ok
