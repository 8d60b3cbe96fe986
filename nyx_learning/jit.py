"""``@kernel``: compile with numba, keep the machine code on disk, never keep a stale one.

numba's disk cache looks only at the file that a function stands in. A kernel that calls a helper in
another file would go on running the helper's old machine code after an upgrade, and decisions would no
longer be re-derivable. So the cache lives in a folder that is named after a hash of all the sources that
kernels are made of: every file that imports ``kernel``, and ``ieee.py``, whose plain cores are compiled in.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

__all__ = ["cache_folder", "kernel"]

_F = TypeVar("_F", bound=Callable[..., Any])
_HOUSE = Path(__file__).resolve().parent
_FOLDERS = ("rewards", "features", "bandit", "simulation", "persistence", "service")
_MARK = b"jit import kernel"


def _source_files() -> list[Path]:
    # In a checkout the folders stand beside nyx_learning/, in an installation inside it.
    files = [_HOUSE / "ieee.py"]
    for folder in _FOLDERS:
        files += (_HOUSE / folder).resolve().rglob("*.py")
    return sorted(path for path in files if path.name == "ieee.py" or _MARK in path.read_bytes())


def _fingerprint() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in (numba.__version__, str(config.CPU_NAME), str(config.BOUNDSCHECK)):
        digest.update(part.encode() + b"\0")
    for path in _source_files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _choose_folder() -> str:
    name = f"kernels-{_fingerprint()}"
    base = config.CACHE_DIR  # numba's own setting wins
    candidates = [Path(base) / name] if base else []
    candidates.append(_HOUSE / "__pycache__" / name)
    candidates.append(Path("~").expanduser() / ".cache" / "nyx-learning" / name)
    for folder in candidates:
        if _writable(folder):
            return str(folder)
    return tempfile.mkdtemp(prefix="nyx-kernels-")


_FOLDER = _choose_folder()


def cache_folder() -> str:
    """The folder that this process reads compiled kernels from and writes them to."""
    return _FOLDER


def kernel(function: _F) -> _F:
    """Compile ``function`` on first use: IEEE arithmetic only, cached on disk.

    No ``fastmath``, no ``parallel``: both reorder sums, and the bits would depend on the machine.
    """
    previous = config.CACHE_DIR
    config.CACHE_DIR = _FOLDER  # read once, while the decorator chooses a place
    try:
        compiled: _F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = previous
    return compiled
