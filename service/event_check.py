"""Whether the events of a log are what the monitors of its specs conclude from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bandit import BanditSpec
from ..bandit.events import EventRow
from ..bandit.guardrails import PERSON
from ..bandit.guardrails.sentry import Sentry
from ..bandit.log import LogRow
from ..bandit.watch import Watch

__all__ = ["EventCheck"]


class EventCheck:
    """Runs the monitors and guardrails of all specs anew, from the first row of a log on.

    An event must be concluded by the monitors of the spec that it names, behind the row that it names. That
    one is missing cannot be told from monitors that have not come so far.
    """

    def __init__(self, specs: Mapping[str, BanditSpec]) -> None:
        self._watches = {key: Watch(spec) for key, spec in specs.items() if spec.monitors is not None}
        self._sentries = {key: Sentry(spec) for key, spec in specs.items() if spec.guardrails is not None}
        self._concluded: dict[str, dict[tuple[int, str, str], EventRow]] = {key: {} for key in specs}

    @property
    def watching(self) -> bool:
        """True where a spec has monitors or guardrails: then every row is needed, else only events."""
        return bool(self._watches or self._sentries)

    def problem(self, row: LogRow, context: Mapping[str, Any] | None) -> str | None:
        """Take the next row in; what shows that no monitor concluded it, where it is an event."""
        problem = None
        if isinstance(row, EventRow) and row.monitor != PERSON:  # what a person ordered, nobody concludes
            due = self._concluded.get(row.spec_hash, {}).pop(row.key, None)
            problem = None if due is not None and due.same(row) else "no monitor concludes it"
        for key, watch in self._watches.items():
            for event in watch.absorb(row, context):
                self._concluded[key][event.key] = event
        for key, sentry in self._sentries.items():
            for event in sentry.absorb(row):
                self._concluded[key][event.key] = event
        return problem
