"""How the other libraries are installed: pinned, in a venv each, because they exclude one another."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["RECIPES", "install", "interpreter"]

SECONDS_MAX = 600
"""For one call of pip."""

RECIPES: dict[str, list[list[str]]] = {
    "river": [["river==0.26.1"]],
    "mabwiser": [["mabwiser==2.7.4"]],
    "gittins": [["gittins==2.0.1"]],
    "vowpalwabbit": [["vowpalwabbit==9.11.9"]],
    "contextualbandits": [["contextualbandits==0.3.30"]],
    # It declares Python < 3.11 and exact versions, not all of which have wheels; these run it.
    "obp": [
        [
            "--only-binary=:all:",
            "numpy==1.23.5",
            "pandas==1.5.2",
            "scipy==1.9.3",
            "scikit-learn==1.1.3",
            "matplotlib<3.9",
            "seaborn<0.12",
            "pillow<11",
            "PyYAML",
            "tqdm",
            "torch==2.13.0",
        ],
        ["--no-deps", "pyieoe"],
        ["--no-deps", "--ignore-requires-python", "obp==0.5.7"],
    ],
}
"""By library, the arguments of each call of pip. They fit Python 3.11."""


def interpreter(folder: Path, library: str) -> Path:
    """The interpreter of a library's venv."""
    places = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return folder.joinpath(library, *places)


def install(folder: Path) -> list[str]:
    """Make the venvs below ``folder``; what stands there already is completed. Returns what failed."""
    failed = []
    for library, steps in RECIPES.items():
        print(f"{library} …", flush=True)
        python = interpreter(folder, library)
        if not python.exists():
            venv.create(folder / library, with_pip=True)
        if not all(_pip(python, step) for step in steps):
            failed.append(library)
    return failed


def _pip(python: Path, arguments: list[str]) -> bool:
    call = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    try:
        return subprocess.run(call, check=False, timeout=SECONDS_MAX).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"  not finished after {SECONDS_MAX} s: pip install {' '.join(arguments)}", file=sys.stderr)
        return False
