"""The guardrails that were in force for a decision, and which of them acted."""

from __future__ import annotations

from ..decision import GUARDED, Decision
from ..guardrails.acting import Rules
from ..learner import Learner
from .explanation import GuardrailView

__all__ = ["guardrail_views"]


def guardrail_views(learner: Learner, decision: Decision, rules: Rules) -> tuple[GuardrailView, ...]:
    """Orders first, in the order of their rows; then breakers, budgets, and the share of service."""
    guards = learner.guards
    head, _, tail = decision.reason.partition(":")
    acted = set(tail.split(",")) if head == GUARDED else {head}
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
        for order in guards.in_force(decision.time)
    ]
    for name, tripped in guards.tripped.items():
        found.append(GuardrailView("breaker", (name,), "breaker" in acted, until=tripped.until))
    for budget, (arms, until) in guards.spent.items():
        if until is None or decision.time is None or decision.time < until:
            reason = f"budget '{budget}' is used up"
            found.append(GuardrailView("budget", arms, "budget" in acted, reason=reason, until=until))
    if rules.share is not None:
        reason = f"the learner serves {rules.share / 2**32:.0%} of decisions, the baseline arm the rest"
        found.append(GuardrailView("service", (), "service" in acted, reason=reason))
    return tuple(found)
