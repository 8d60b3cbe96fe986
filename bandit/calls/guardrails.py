"""Overrule, limit and switch off the learner: overrides."""

from __future__ import annotations

from collections.abc import Iterable

from ..guardrails import Override, revocation
from ..guardrails.override import arm_names
from ..learner import checked_time
from .base import Ledger

__all__ = ["GuardrailCalls"]


class GuardrailCalls(Ledger):
    """The bandit's calls about guardrails; ``docs/how-to/guardrails.md`` shows them."""

    def override(
        self,
        rule: str,
        arms: Iterable[str] | str = (),
        *,
        author: str,
        reason: str,
        share: float | None = None,
        rows: int | None = None,
        until: float | None = None,
        time: float | None = None,
    ) -> Override:
        """Order a guardrail; it holds for the decisions behind its row, until it expires or is revoked.

        >>> from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
        >>> bandit = Bandit(BanditSpec("demo", [Strategy("a"), Strategy("b")], policy=PolicySpec("uniform")))
        >>> order = bandit.override("cap", "b", share=0.125, author="ada", reason="b is dear")
        >>> decision = bandit.select_arm({})
        >>> [mass / 2**32 for mass in decision.pmf], decision.reason
        ([0.875, 0.125], 'guarded:cap')

        Parameters
        ----------
        rule, arms, share, rows, until : see ``guardrails.Override``.
        author, reason : who orders it, and why; kept in the row.
        time : now, in seconds since 1970; None without a clock, and then nothing expires.

        Raises
        ------
        InputInvalid, ArmUnknown, GuardrailConflict : it does not fit; nothing has changed.
        """
        now = checked_time(time)
        override = Override(rule, arm_names(arms, self.spec), author, reason, share, rows, until, now)
        self.learner.guards.check(override, now)
        return override.numbered(self._order(override.draft(self.spec.name, self.spec.spec_hash)))

    def revoke(self, seq: int, *, author: str, reason: str, time: float | None = None) -> Override:
        """End an override, by the number of its row.

        Raises
        ------
        InputInvalid : none of this number is in force.
        """
        now = checked_time(time)
        known = self.learner.guards.check_revocation(seq, now)
        self._order(revocation(self.spec.name, self.spec.spec_hash, seq, author, reason, now))
        return known

    def overrides(self, time: float | None = None) -> list[Override]:
        """Those in force at a time; without one, nothing has expired."""
        return self.learner.guards.in_force(checked_time(time))
