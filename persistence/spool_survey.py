"""What lies in a spool's folder, seen from outside: nothing is adopted, changed or kept locked."""

from __future__ import annotations

import fcntl
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from .spool_records import pieces

__all__ = ["SpoolSurvey", "survey_spool"]


@dataclass(frozen=True, slots=True)
class SpoolSurvey:
    """``living`` : files of processes that live, which settle their records themselves. ``left`` : files of
    processes that have ended, with ``records`` records that are in nobody's hands. ``damaged_bytes`` : what
    could not be read and was put aside.
    """

    living: int
    left: int
    records: int
    damaged_bytes: int


def survey_spool(folder: Path) -> SpoolSurvey:
    """Look through a folder and those below it; ``OSError`` where it cannot be read."""
    living = left = records = damaged = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".damaged":
            damaged += path.stat().st_size
        if path.suffix != ".spool":
            continue
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue  # it was settled meanwhile
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            count = _records(descriptor)
            left, records = left + (count > 0), records + count
        except BlockingIOError:
            living += 1
        finally:
            os.close(descriptor)
    return SpoolSurvey(living, left, records, damaged)


def _records(descriptor: int) -> int:
    """How many records a file has behind its header."""
    size = os.fstat(descriptor).st_size
    if not size:
        return 0
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as data:
        return max(0, sum(piece.payload is not None for piece in pieces(data)) - 1)
