"""Advisory file locks: what the processes that share an embedded server agree through.

`flock` locks belong to an *open file*, are shared with whoever inherits it, and are given
up by the kernel when the last copy closes: however a process dies, its locks go with it.
They need a local file system (over NFS they are emulated, and not inherited).
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ...errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LOCK_POLL_S", "acquire", "exclusive", "is_held", "nobody_holds", "open_lock"]

LOCK_POLL_S = 0.005


def open_lock(path: Path) -> int:
    """File descriptor of the lock file `path`, made if missing; a symbolic link is refused (OSError)."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def acquire(descriptor: int, mode: int, *, name: str, timeout_s: float) -> None:
    """Take the lock in `mode` (`LOCK_SH` or `LOCK_EX`).

    Raises
    ------
    DatabaseUnavailable : not granted within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    "another process keeps the embedded server's lock",
                    expected=f"the lock within {timeout_s:.0f} s",
                    found=f"{name} is still locked",
                    fix="try again; if it stays so, see which process has that file open (lsof)",
                ) from None
            time.sleep(LOCK_POLL_S)
        else:
            return


@contextmanager
def exclusive(path: Path, *, timeout_s: float) -> Iterator[int]:
    """Hold `path` alone for the length of a `with` block; yields the file descriptor."""
    descriptor = open_lock(path)
    try:
        acquire(descriptor, fcntl.LOCK_EX, name=str(path), timeout_s=timeout_s)
        try:
            yield descriptor
        finally:
            # Explicitly: a process that another thread forked meanwhile has a copy of the descriptor,
            # and closing ours alone would leave the lock to it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds `path` exclusively."""
    return not _granted(path, fcntl.LOCK_SH)


def nobody_holds(path: Path) -> bool:
    """Whether nobody holds `path`, neither shared nor exclusively."""
    return _granted(path, fcntl.LOCK_EX)


def _granted(path: Path, mode: int) -> bool:
    descriptor = open_lock(path)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return True
        return False
    finally:
        os.close(descriptor)
