"""What every call of a bandit stands on: the ledger in memory, and how a row joins it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...errors import DecisionUnknown
from ...rewards import Outcome, Reward
from .. import document
from ..decision import Decision, Receipt
from ..events import EventRow
from ..guardrails.sentry import Sentry
from ..history import HistoryRow
from ..learner import Learner
from ..log import LogRow, OtherRow, RewardRow
from ..spec import BanditSpec
from ..watch import Observation, Watch

if TYPE_CHECKING:
    from ..expecting import Expectations

__all__ = ["Ledger", "row_seen", "unknown_decision"]


class Ledger:
    """All that a bandit was told and has concluded, in one sequence; and the learner that it adds up to."""

    def __init__(self, spec: BanditSpec) -> None:
        self.spec = spec
        self.learner = Learner(spec)
        self.decisions: dict[str, Decision] = {}
        """Every decision made, by id, in order."""
        self.receipts: dict[str, Receipt] = {}
        """Every first reward of a decision that came whole, by decision id, in the order of the sequence."""
        self.outcomes: dict[str, Outcome] = {}
        """The outcomes behind those receipts that have one."""
        self.rows: list[RewardRow] = []
        """All other rows: corrections, parts, retractions, expiries, abandonments; in the same sequence."""
        self._rows_of: dict[str, list[RewardRow]] = {}
        self.history: list[HistoryRow] = []
        """Every row of history learned; in the same sequence. Monitors do not watch it."""
        self.events: list[EventRow] = []
        """What monitors concluded and people ordered; in the same sequence."""
        self._watch = None if spec.monitors is None else Watch(spec)
        self._sentry = None if spec.guardrails is None else Sentry(spec)
        self._known: Expectations | None = None

    @property
    def seq(self) -> int:
        """Number of the last row that was learned."""
        return self.learner.sums.seq

    def _conclude(self, found: Iterable[EventRow]) -> None:
        """Give what the monitors found its numbers; it takes effect there."""
        for draft in found:
            self._order(draft)

    def _order(self, draft: EventRow) -> int:
        event = draft.numbered(self.seq + 1)
        self.learner.begin(event)
        self.events.append(event)
        row_seen(self._watch, self._sentry, event)
        return event.seq

    def _first_seen(
        self, watch: Watch | None, sentry: Sentry | None, decision: Decision, units: int
    ) -> list[EventRow]:
        """What is concluded behind the first report of a decision that came whole."""
        key = decision.decision_id
        found = list[EventRow]()
        if watch is not None:
            seen = _observation(decision, units, self.receipts[key].seq, self.outcomes.get(key))
            found += watch.observe(seen)
        if sentry is not None:
            found += sentry.absorb(self._history(key)[0])
        return found

    def _log_after(self, seq: int) -> Iterator[LogRow]:
        """The rows behind row ``seq``, as a stored log has them."""
        for row in document.in_sequence(self.receipts, self.rows, self.history, self.events):
            if row.seq <= seq:
                continue
            if isinstance(row, HistoryRow):
                yield OtherRow(row.seq)
            elif isinstance(row, (RewardRow, EventRow)):
                yield row
            else:
                yield self._history(row.decision_id)[0]

    def _history(self, key: str) -> list[RewardRow]:
        """The rows about a decision, the whole first report among them."""
        rows = self._rows_of.get(key, [])
        receipt = self.receipts.get(key)
        if receipt is None:
            return rows
        first = Reward(
            float(receipt.reward or 0.0), receipt.components, receipt.missing, self.spec.reward.version
        )
        row = RewardRow.of(self.decisions[key], self.spec.encoding, first, self.outcomes.get(key), None)
        return [row.numbered(receipt.seq), *rows]


def row_seen(watch: Watch | None, sentry: Sentry | None, row: LogRow) -> list[EventRow]:
    """What is concluded behind the next row of the log."""
    found = list[EventRow]()
    if watch is not None:
        found += watch.absorb(row)
    if sentry is not None:
        found += sentry.absorb(row)
    return found


def _observation(decision: Decision, units: int, seq: int, outcome: Outcome | None) -> Observation:
    duration = None if outcome is None else outcome.duration_s
    told = None if outcome is None else outcome.to_dict()
    return Observation(seq, decision.arm, decision.epoch, decision.phi, units, duration, told, decision.time)


def unknown_decision(bandit: str, decision_id: str) -> DecisionUnknown:
    """The error for an outcome without its decision."""
    return DecisionUnknown(
        f"bandit '{bandit}' knows no such decision",
        expected="the id of a decision that this bandit made",
        found=repr(decision_id),
        fix="select_arm first; if another process did, retry, or pass the Decision itself",
    )
