"""Executions as the log tells them: read when somebody asks, as they were corrected."""

from __future__ import annotations

import asyncio
import json
import math
import time as clock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

from ..bandit import ArmTable, BanditSpec
from ..bandit.choice import TOTAL
from ..bandit.events import EPOCH, EventRow
from ..bandit.settle import current_outcome
from ..errors import ArmUnknown
from ..insights.executed import Executed
from ..insights.failures import Change
from ..persistence.database import reaching
from ..persistence.executions import ExecutionRow, recorded_executions
from ..persistence.queries import query
from ..persistence.rows import log_row_from
from ..persistence.store import Store

__all__ = [
    "MOST_ROWS",
    "executions_of",
    "read_agents",
    "read_changes",
    "read_executions",
    "strategy_of",
    "with_agents",
]

MOST_ROWS = 50_000
"""Rows of the log that are looked at: the newest ones, and all others about the same decisions."""

_CHOSEN = ("policy", "guarded", "only_arm", "imported")
_PAGE = 500


async def read_executions(
    store: Store, window_s: float | None = None, last: int | None = None
) -> list[Executed]:
    """The executions that the newest rows tell of, in the order of their reports.

    window_s : back from now, by the time of the report. last : number of the log's last row, where it is
    known; what came behind it is left out.
    """
    since = None if window_s is None else clock.time() - window_s
    rows: list[Any] = []
    with reaching():
        last = await store.log.last_seq() if last is None else last
        behind = max(0, last - MOST_ROWS)
        async with store.pool.acquire() as connection, connection.transaction(readonly=True):
            listed = connection.cursor(query("reported_executions"), store.bandit, behind, prefetch=_PAGE)
            async for row in listed:
                if row["seq"] <= last:
                    rows.append(row)  # noqa: PERF401 - a comprehension over a cursor holds the loop no less
    specs = {}
    for key in {row["spec_hash"] for row in rows}:
        spec = await store.spec(key)
        if spec is not None:
            specs[key] = spec
    found = await asyncio.to_thread(executions_of, rows, store.own_spec, specs)
    return [e for e in found if since is None or (e.time is not None and e.time >= since)]


async def read_agents(store: Store, window_s: float | None, rows: list[Executed]) -> list[Executed]:
    """The executions, with the agents that reported them; and those that agents reported by themselves."""
    since = -math.inf if window_s is None else clock.time() - window_s
    with reaching():
        recorded = await recorded_executions(store.pool, store.bandit, since, MOST_ROWS)
    return await asyncio.to_thread(with_agents, rows, recorded)


def with_agents(rows: Sequence[Executed], recorded: Sequence[ExecutionRow]) -> list[Executed]:
    """Executions of decisions with what agents said of them, and behind these the agents' other ones."""
    known = {e.execution_id for e in rows}
    by_decision = {r.decision_id: r for r in recorded if r.decision_id in known}
    found = []
    for e in rows:
        row = by_decision.get(e.execution_id)
        found.append(
            e if row is None else replace(e, agent_id=row.agent_id, agent_type=row.agent_type or e.agent_type)
        )
    return found + [_reported(row) for row in recorded if row.decision_id not in known]


def _reported(row: ExecutionRow) -> Executed:
    told = row.result
    names = ("success", "reward", "duration_s", "cost", "retries")
    return Executed(
        row.execution_id,
        told.get("strategy") or "",
        told.get("parameters") or {},
        {name: value for name, value in (told.get("context") or {}).items() if value is not None},
        timed_out=bool(told.get("timed_out")),
        error_codes=tuple(told.get("error_codes") or ()),
        time=row.reported_at,
        agent_id=row.agent_id,
        agent_type=row.agent_type,
        **{name: told.get(name) for name in names},
    )


async def read_changes(store: Store) -> list[Change]:
    """What could have ended or begun a failure: epochs, guardrails, overrides and further specs."""
    with reaching():
        rows = await store.pool.fetch(query("changes_of_bandit"), store.bandit)
    found = []
    for row in rows:
        document = json.loads(row["pricing"])
        if row["kind"] == "spec":
            found.append(Change("spec", f"spec {document['spec_hash'][:8]}", None, float(row["time"])))
            continue
        event = EventRow.from_dict(row["bandit"], row["seq"], document, row["time"])
        kind: Literal["epoch", "guardrail", "override"] = "epoch" if event.kind == EPOCH else "guardrail"
        kind = "override" if event.monitor == "person" else kind
        what = f"{event.subject} began anew" if kind == "epoch" else f"{kind} {event.subject}"
        found.append(Change(kind, f"{what} (row {event.seq})", event.seq, row["time"]))
    return found


def executions_of(
    rows: Iterable[Any], spec: BanditSpec, specs: Mapping[str, BanditSpec] | None = None
) -> list[Executed]:
    """One execution of each decision that counts: its outcome as corrected, in the order of the reports.

    rows : of ``reported_executions``. Decisions whose report was retracted, has expired or is not complete
    yet are left out; an arm that the spec no longer has stands without parameters. specs : by hash, those
    that decided; decisions of others have no chances. By default ``spec`` alone.
    """
    specs = {spec.spec_hash: spec} if specs is None else specs
    found: list[tuple[int, Executed]] = []
    chosen = _Chances(specs)
    for decision_id, listed in groupby(rows, key=lambda row: row["decision_id"]):
        group = list(listed)
        history = [log_row_from(row) for row in group]
        last, outcome = history[-1], current_outcome(history, spec)
        if last.reward is None or (outcome is None and any(row.outcome is not None for row in history)):
            continue
        strategy, parameters = arm_of(spec, last.arm_id)
        told: dict[str, Any] = {}
        if outcome is not None:
            told = {
                "success": outcome.success,
                "duration_s": outcome.duration_s,
                "cost": outcome.cost,
                "timed_out": outcome.timed_out,
                "error_codes": outcome.error_codes,
                "retries": None if outcome.retries is None else float(outcome.retries),
                "agent_type": outcome.agent_type,
            }
        context = json.loads(group[0]["context"])
        propensity, chances = chosen.of(group[0])
        execution = Executed(
            decision_id,
            strategy,
            parameters,
            {name: value for name, value in context.items() if value is not None},
            reward=last.reward,
            time=history[0].reported_at,
            arm_id=last.arm_id,
            propensity=propensity,
            chances=chances,
            seq=history[0].seq,
            **told,
        )
        found.append((history[0].seq, execution))
    return [execution for _, execution in sorted(found, key=lambda pair: pair[0])]


def arm_of(spec: BanditSpec, arm_id: str) -> tuple[str, dict[str, Any]]:
    """Strategy and parameters of an arm; without these where the spec no longer has it."""
    try:
        arm = spec.arms.locate(arm_id)[1]
    except ArmUnknown:
        return arm_id.partition("(")[0], {}
    return arm.strategy, dict(arm.parameters)


def strategy_of(spec: BanditSpec, arm_id: str) -> str:
    """Strategy of an arm."""
    return arm_of(spec, arm_id)[0]


class _Chances:
    """What the policy could have chosen, as decisions tell it."""

    def __init__(self, specs: Mapping[str, BanditSpec]) -> None:
        self._arms = {key: spec.arms.ids for key, spec in specs.items() if isinstance(spec.arms, ArmTable)}

    def of(self, row: Any) -> tuple[float | None, dict[str, float] | None]:
        """Propensity and chances; None where the policy did not choose, or where they are unknown."""
        if not row["reason"].startswith(_CHOSEN):
            return None, None
        logged, arms = row["propensity"] or None, self._arms.get(row["spec_hash"])
        if arms is None or len(row["pmf"]) != len(arms):
            return logged, None
        chances = {arm: mass / TOTAL for arm, mass in zip(arms, row["pmf"], strict=True) if mass}
        # Within the stage that draws the arm: shares of cohorts are no part of the policy's choice.
        own = chances.get(row["arm_id"])
        return (logged, None) if own is None else (own, chances)
