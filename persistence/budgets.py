"""Hard budgets: what an execution may use at most is held before it starts, under the lock of the budget.

held + spent ≤ limit at every moment, however many processes there are and whichever of them die: what was
held by an execution that never said what it used stays held until its window ends. (One that used more than
it had declared is taken at its word: that alone can pass the limit, and nothing more is held then.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from ..bandit.guardrails.settings import Budget
from ..errors import BudgetExhausted, InputInvalid
from .queries import Connection, query

__all__ = ["MICRO", "BudgetLeft", "Reservation", "budgets_left", "reserve", "settle"]

MICRO = 1_000_000
"""Amounts are kept in millionths of a unit, as integers."""


class Reservation(NamedTuple):
    """What a decision's execution holds of hard budgets, by name of the budget; in the budgets' units."""

    decision_id: str
    amounts: Mapping[str, float]


class BudgetLeft(NamedTuple):
    """A hard budget in its present window; ``left`` = limit − held − spent, in the budget's unit."""

    name: str
    begins_at: float
    ends_at: float
    held: float
    spent: float
    left: float


async def reserve(
    pool: asyncpg.Pool, bandit: str, decision_id: str, wanted: Sequence[tuple[Budget, float]]
) -> Reservation:
    """Hold these amounts, all or none; again for the same decision, it changes nothing.

    Raises
    ------
    BudgetExhausted : one has not that much left; nothing is held.
    InputInvalid : the decision holds other amounts already.
    """
    ordered = sorted(wanted, key=lambda item: item[0].name)  # so that no two wait for each other
    async with pool.acquire() as connection, connection.transaction():
        now = float(await connection.fetchval(query("server_time")))
        for budget, amount in ordered:
            await _hold(connection, bandit, decision_id, budget, _micro(amount), now)
    return Reservation(decision_id, {budget.name: amount for budget, amount in ordered})


async def _hold(
    connection: Connection, bandit: str, decision_id: str, budget: Budget, amount: int, now: float
) -> None:
    begin, end = budget.window(now)
    await connection.execute(query("open_budget"), bandit, budget.name, begin)
    (row,) = await connection.fetch(query("lock_budget"), bandit, budget.name, begin)
    for known in await connection.fetch(query("reservations"), bandit, decision_id):
        if known["name"] == budget.name:
            if known["amount"] == amount:
                return
            raise InputInvalid(
                f"decision '{decision_id}' holds another amount of budget '{budget.name}'",
                expected=f"{known['amount'] / MICRO:g}, as before",
                found=f"{amount / MICRO:g}",
                fix="reserve once for each decision, the most that its execution may use",
            )
    left = _micro(budget.limit) - row["held"] - row["spent"]
    if amount > left:
        raise BudgetExhausted(
            f"budget '{budget.name}' of bandit '{bandit}' has not that much left",
            expected=f"at most {left / MICRO:g} {budget.metric} until {end:.0f} (seconds since 1970)",
            found=f"{amount / MICRO:g} wanted; of {budget.limit:g}, {row['held'] / MICRO:g} held and "
            f"{row['spent'] / MICRO:g} spent",
            fix="serve the baseline arm, choose an arm that needs less, or wait for the next window",
        )
    await connection.execute(query("hold_budget"), bandit, budget.name, begin, amount)
    await connection.execute(query("add_reservation"), bandit, budget.name, decision_id, begin, amount)


async def settle(pool: asyncpg.Pool, bandit: str, decision_id: str, used: Mapping[str, float]) -> Reservation:
    """Say what an execution has used, by name of the budget; the rest of what it held is free again.

    Returns what it holds no more. Said again, it changes nothing.

    Raises
    ------
    InputInvalid : it holds nothing of one of these budgets, or said another number before.
    """
    async with pool.acquire() as connection, connection.transaction():
        known = {
            row["name"]: row for row in await connection.fetch(query("reservations"), bandit, decision_id)
        }
        missing = sorted(used.keys() - known.keys())
        if missing:
            raise InputInvalid(
                f"decision '{decision_id}' holds nothing of budget '{missing[0]}'",
                expected=f"one of {sorted(known)}",
                found=f"{missing}",
                fix="reserve before the execution starts",
            )
        for name in sorted(used):
            begin = known[name]["begins_at"]
            await connection.fetchrow(query("lock_budget"), bandit, name, begin)
            rows = await connection.fetch(query("reservations"), bandit, decision_id)
            row = next(r for r in rows if r["name"] == name)
            amount = _micro(used[name])
            if row["used"] == amount:
                continue
            if row["used"] is not None:
                raise InputInvalid(
                    f"decision '{decision_id}' said already what it used of budget '{name}'",
                    expected=f"{row['used'] / MICRO:g}, as before",
                    found=f"{used[name]:g}",
                    fix="settle once",
                )
            await connection.execute(query("spend_budget"), bandit, name, begin, row["amount"], amount)
            await connection.execute(query("settle_reservation"), bandit, name, decision_id, amount)
    return Reservation(decision_id, {name: known[name]["amount"] / MICRO for name in sorted(used)})


async def budgets_left(pool: asyncpg.Pool, bandit: str, budgets: Sequence[Budget]) -> list[BudgetLeft]:
    """The hard budgets as they are now, in the order of the spec."""
    now = float(await pool.fetchval(query("server_time")))
    known = {row["name"]: row for row in await pool.fetch(query("budgets"), bandit)}
    found = []
    for budget in budgets:
        begin, end = budget.window(now)
        row = known.get(budget.name)
        held, spent = (0, 0) if row is None or row["begins_at"] != begin else (row["held"], row["spent"])
        left = (_micro(budget.limit) - held - spent) / MICRO
        found.append(BudgetLeft(budget.name, begin, end, held / MICRO, spent / MICRO, left))
    return found


def _micro(amount: float) -> int:
    return round(amount * MICRO)
