"""What commands print: results on stdout, errors and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import NyxError

__all__ = ["print_error", "print_json", "print_text", "progress_bar"]


def print_json(document: Any) -> None:
    """One JSON object on a line of its own; floats by their shortest repr, NaN and infinity refused."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def print_text(text: str) -> None:
    """Plain text on stdout."""
    sys.stdout.write(text + "\n")


def print_error(error: NyxError) -> None:
    """The four parts of an error on stderr."""
    sys.stderr.write(f"error: {error}\n")


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that takes the number of steps done; a bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes longer to import than many a command to run
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
