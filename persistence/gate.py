"""A gate before a pool: nobody reads or writes tables that are not there yet, or not as they are to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Gate", "passing"]

_PASSING: ContextVar[bool] = ContextVar("nyx_passing", default=False)


class Gate:
    """Turns everybody away until ``open``, but who makes the database ready.

    A pool calls ``admit`` as its ``setup`` for each connection that it lends.
    """

    def __init__(self) -> None:
        self._is_open = False

    def open(self) -> None:
        """Let everybody in from now on."""
        self._is_open = True

    async def admit(self, _connection: object) -> None:
        """Raise ``ConnectionError``, as if the server were away, where the database is not ready."""
        if not self._is_open and not _PASSING.get():
            raise ConnectionRefusedError("the database answers again, and is being made ready")


@contextmanager
def passing() -> Iterator[None]:
    """Let the block, and the tasks that it starts, through a closed gate."""
    token = _PASSING.set(True)
    try:
        yield
    finally:
        _PASSING.reset(token)
