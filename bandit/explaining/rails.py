"""The guardrails that were in force for a decision, and which of them acted."""

from __future__ import annotations

from collections.abc import Collection

from ..choice import TOTAL
from ..decision import GUARDED
from ..guardrails.acting import Rules
from ..learner import Learner
from .explanation import GuardrailView

__all__ = ["acted_by", "rails_in_force"]


def acted_by(reason: str) -> set[str]:
    """Which rules a decision's reason names."""
    head, _, tail = reason.partition(":")
    return set(tail.split(",")) if head == GUARDED else {head}


def rails_in_force(
    learner: Learner, time: float | None, rules: Rules, acted: Collection[str]
) -> tuple[GuardrailView, ...]:
    """Orders first, in the order of their rows; then breakers, budgets, and the share of service."""
    guards = learner.guards
    found = [
        GuardrailView(
            order.rule,
            order.arms,
            order.rule in acted,
            order.seq,
            order.author,
            order.reason,
            order.until,
        )
        for order in guards.in_force(time)
    ]
    for name, tripped in guards.tripped.items():
        found.append(GuardrailView("breaker", (name,), "breaker" in acted, until=tripped.until))
    for budget, (arms, until) in guards.spent.items():
        if until is None or time is None or time < until:
            reason = f"budget '{budget}' is used up"
            found.append(GuardrailView("budget", arms, "budget" in acted, reason=reason, until=until))
    if rules.share is not None:
        reason = f"the learner serves {rules.share / TOTAL:.0%} of decisions, the baseline arm the rest"
        found.append(GuardrailView("service", (), "service" in acted, reason=reason))
    return tuple(found)
