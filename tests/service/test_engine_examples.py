"""The examples run as they are, short as they promise to be."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patiently import PATIENTLY

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, *before: str, **environment: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("NYX_DATA")}
    done = subprocess.run(
        [sys.executable, "-W", "error", *before, EXAMPLES / name],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(("name", "lines"), [("quickstart.py", 30), ("pure_bandit.py", 20)])
def test_short(name: str, lines: int) -> None:
    text = (EXAMPLES / name).read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= lines


def test_pure_bandit() -> None:
    research, coding, verified = run("pure_bandit.py").splitlines()
    assert ast.literal_eval(coding.removeprefix("coding "))["direct"] > 0.8
    assert ast.literal_eval(research.removeprefix("research "))["direct"] < 0.2
    assert verified == "verified: True"
    assert run("pure_bandit.py", PYTHONHASHSEED="7").splitlines() == [research, coding, verified]


def test_quickstart_goes_on_where_it_was(database_dsn: str) -> None:
    for decisions in (20, 40):
        told = run("quickstart.py", PATIENTLY, NYX_DATABASE_URL=database_dsn).splitlines()
        assert told[-1] == f"{decisions} of {decisions} decisions re-derived, sums match: True"
        assert [re.match(r"\S+", line)[0] for line in told[:-1]] == [  # type: ignore[index]
            "direct",
            "parallel(workers=2)",
            "parallel(workers=4)",
        ]


def test_quickstart_on_the_embedded_server(postgres_server: object, tmp_path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="nyx-quick-", dir="/tmp") as folder:
        home = Path(folder) / "data"
        environment = {"NYX_DATA_HOME": str(home), "NYX_DATABASE_URL": ""}
        assert "20 of 20 decisions re-derived" in run("quickstart.py", PATIENTLY, **environment)
        assert not list(home.rglob("postmaster.pid"))
