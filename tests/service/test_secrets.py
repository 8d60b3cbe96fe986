"""A password in the DSN is told nowhere: in no error, log, report or file, however the call fails."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec
from nyx_learning.errors import NyxError
from nyx_learning.service.cli import main
from nyx_learning.service.cli.commands import COMMANDS, load

Contexts = Callable[[int], dict[str, Any]]
SECRET = "hunter2"  # noqa: S105 (what must never be shown)
AWAY = f"postgresql://me:{SECRET}@127.0.0.1:1/learning"


def told(error: BaseException | None) -> str:
    """All that a traceback of an error would print of it and of its causes."""
    return "" if error is None else f"{error!r} {error} {told(error.__cause__)}"


def in_files(folder: Path) -> list[str]:
    """The files below a folder that have the password in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if SECRET.encode() in path.read_bytes()]


async def test_an_engine_without_its_database(
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    engine = await open_engine(spec, AWAY, spool=tmp_path / "spool", deadline_s=0.05, patience_s=0.1)
    decision = await engine.select_arm(contexts(0), "wf-1")
    await engine.update_reward(decision, reward=0.5)
    seen = [repr(engine), repr(engine.health()), repr(decision)]
    for call in (engine.verify(), engine.counts(), engine.rewards("wf-2"), engine.retain(1.0)):
        with pytest.raises(NyxError) as caught:
            await call
        seen.append(told(caught.value))
    await engine.close()
    with pytest.raises(NyxError) as caught:
        await open_engine(spec, AWAY, fail_open=False, patience_s=0.1)
    seen.append(told(caught.value))
    assert not in_files(tmp_path)
    assert list((tmp_path / "spool").iterdir())
    said = capsys.readouterr()
    for text in (*seen, caplog.text, said.out, said.err):
        assert SECRET not in text


REACHING = [
    ["verify"],
    ["doctor"],
    ["export", "never.jsonl"],
    ["import", "log.jsonl"],
    ["evaluate", "--policy", "uniform", "--holdout"],
    ["reprice", "--weights", "weights.json"],
    ["migrate"],
    ["retention", "--older-than", "90d"],
    ["override", "list"],
    ["explain", "wf-1"],
    ["patterns"],
    ["opportunities"],
    ["mcp"],
]
STAYING = {"demo", "serve"}
"""These go on without their database, as the engine above does."""


def test_every_command_that_takes_a_dsn_is_tried() -> None:
    taking = set()
    for name in COMMANDS:
        parser = argparse.ArgumentParser()
        load(name).add_arguments(parser)
        if "--dsn" in parser.format_help():
            taking.add(name)
    assert taking - STAYING == {command[0] for command in REACHING}


@pytest.mark.parametrize(
    "arguments",
    [["verify", AWAY], ["doctor", "--dns", AWAY], [AWAY], ["verify", "--bandit", "x", f"--dsm={AWAY}"]],
    ids=["no_option", "misspelt", "alone", "equals"],
)
def test_a_dsn_in_a_wrong_place(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for form in ([], ["--json"]):
        assert main([*arguments, *form]) == 2
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err


@pytest.mark.parametrize("command", REACHING, ids=lambda command: command[0])
@pytest.mark.parametrize("where", ["argument", "environment"])
def test_commands_that_cannot_reach_it(
    command: list[str],
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.json").write_text('{"success": 1.0}')
    (tmp_path / "log.jsonl").write_text('{"decision_id": "a"}\n')
    if where == "environment":
        monkeypatch.setenv("NYX_DATABASE_URL", AWAY)
    code = main([*command, *(["--dsn", AWAY] if where == "argument" else []), "--json"])
    said = capsys.readouterr()
    assert code in {1, 2}
    assert said.out
    assert SECRET not in said.out + said.err + caplog.text
    assert not in_files(tmp_path)
