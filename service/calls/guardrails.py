"""Overrule, limit and switch off the learner: overrides and budgets."""

from __future__ import annotations

from collections.abc import Iterable

from ...bandit import Decision
from ...bandit.guardrails import Override
from ...persistence.budgets import BudgetLeft, Reservation
from ..budgeting import hard_budgets_left, reserve_maximum, settle_used
from ..guarding import list_overrides, order_override, revoke_override
from .base import OpenParts

__all__ = ["GuardrailCalls"]


class GuardrailCalls(OpenParts):
    """The engine's calls about guardrails; ``docs/how-to/guardrails.md`` shows them."""

    async def override(
        self,
        rule: str,
        arms: Iterable[str] | str = (),
        *,
        author: str,
        reason: str,
        share: float | None = None,
        rows: int | None = None,
        until: float | None = None,
    ) -> Override:
        """Order a guardrail: a numbered row of the log, which every process obeys once it has learned it.

        It acts on the pmf before the draw, so that propensities stay exact. See
        ``docs/how-to/guardrails.md``.

        Parameters
        ----------
        rule : ``pin``, ``exclude``, ``pause``, ``retire``, ``cap``, ``ramp``, ``kill_switch``, ``shadow`` or
            ``freeze``.
        arms : arm ids or strategy names; none for the last three.
        author, reason : who orders it, and why; kept in the row.
        share : of ``cap``, and what ``ramp`` begins with. rows : of ``ramp``.
        until : it expires then, in seconds since 1970; by default never.

        Raises
        ------
        InputInvalid, ArmUnknown, GuardrailConflict : it does not fit; nothing was written.
        DatabaseUnavailable : an order that is not in the log is none.
        """
        self._check_open()
        return await order_override(
            self._store,
            self._replica,
            self.spec,
            rule,
            arms,
            author=author,
            reason=reason,
            share=share,
            rows=rows,
            until=until,
        )

    async def revoke(self, seq: int, *, author: str, reason: str) -> Override:
        """End an override, by the number of its row. Again, by the same author for the same reason, it
        changes nothing.

        Raises
        ------
        InputInvalid : none of this number is in force; nothing was written.
        """
        self._check_open()
        return await revoke_override(self._store, self._replica, self.spec, seq, author=author, reason=reason)

    async def overrides(self, *, expired: bool = False) -> list[Override]:
        """The overrides in force, in the order of their rows; ``expired`` : also those that have expired."""
        self._check_open()
        return await list_overrides(self._store, self.spec, expired=expired)

    async def reserve(self, decision: Decision | str, /, **maximum: float) -> Reservation:
        """Hold what an execution may use at most of the spec's hard budgets, before it starts.

        ``maximum`` : by metric, such as ``cost=0.5``. All or nothing; again, it changes nothing. What is held
        counts in full until ``settle``, or until the window ends.

        Raises
        ------
        BudgetExhausted : not that much is left; nothing is held.
        InputInvalid : a metric of no hard budget, one that is missing, or other amounts than before.
        DatabaseUnavailable : nothing can be held while the database is away.
        """
        self._check_open()
        return await reserve_maximum(self._store, self.spec, decision, maximum)

    async def settle(self, decision: Decision | str, /, **used: float) -> Reservation:
        """Say what an execution has used; the rest of what it held is free again. Again, it changes nothing.

        Raises
        ------
        InputInvalid : it holds nothing, or said another number before.
        """
        self._check_open()
        return await settle_used(self._store, self.spec, decision, used)

    async def budgets(self) -> list[BudgetLeft]:
        """The spec's hard budgets in their present windows: held, spent, and left."""
        self._check_open()
        return await hard_budgets_left(self._store, self.spec)
