"""The bandit as a text that can be stored, and back."""

from __future__ import annotations

from typing import Self

from .. import document
from ..learner import Learner
from .verification import VerificationCalls

__all__ = ["DocumentCalls"]


class DocumentCalls(VerificationCalls):
    """The bandit's calls that write and read it; ``bandit.document`` knows the format."""

    def to_json(self) -> str:
        """The bandit as versioned JSON: spec, decisions, rewards and sums. Equal bandits give equal texts."""
        return document.write(
            document.Content(
                self.spec,
                self.learner.sums,
                self.decisions,
                self.receipts,
                self.outcomes,
                self.rows,
                self.history,
                self.events,
            )
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The bandit that ``to_json`` wrote; it goes on with the same bits.

        Raises
        ------
        DocumentInvalid : not such a document, a newer one, a damaged one, or one that contradicts itself.
        """
        content = document.read(text)
        bandit = cls(content.spec)
        bandit.learner = Learner(content.spec, content.sums)
        bandit.learner.guards.restore(content.events)
        bandit.decisions, bandit.receipts = content.decisions, content.receipts
        bandit.outcomes, bandit.rows = content.outcomes, content.rows
        bandit.history = content.history
        bandit.events = content.events
        for row in content.rows:
            bandit._rows_of.setdefault(row.decision_id, []).append(row)
        bandit._watch, bandit._sentry, problem = bandit._watched_again()
        if problem is not None:
            raise document.damaged(problem)
        return bandit
