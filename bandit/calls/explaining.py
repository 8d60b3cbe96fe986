"""Why a decision came out as it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import document
from ..decision import Decision
from ..learner import Learner, checked_id
from .base import unknown_decision
from .verification import VerificationCalls

if TYPE_CHECKING:
    from ..explaining import Explanation

__all__ = ["ExplainingCalls"]


class ExplainingCalls(VerificationCalls):
    """The bandit's calls about its own decisions; ``docs/how-to/explain.md`` shows them."""

    def explain(self, decision: Decision | str) -> Explanation:
        """Why this arm: what was known of each arm then, the draw, guardrails, and what would change it.

        The ledger is folded anew up to the row that the decision knew: nothing that came later is told, and
        nothing is changed.

        Raises
        ------
        DecisionUnknown : this bandit made no such decision.
        DocumentInvalid : the ledger cannot be folded up to there.
        """
        from ..explaining import explain_decision  # noqa: PLC0415 (loads the compiler)

        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        known = self.decisions.get(key)
        if known is None or (isinstance(decision, Decision) and known != decision):
            raise unknown_decision(self.spec.name, key)
        learner = Learner(self.spec)
        rows = document.in_sequence(self.receipts, self.rows, self.history, self.events)
        problem = self._fold(learner, rows, known.state_seq)
        if problem is not None:
            raise document.damaged(problem)
        return explain_decision(learner, known)
