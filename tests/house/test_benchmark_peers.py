"""The comparison with other libraries: what it prints where none is installed, and how it reads figures."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ROOT / "benchmarks" / "peers" / "drivers"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.peers.compare")


def test_without_peers_it_says_what_is_missing_and_how_to_install_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "--peers", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, fix = done.stdout.splitlines()
    assert first == "not installed: river, mabwiser, gittins, vowpalwabbit, contextualbandits, obp"
    assert fix == f"  fix: python -m benchmarks.peers --install {tmp_path}"


@pytest.mark.parametrize(
    ("theirs", "ours", "shown"),
    [
        (13.1, 10, "1.3 ×"),
        (12.9, 10, "tie"),
        (7.8, 10, "tie"),
        (7.6, 10, "0.76 ×"),
        (250, 10, "25.0 ×"),
        (20000, 10, "2,000 ×"),
    ],
)
def test_less_than_1_3_apart_is_a_tie(compare: Any, theirs: float, ours: float, shown: str) -> None:
    assert compare.ratio(theirs, ours) == shown


@pytest.mark.parametrize(("us", "shown"), [(0.1, "10.00 M"), (20, "50.0 k"), (400, "2,500")])
def test_simulations_are_shown_in_rounds_a_second(compare: Any, us: float, shown: str) -> None:
    assert compare.figure(us, simulated=True) == shown
    assert compare.figure(us, simulated=False) == f"{us:,.1f}"


def test_every_driver_has_a_recipe_and_plays_known_cases(compare: Any) -> None:
    drivers = {path.stem.removeprefix("on_"): path for path in DRIVERS.glob("on_*.py")}
    assert set(drivers) == set(compare.RECIPES)
    for path in drivers.values():
        named = re.findall(r'"((?:online|rounds|ope) [a-z0-9_ ]+)"', path.read_text(encoding="utf-8"))
        assert named
        assert set(named) <= set(compare.CASES)


def test_a_driver_answers_in_json_lines_and_reports_what_fails(tmp_path: Path) -> None:
    (tmp_path / "on_test.py").write_text(
        "PACKAGES = ['numpy']\n"
        "def run(n):\n    print('a library may print')\n    sum(range(100 * n))\n"
        "def entries():\n"
        "    return [('a', 'works', '', lambda: run), ('b', 'fails', '', lambda: 1 / 0)]\n"
    )
    done = subprocess.run(
        [sys.executable, str(DRIVERS / "serve.py"), "on_test"],
        env={"PYTHONPATH": str(tmp_path)},
        input='{"entry": 0, "seconds": 0.001}\n{"entry": 1, "seconds": 0.001}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ready, works, fails = map(json.loads, done.stdout.splitlines())
    assert list(ready["ready"]["versions"]) == ["numpy"]
    assert [entry[1] for entry in ready["ready"]["entries"]] == ["works", "fails"]
    assert works["us"] > 0
    assert works["rounds"] > 1
    assert fails == {"error": "ZeroDivisionError: division by zero"}
