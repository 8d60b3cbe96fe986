"""Make or refresh ``.venv``, or do nothing where it is good.

States of ``.venv``:

- *good*: a stamp names this folder, this Python and these dependencies. Nothing is done.
- *stale*: a stamp for something else, or a virtual environment that someone else made (for example uv).
  The packages are installed into it again, if its Python is the right one.
- *unfinished*: the mark that is set before the first change and removed after the last is there, so an
  earlier run was interrupted. pip cannot tell half a package from a whole one, so it is made anew.

The whole is done under a lock on ``pyproject.toml``: two ``make`` at the same time do not meet.
Only the standard library is used; it runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".nyx-installed"
MARK = VENV / ".nyx-unfinished"
DISTRIBUTION = ".[dev]"
UV = "uv>=0.8,<1"
SAME_PYTHON = """
import sys
sys.exit(str(sys.version_info[:2]) != sys.argv[1] or sys.prefix == sys.base_prefix)
"""


def key() -> str:
    """Name what an installation depends on; the settings of linters are left out."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = {name: document.get(name) for name in ("build-system", "project", "dependency-groups")}
    parts["setuptools"] = document.get("tool", {}).get("setuptools")
    place = [str(ROOT), list(sys.version_info[:2]), sys.base_prefix]
    return hashlib.sha256(json.dumps([place, parts], sort_keys=True).encode()).hexdigest()


def refuse(what: str, code: str, expected: str, found: str, fix: str) -> SystemExit:
    """Build the project's four-part error; there is no package to import it from yet."""
    return SystemExit(f"{what} [{code}]\n  expected: {expected}\n  found:    {found}\n  fix:      {fix}")


def runs(*arguments: str) -> bool:
    """Tell whether the environment's Python does this without an error."""
    if not os.access(PYTHON, os.X_OK):
        return False
    done = subprocess.run([PYTHON, "-I", *arguments], capture_output=True, check=False)
    return done.returncode == 0


def is_good(wanted: str) -> bool:
    """Tell whether the environment is finished, here, and for these dependencies."""
    if MARK.exists() or not STAMP.is_file() or STAMP.read_text(encoding="ascii") != wanted:
        return False
    return runs("-c", "")


def is_usable() -> bool:
    """Tell whether packages may be installed into what is there."""
    if MARK.exists() or not runs("-c", SAME_PYTHON, str(sys.version_info[:2])):
        return False
    return runs("-m", "pip", "--version") or runs("-m", "ensurepip")


def discard() -> None:
    """Take the environment away in one step, so that no half of it is met later."""
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        away = Path(tempfile.mkdtemp(prefix=".venv-old-", dir=ROOT))
        VENV.rename(away / "venv")
        shutil.rmtree(away, ignore_errors=True)


def create() -> None:
    """Make an empty environment, marked as unfinished from its first moment."""
    discard()
    VENV.mkdir()
    MARK.touch()
    done = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
    if done.returncode:
        short = ".".join(map(str, sys.version_info[:2]))
        raise refuse(
            "the virtual environment could not be made",
            "venv_failed",
            "`python -m venv` to succeed",
            f"{sys.executable}: {(done.stderr or done.stdout).strip() or 'no message'}",
            f"install the venv module (Debian, Ubuntu: `apt install python{short}-venv`), "
            "or name another Python: make PYTHON=/path/to/python3",
        )


def install() -> None:
    """Install the project in place with everything that demo, tests and linters need.

    uv does in half a minute what takes pip two, and is installed into the environment first. Where it is not
    to be had, or does not know this machine's settings of pip, pip does the work and says what is wrong.
    """
    MARK.touch()
    STAMP.unlink(missing_ok=True)
    # Settings for other places would send the packages out of the environment.
    misplaced = {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV"}
    environment = {name: value for name, value in os.environ.items() if name not in misplaced}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"}
    pip = [str(PYTHON), "-I", "-m", "pip", "install", "--quiet", "--no-input"]
    # Compiled now, once: else every process of the tests would do it again where none may write.
    uv = [
        str(PYTHON),
        "-I",
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(PYTHON),
        "--compile-bytecode",
    ]

    def does(command: list[str], *, quietly: bool) -> int:
        """The exit status."""
        silence = subprocess.DEVNULL if quietly else None
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=silence, stderr=silence)
        return done.returncode

    if does([*pip, UV], quietly=True) == 0 and does([*uv, "--editable", DISTRIBUTION], quietly=True) == 0:
        return
    status = does([*pip, "--editable", DISTRIBUTION], quietly=False)
    if status:
        raise refuse(
            "the packages could not be installed",
            "install_failed",
            f"`pip install -e {DISTRIBUTION}` to succeed",
            f"exit status {status}; pip's own message stands above",
            "follow pip's message (often: the package index is out of reach), then run make again",
        )


def main() -> None:
    """Bring ``.venv`` to the good state."""
    wanted = key()
    with (ROOT / "pyproject.toml").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_good(wanted):
            return
        if not os.access(ROOT, os.W_OK):
            raise refuse(
                "the virtual environment has no place",
                "folder_read_only",
                "a project folder that this user may write to",
                str(ROOT),
                "clone the project into a folder of your own",
            )
        version = ".".join(map(str, sys.version_info[:3]))
        if not is_usable():
            print(f"Making .venv with Python {version} ({sys.executable})", flush=True)
            create()
        print("Installing the packages into .venv; the first time takes about a minute", flush=True)
        install()
        STAMP.write_text(wanted, encoding="ascii")
        MARK.unlink()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; the next run starts .venv anew")
