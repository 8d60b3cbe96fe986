"""Reservations of hard budgets, by metric: what the caller knows of an execution before it starts."""

from __future__ import annotations

from collections.abc import Mapping

from ..bandit import BanditSpec, Decision
from ..bandit.guardrails.settings import Budget
from ..bandit.learner import checked_id
from ..errors import InputInvalid, shown
from ..persistence.budgets import BudgetLeft, Reservation, budgets_left, reserve, settle
from ..persistence.database import reaching
from ..persistence.store import Store

__all__ = ["hard_budgets_left", "reserve_maximum", "settle_used"]

_MOST = 1e12


async def reserve_maximum(
    store: Store, spec: BanditSpec, decision: Decision | str, maximum: Mapping[str, float]
) -> Reservation:
    """``LearningEngine.reserve``."""
    wanted = [(budget, maximum[budget.metric]) for budget in _of(spec, maximum)]
    with reaching():
        return await reserve(store.pool, spec.name, _key(decision), wanted)


async def settle_used(
    store: Store, spec: BanditSpec, decision: Decision | str, used: Mapping[str, float]
) -> Reservation:
    """``LearningEngine.settle``."""
    by_name = {budget.name: used[budget.metric] for budget in _of(spec, used)}
    with reaching():
        return await settle(store.pool, spec.name, _key(decision), by_name)


async def hard_budgets_left(store: Store, spec: BanditSpec) -> list[BudgetLeft]:
    """``LearningEngine.budgets``."""
    with reaching():
        return await budgets_left(store.pool, spec.name, _hard(spec))


def _hard(spec: BanditSpec) -> list[Budget]:
    return [] if spec.guardrails is None else [budget for budget in spec.guardrails.budgets if budget.hard]


def _of(spec: BanditSpec, amounts: Mapping[str, float]) -> list[Budget]:
    """The hard budgets of these metrics; ``InputInvalid`` where an amount or a budget is missing."""
    hard = _hard(spec)
    for metric, amount in amounts.items():
        number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
        if not number or not 0.0 <= amount <= _MOST:
            raise InputInvalid(
                f"the amount of {metric} is unusable",
                expected=f"a number from 0 to {_MOST:g}",
                found=shown(amount),
                fix=f"pass for example {metric}=0.5",
            )
        if not any(budget.metric == metric for budget in hard):
            raise _no_budget(spec, metric, hard)
    missing = [budget for budget in hard if budget.metric not in amounts]
    if missing:
        raise _no_budget(spec, missing[0].metric, hard, given=False)
    return hard


def _no_budget(spec: BanditSpec, metric: str, hard: list[Budget], *, given: bool = True) -> InputInvalid:
    what = "no hard budget is about" if given else "nothing is said of"
    return InputInvalid(
        f"{what} {metric}",
        expected=f"each of {sorted({b.metric for b in hard})}"
        if hard
        else "a spec with a Budget(…, hard=True)",
        found=f"{metric} " + ("given" if given else "missing") + f", for bandit '{spec.name}'",
        fix="name the amount of each metric that a hard budget of the spec is about",
    )


def _key(decision: Decision | str) -> str:
    return decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
