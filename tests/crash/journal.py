"""What a writer was about to do and what it was told, on the disk before it goes on.

One line of JSON a note. A torn last line is what ``kill -9`` leaves of a note that was not finished: nobody
can have relied on it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Journal", "Note", "read_notes"]

Note: TypeAlias = dict[str, Any]


class Journal:
    """Appends notes to a file of its own."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)

    def note(self, what: str, **fields: object) -> None:
        """Write one note: from here on it survives this process."""
        os.write(self._file, json.dumps({"what": what, **fields}).encode() + b"\n")

    def acknowledged(self, what: str, **fields: object) -> None:
        """Write what the caller was told, and bring all notes to the disk."""
        self.note(what, **fields)
        os.fsync(self._file)


def read_notes(path: Path, offset: int) -> tuple[list[Note], int]:
    """The complete notes behind ``offset``, and the offset behind them."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)
