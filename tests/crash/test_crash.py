"""Ten kills of writers and Postgres lose nothing and count nothing twice; and faults put in are found."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def runs() -> dict[str | None, dict[str, Any]]:
    """One run with everything: a process of its own, because it forks and kills."""
    command = [sys.executable, "-m", "tests.crash", "--kills", "10", "--seed", "3", "--mutants", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr
    return {run["mutant"]: run for run in json.loads(done.stdout)["runs"]}


def test_nothing_is_lost_or_counted_twice(runs: dict[str | None, dict[str, Any]]) -> None:
    run = runs[None]
    assert run["found"] == []
    assert run["kills"] == 10
    assert run["settings"] == {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    # It was a test of something.
    assert run["counts"]["acknowledged_reports"] > 50
    assert run["counts"]["acknowledged_decisions"] > 50
    assert run["counts"]["states"] > 10
    assert run["counts"]["refused_or_repeated"] > 10


@pytest.mark.parametrize(
    "mutant", ["acknowledge_before_commit", "no_uniqueness", "out_of_order", "fold_before_commit"]
)
def test_a_fault_is_found(runs: dict[str | None, dict[str, Any]], mutant: str) -> None:
    """By a promise that it breaks: that a writer dies of its fault shows none."""
    run = runs[mutant]
    promises = [told for told in run["found"] if "ended by itself" not in told]
    assert promises, f"{run['kills']} kills did not show it; {run['ended']}"
