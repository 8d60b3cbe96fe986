"""The scripts that stand before anything is installed: choosing a Python, and the guard of the pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIND = ROOT / "scripts" / "find_python.sh"
GUARD = ROOT / "scripts" / "leave_nothing.py"


def fake_python(folder: Path, name: str, version: str, *, venv: bool = True) -> Path:
    """A command that answers the questions of ``find_python.sh`` as a Python of that version would."""
    old = int(tuple(map(int, version.split(".")))[:2] < (3, 11))
    path = folder / name
    path.write_text(
        '#!/bin/sh\ncase "$2" in\n'
        f"*'< (3, 11)'*) exit {old} ;;\n"
        f"*ensurepip*) exit {int(not venv)} ;;\n"
        f"*_base_executable*) echo '{path}' ;;\n"
        f"*) echo '{version}' ;;\nesac\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def broken_python(folder: Path, name: str) -> None:
    """A command that is there and does not start, as version managers leave them."""
    path = folder / name
    path.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n", encoding="utf-8")
    path.chmod(0o755)


def find(folder: Path, python: str = "") -> subprocess.CompletedProcess[str]:
    # In an empty folder, so that the project's own .venv is not met.
    return subprocess.run(
        ["/bin/sh", str(FIND)],
        cwd=folder,
        env={"PATH": str(folder), "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_python_that_starts_is_chosen(tmp_path: Path) -> None:
    broken_python(tmp_path, "python3.13")
    wanted = fake_python(tmp_path, "python3.12", "3.12.1")
    fake_python(tmp_path, "python3", "3.11.2")
    assert find(tmp_path).stdout.strip() == str(wanted)


def test_one_without_venv_is_passed_over(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.12", "3.12.1", venv=False)
    wanted = fake_python(tmp_path, "python3", "3.11.2")
    assert find(tmp_path).stdout.strip() == str(wanted)


def test_a_python_that_is_named_wins(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.13", "3.13.0")
    wanted = fake_python(tmp_path, "python3.11", "3.11.2")
    assert find(tmp_path, python=str(wanted)).stdout.strip() == str(wanted)


@pytest.mark.parametrize(
    ("version", "venv", "code", "found", "fix"),
    [
        ("3.9.2", True, "python_missing", "python3 is 3.9.2", "apt install python3 python3-venv"),
        (
            "3.11.2",
            False,
            "venv_missing",
            "python3 (3.11.2) has no venv module",
            "apt install python3.11-venv",
        ),
        ("", True, "python_missing", "no python3 that starts", "apt install python3 python3-venv"),
    ],
)
def test_the_error_names_what_to_install(
    tmp_path: Path, version: str, venv: bool, code: str, found: str, fix: str
) -> None:
    if version:
        fake_python(tmp_path, "python3", version, venv=venv)
    done = find(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    first, expected, found_line, fix_line = done.stderr.splitlines()
    assert first.endswith(f"[{code}]")
    assert expected.startswith("  expected: Python 3.11 or newer")
    assert found_line == f"  found:    {found}"
    assert fix_line.startswith("  fix:      install")
    assert fix in fix_line


def test_a_named_python_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.11.2")
    old = fake_python(tmp_path, "old", "3.8.1")
    bare = fake_python(tmp_path, "bare", "3.11.2", venv=False)
    assert "[python_unsuitable]" in find(tmp_path, python=str(old)).stderr
    assert "[venv_missing]" in find(tmp_path, python=str(bare)).stderr
    assert "does not start" in find(tmp_path, python="no-such-python").stderr


def guard(*command: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(GUARD), *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | ({"PATH": path} if path else {}),
        timeout=60,
    )


def test_the_guard_passes_on_the_exit_status() -> None:
    assert guard("sh", "-c", "exit 0").returncode == 0
    assert guard("sh", "-c", "exit 7").returncode == 7


ORPHAN = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        time.sleep(60)
"""


UNLISTED = f"""
import runpy, subprocess, sys
guard = runpy.run_path({str(GUARD)!r})
left_behind, told = guard["left_behind"], []
left_behind.__globals__["UNSEEN_S"] = 30.0
listed = left_behind.__globals__["children"]
def children(parent):
    told.append(listed(parent) if told else [])
    return told[-1]
left_behind.__globals__["children"] = children
sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
found = left_behind(0.0)
guard["end"](found)
print(found == [sleeper.pid], left_behind(0.0), told[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard watches on Linux only")
def test_the_guard_believes_that_nothing_is_left_only_where_nothing_can_be_waited_for() -> None:
    """A list can miss a process whose parent ends while it is made."""
    done = subprocess.run(
        [sys.executable, "-c", UNLISTED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True None []\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard watches on Linux only")
def test_the_guard_finds_a_process_that_left_its_session() -> None:
    done = guard("--grace", "0.5", sys.executable, "-c", ORPHAN)
    assert done.returncode == 1
    assert "[processes_left]" in done.stderr
    assert "time.sleep(60)" in done.stderr
