"""A library in an interpreter of its own, which times its rounds when asked to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

__all__ = ["Entry", "Library", "LibraryFailed"]

SERVE = Path(__file__).resolve().parent / "drivers" / "serve.py"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class LibraryFailed(Exception):
    """What a library said when it could not start or play."""


class Entry(NamedTuple):
    """One thing that a library can be timed at; ``number`` is its place in the driver's list."""

    library: Library
    number: int
    case: str
    label: str
    note: str


class Library:
    """A driver's process: ``open`` starts it, ``time`` asks it for one block, leaving the context ends it."""

    def __init__(self, name: str, python: Path, module: str) -> None:
        self.name = name
        self.versions: dict[str, str] = {}
        self.entries: list[Entry] = []
        self._call = [str(python), str(SERVE), module]
        self._environment = os.environ | dict.fromkeys(THREADS, "1")
        self._environment.pop("PYTHONPATH", None)  # what this interpreter finds there is not for theirs
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def open(self) -> None:
        """Start the process and read what it can do."""
        self._process = subprocess.Popen(
            self._call,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )
        ready = self._answer()["ready"]
        self.versions = ready["versions"]
        self.entries = [Entry(self, number, *texts) for number, texts in enumerate(ready["entries"])]

    def time(self, number: int, seconds: float) -> float:
        """µs of processor time a round, over one block of about so many seconds."""
        if self._process is None or self._process.stdin is None:
            raise LibraryFailed("not started")
        try:
            self._process.stdin.write(json.dumps({"entry": number, "seconds": seconds}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LibraryFailed("its process has ended") from None
        found = self._answer()
        if "error" in found:
            raise LibraryFailed(found["error"])
        return float(found["us"])

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process and self._process.stdout else ""
        if not line:
            raise LibraryFailed(f"its process has ended; to see why: {' '.join(self._call)}")
        found: dict[str, Any] = json.loads(line)
        return found
