"""Whether the database takes what this process writes, and since when not."""

from __future__ import annotations

import asyncio
import logging
import time as clock

__all__ = ["Availability"]

_LOG = logging.getLogger("nyx_learning")
_QUIET_S = 60.0
_TOLD_AFTER_S = 1.0


class Availability:
    """What writing met last. Impaired, nothing waits for the database but what tries whether it is back.

    cause, since : why and from when (seconds since 1970) it is impaired; None where it is not.
    error, error_at, written_at : the last failure, its time, and the time of the last success.
    """

    def __init__(self, bandit: str) -> None:
        self._bandit = bandit
        self.cause: str | None = None
        self.since: float | None = None
        self.error: str | None = None
        self.error_at: float | None = None
        self.written_at: float | None = None
        self._told_at = 0.0

    @property
    def impaired(self) -> bool:
        """Tell whether writes go to the spool."""
        return self.cause is not None

    def lost(self, cause: str) -> None:
        """Note that a write did not succeed, or not in time."""
        now = clock.time()
        self.error, self.error_at = cause, now
        if self.cause is None:
            self.since = now
            # One late commit is no outage, and a slow database comes and goes many times a second.
            asyncio.get_running_loop().call_later(_TOLD_AFTER_S, self._tell, now)
        self.cause = cause

    def regained(self) -> None:
        """Note that a write succeeded."""
        self.written_at = clock.time()
        if self.cause is not None:
            self.cause = self.since = None
            _LOG.info("bandit '%s' writes to its database again", self._bandit)

    def _tell(self, since: float) -> None:
        if self.since == since and since - self._told_at > _QUIET_S:
            self._told_at = since
            _LOG.warning(
                "bandit '%s' decides from memory and writes to its spool: %s", self._bandit, self.cause
            )
