"""The commands: what they print, and their exit codes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.service.cli import main

HISTORY = """decision_id,context.task,context.size,arm_id,propensity,reward,comment
a,code,1,direct,0.5,1,fine
b,text,2,parallel(workers=2),unknown,0.25,
"""


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    return path


@pytest.fixture
def known(spec: BanditSpec, database_dsn: str, tmp_path: Path) -> Path:
    """The spec as a file; its bandit is stored."""

    async def create() -> None:
        async with await LearningEngine.open(spec, database_dsn):
            pass

    asyncio.run(create())
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec.to_dict()))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code, out, err = run(capsys, *arguments, "--json")
    assert err == ""
    (line,) = out.splitlines()
    return code, json.loads(line)


def test_in_and_out(
    capsys: pytest.CaptureFixture[str], history: Path, known: Path, database_dsn: str, tmp_path: Path
) -> None:
    code, report = run_json(capsys, "import", history, "--bandit", "orchestration", "--dsn", database_dsn)
    assert (code, report["decisions"], report["rewards"], report["unknown_propensities"]) == (0, 2, 2, 1)
    assert (report["applied"], report["ignored"], report["rejects"]) == (True, ["comment"], [])
    code, out, _ = run(capsys, "import", history, "--dsn", database_dsn)
    assert code == 0
    assert "2 lines" in out
    log = tmp_path / "log.jsonl"
    code, report = run_json(capsys, "export", log, "--dsn", database_dsn)
    assert (code, report["lines"], report["rewards"], report["unknown_propensities"]) == (0, 2, 2, 1)
    assert [json.loads(line)["propensity"] for line in log.read_text().splitlines()] == [0.5, None]
    code, out, _ = run(
        capsys, "export", tmp_path / "log.csv", "--context-columns", "json", "--dsn", database_dsn
    )
    assert (code, out) == (0, "orchestration: 2 decisions, 2 with a reward, 1 of unknown propensity\n")
    assert '"{""size"": 1, ""task"": ""code""}"' in (tmp_path / "log.csv").read_text()


def test_a_copy_goes_to_another_database(
    capsys: pytest.CaptureFixture[str],
    history: Path,
    known: Path,
    database_dsn: str,
    empty_dsn: str,
    tmp_path: Path,
) -> None:
    run(capsys, "import", history, "--dsn", database_dsn)
    copy = tmp_path / "copy.jsonl"
    code, report = run_json(capsys, "export", copy, "--rows", "log", "--dsn", database_dsn)
    assert (code, report["rows"], report["rewards"]) == (0, "log", 2)
    code, told = run_json(capsys, "import", copy, "--bandit", "orchestration", "--dsn", empty_dsn)
    assert (code, told["error"]["code"]) == (2, "input_invalid")
    code, report = run_json(capsys, "import", copy, "--dsn", empty_dsn)
    assert (code, report["restored"], report["verified"], report["decisions"]) == (0, True, True, 2)
    code, told = run_json(capsys, "import", copy, "--dsn", empty_dsn)
    assert (code, told["error"]["code"]) == (2, "document_invalid")
    code, out, _ = run(capsys, "export", copy, "--rows", "log", "--dsn", empty_dsn)
    assert (code, out.startswith("orchestration: ")) == (0, True)


def test_a_spec_creates_its_bandit(
    capsys: pytest.CaptureFixture[str], history: Path, spec: BanditSpec, database_dsn: str, tmp_path: Path
) -> None:
    code, told = run_json(capsys, "import", history, "--bandit", "orchestration", "--dsn", database_dsn)
    assert (code, told["error"]["code"]) == (2, "input_invalid")
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec.to_dict()))
    code, report = run_json(capsys, "import", history, "--spec", path, "--dsn", database_dsn)
    assert (code, report["bandit"], report["last_seq"]) == (0, "orchestration", 2)
    for text in ("{}", "[1]", "no"):
        path.write_text(text)
        code, told = run_json(capsys, "import", history, "--spec", path, "--dsn", database_dsn)
        assert (code, set(told["error"])) == (2, {"code", "what", "expected", "found", "fix"})


def test_bad_lines(capsys: pytest.CaptureFixture[str], history: Path, known: Path, database_dsn: str) -> None:
    history.write_text(f"{HISTORY}c,code,3,nothing,0.5,1,\nd,code,4,direct,0.5,2,\n")
    code, report = run_json(capsys, "import", history, "--dsn", database_dsn)
    assert (code, report["applied"], report["decisions"], report["rejected"]) == (2, False, 0, 2)
    assert [(reject["line"], reject["code"]) for reject in report["rejects"]] == [
        (4, "arm_unknown"),
        (5, "log_invalid"),
    ]
    code, out, err = run(capsys, "import", history, "--dsn", database_dsn)
    assert code == 2
    assert "[import_rejected]" in err
    assert "line 4 (c): " in out
    code, report = run_json(capsys, "import", history, "--skip-bad", "--dsn", database_dsn)
    assert (code, report["applied"], report["decisions"], report["rejected"]) == (1, True, 2, 2)
    code, out, _ = run(capsys, "import", history, "--skip-bad", "--dsn", database_dsn)
    assert code == 1
    assert "line 5 (d): 'reward' is unusable" in out


def test_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, known: Path, database_dsn: str
) -> None:
    for arguments in (
        ["import"],
        ["import", tmp_path / "none.csv", "--dsn", database_dsn],
        ["import", known, "--bandit", "a", "--spec", known],
        ["import", known, "--format", "xml"],
        ["export", tmp_path / "no" / "log.csv", "--dsn", database_dsn],
        ["export", tmp_path / "log.csv", "--bandit", "none", "--dsn", database_dsn],
    ):
        code, told = run_json(capsys, *arguments)
        assert (code, set(told)) == (2, {"error"})
