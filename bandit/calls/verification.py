"""The proof: the ledger folded anew, every decision re-derived, every conclusion drawn again."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import NyxError
from .. import document
from ..decision import Decision, VerifyReport
from ..events import EventRow
from ..fixed_point import reward_to_fixed
from ..guardrails import PERSON
from ..guardrails.sentry import Sentry
from ..history import HistoryRow
from ..learner import Learner
from ..log import OtherRow, RewardRow
from ..settle import draft_of, settle
from ..watch import Watch
from .base import Ledger, row_seen

__all__ = ["VerificationCalls"]


class VerificationCalls(Ledger):
    """The bandit's calls that check it against its own ledger."""

    def verify(self) -> VerifyReport:
        """Fold the ledger anew and re-derive every decision from what was known when it was made."""
        fresh = Learner(self.spec)
        rewards = document.in_sequence(self.receipts, self.rows, self.history, self.events)
        matched, divergence = 0, None
        for name, decision in sorted(self.decisions.items(), key=lambda item: item[1].state_seq):
            problem = self._fold(fresh, rewards, decision.state_seq) or _rederived(fresh, decision)
            if name != decision.decision_id:
                problem = f"stands under the id '{name}'"
            if problem is None:
                matched += 1
            elif divergence is None:
                divergence = f"decision '{decision.decision_id}': {problem}"
        count = len(self.receipts) + len(self.rows) + len(self.history) + len(self.events)
        problem = self._fold(fresh, rewards, count) or self._settled_again() or self._watched_again()[2]
        same = problem is None and fresh.sums.digest() == self.learner.sums.digest()
        if not same and divergence is None:
            divergence = problem or "the sums"
        return VerifyReport(len(self.decisions), matched, count, same, divergence)

    def _watched_again(self) -> tuple[Watch | None, Sentry | None, str | None]:
        """Monitors and guardrails, fed anew; and which event is not what they conclude, if any."""
        watch = None if self.spec.monitors is None else Watch(self.spec)
        sentry = None if self.spec.guardrails is None else Sentry(self.spec)
        due = list[EventRow]()
        for row in document.in_sequence(self.receipts, self.rows, self.history, self.events):
            if isinstance(row, EventRow):
                if row.monitor != PERSON and (not due or not due.pop(0).same(row)):
                    return watch, sentry, f"row {row.seq}: an event that no monitor concludes"
                row_seen(watch, sentry, row)
            elif isinstance(row, HistoryRow):
                row_seen(watch, sentry, OtherRow(row.seq))
            elif isinstance(row, RewardRow):
                due += row_seen(watch, sentry, row)
            else:
                decision, units = self.decisions[row.decision_id], reward_to_fixed(row.reward)
                due += self._first_seen(watch, sentry, decision, units)
        return watch, sentry, f"row {due[0].cause}: its alarm is missing" if due else None

    def _settled_again(self) -> str | None:
        """None if every row follows from what was reported and the rows before it; else which does not."""
        for key, rows in self._rows_of.items():
            history = self._history(key)
            for row in rows:
                before = [earlier for earlier in history if earlier.seq < row.seq]
                try:
                    again = settle(draft_of(row), before, self.decisions[key], self.spec, None)
                except (NyxError, LookupError) as error:
                    return f"row {row.seq}: cannot be re-derived: {type(error).__name__}"
                if again.seq or again.numbered(row.seq) != row:
                    return f"row {row.seq}: does not follow from the rows before it"
        return None

    def _fold(self, learner: Learner, rewards: Iterator[document.Row], seq: int) -> str | None:
        """Fold the ledger up to row ``seq``; what is wrong with it, if anything."""
        try:
            while learner.sums.seq < seq:
                row = next(rewards)
                if isinstance(row, HistoryRow):
                    learner.absorb_history(row, row.seq)
                    continue
                if isinstance(row, EventRow):
                    learner.begin(row)
                    continue
                decision = self.decisions[row.decision_id]
                if isinstance(row, RewardRow):
                    learner.replace(decision, row.taken, row.units, row.stands_at, row.seq)
                else:
                    learner.absorb(decision, reward_to_fixed(row.reward), row.seq)
        except (NyxError, LookupError, StopIteration) as error:
            at = learner.sums.seq + 1
            return f"the ledger cannot be folded up to row {seq}: {type(error).__name__} at row {at}"
        return None


def _rederived(learner: Learner, decision: Decision) -> str | None:
    """None if the decision comes out the same; otherwise what came out."""
    try:
        context, phi = learner.encoder.encode(decision.context)
        again = learner.choose(
            context, phi, decision.decision_id, decision.eligible, time=decision.time, mode=decision.mode
        )
    except (NyxError, LookupError) as error:
        return f"cannot be re-derived: {type(error).__name__}"
    return None if again == decision else f"re-derived {again.arm_id}, digest {again.digest}"
