"""Bulk import: decisions that were made elsewhere, with their rewards, in one transaction.

Lines are copied into a temporary table, a page at a time, while nobody is kept waiting. Then the decisions
whose ids are free are inserted from there, and only then the bandit's row is locked: the rewards get the next
dense numbers, in the order of the lines. A line whose decision is stored must say what is stored; a reward
that the decision lacks is appended as any report would be.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..bandit import Decision
from ..bandit.log import REPORT, RewardRow
from ..bandit.settle import settle
from ..canonical import canonical_json, hashed
from ..errors import DatabaseUnavailable, DecisionConflict, NyxError, RewardTooLate
from ..rewards import Adoption, Outcome, Reward, reference_for
from .queries import Connection, query
from .rows import Row, day_of
from .store import Store

__all__ = ["Import", "Imported", "importing", "staged_record"]

Refuse: TypeAlias = Callable[[int, str, NyxError], None]
"""Is told of a line, its decision id, and why it cannot be written."""

_PAGE = 2000
_LONG_S = 3600.0
_COLUMNS = (
    "line",
    "decision_id",
    "decided_on",
    "spec_hash",
    "encoding",
    "state_seq",
    "decided_at",
    "context",
    "phi",
    "eligible",
    "pmf",
    "arm_id",
    "propensity",
    "epoch",
    "reason",
    "mode",
    "digest",
    "log_propensity",
    "units",
    "reward",
    "outcome",
    "pricing",
    "priced_by",
    "reported_at",
    "before",
    "behind",
)
_LOG_COLUMNS = (
    "bandit",
    "seq",
    "decided_on",
    "kind",
    "decision_id",
    "arm_id",
    "epoch",
    "encoding",
    "phi",
    "propensity",
    "units",
    "reward",
    "outcome",
    "pricing",
    "priced_by",
    "reported_at",
    "digest",
)


@dataclass(slots=True)
class Imported:
    """What an import did: decisions that are new, and those among them whose propensity is unknown; decisions
    that were known; rewards that got numbers (from ``first_seq`` to ``last_seq``; 0 for none).
    """

    decisions: int = 0
    unknown_propensities: int = 0
    known: int = 0
    rewards: int = 0
    first_seq: int = 0
    last_seq: int = 0


def staged_record(line: int, decision: Decision, row: RewardRow | None, encoding: str) -> tuple[Any, ...]:
    """A line as a record of the temporary table; ``row`` : of its reward, without a number, or None."""
    text = decision.spelled()
    reward: tuple[Any, ...] = (None,) * 9
    if row is not None:
        told = row.spelled()
        reward = (
            row.propensity,
            row.units,
            row.reward,
            told.outcome,
            told.pricing,
            row.priced_by,
            row.reported_at,
            told.before,
            told.behind,
        )
    return (
        line,
        decision.decision_id,
        day_of(decision.time),
        decision.spec_hash,
        encoding,
        decision.state_seq,
        decision.time,
        text.context,
        decision.phi,
        decision.eligible,
        decision.pmf,
        decision.arm_id,
        decision.propensity,
        decision.epoch,
        decision.reason,
        decision.mode,
        text.digest,
        *reward,
    )


class Import:
    """One import, inside its transaction."""

    def __init__(self, store: Store, connection: Connection, adopted: Sequence[Adoption], last: int) -> None:
        self._store, self._connection = store, connection
        self.adopted = tuple(adopted)
        """The adoptions of references, which price the import's outcomes."""
        self.state_seq = last
        """Last row of the log before the import."""
        self._last = last
        self._staged = self._last_line = 0

    async def stage(self, records: Sequence[tuple[Any, ...]]) -> None:
        """Copy a page of records; no line comes twice."""
        await self._connection.copy_records_to_table(
            "nyx_import", schema_name="pg_temp", records=records, columns=_COLUMNS, timeout=_LONG_S
        )
        self._staged += len(records)

    async def finish(self, refuse: Refuse) -> Imported:
        """Write what is staged; ``refuse`` is told of each line that cannot be written.

        Raises
        ------
        DatabaseUnavailable : references were adopted meanwhile, which may price outcomes otherwise.
        """
        done = Imported()
        for name in ("order_import", "index_import", "analyze_import"):
            await self._connection.execute(query(name), timeout=_LONG_S)
        await self._decisions(done)
        again = done.decisions < self._staged
        if again:
            await self._known(done)
        seq = await self._store.lock(self._connection)
        if [adoption.seq for adoption in self._store.adopted] != [a.seq for a in self.adopted]:
            raise DatabaseUnavailable(
                "references were adopted while the log was read",
                expected="no adoption meanwhile",
                found=f"row {self._store.adopted[-1].seq}",
                fix="import the log again: nothing was written",
            )
        first = seq + 1
        self._last = seq
        seq = await self._rewards(seq)
        if again:
            seq = await self._again(seq, done, refuse)
        if seq >= first:
            done.rewards, done.first_seq, done.last_seq = seq - first + 1, first, seq
            await self._connection.execute(query("advance_bandit"), self._store.bandit, seq)
        return done

    async def _decisions(self, done: Imported) -> None:
        (staged,) = await self._connection.fetch(query("staged_decisions"))
        self._last_line = staged["last_line"]
        for place in range(0, staged["decisions"], _PAGE):
            (row,) = await self._connection.fetch(
                query("import_decisions"), self._store.bandit, place, place + _PAGE, timeout=_LONG_S
            )
            done.decisions += row["inserted"]
            done.unknown_propensities += row["unknown"]
        if done.decisions:
            await self._connection.execute(query("count_imported"), self._store.bandit, done.decisions)

    async def _rewards(self, seq: int) -> int:
        """Number and append the rewards of new decisions; returns the last number."""
        async for page in self._pages("imported_rewards"):
            records = await asyncio.to_thread(_log_records, self._store.bandit, page, seq)
            await self._connection.copy_records_to_table(
                "log", schema_name="nyx", records=records, columns=_LOG_COLUMNS, timeout=_LONG_S
            )
            seq += len(page)
        return seq

    async def _known(self, done: Imported) -> None:
        """Set aside the lines that say nothing new: that needs no lock, and may be all of a long file."""
        async for page in self._pages("imported_again"):
            decisions, histories = await self._stored(page)
            known = []
            for row in page:
                stored, history = decisions.get(row["decision_id"]), histories.get(row["decision_id"], [])
                if stored is not None and not _differing(stored, row) and _is_told(row, history):
                    known.append(row["line"])
            done.known += len(known)
            await self._connection.execute(query("set_aside"), known)

    async def _again(self, seq: int, done: Imported, refuse: Refuse) -> int:
        """Compare lines with the decisions that are stored, and append the rewards that these lack."""
        async for page in self._pages("imported_again"):
            decisions, histories = await self._stored(page)
            fresh: list[RewardRow] = []
            for row in page:
                key = row["decision_id"]
                try:
                    found = await self._reward_lacking(row, decisions.get(key), histories.get(key, []))
                except NyxError as error:
                    refuse(row["line"], key, error)
                    continue
                if found is None:
                    done.known += 1
                    continue
                seq += 1
                fresh.append(found.numbered(seq))
                histories.setdefault(key, []).append(fresh[-1])
            await self._store.write_rows(self._connection, fresh, decisions)
        return seq

    async def _pages(self, name: str) -> AsyncIterator[list[Any]]:
        for line in range(0, self._last_line, _PAGE):
            if page := await self._connection.fetch(query(name), line, line + _PAGE, timeout=_LONG_S):
                yield page

    async def _stored(self, page: Sequence[Row]) -> tuple[dict[str, Decision], dict[str, list[RewardRow]]]:
        ids = [row["decision_id"] for row in page]
        decisions = await self._store.decisions(ids, self._connection)
        return decisions, await self._store.log.histories(self._connection, ids)

    async def _reward_lacking(
        self, row: Row, stored: Decision | None, history: Sequence[RewardRow]
    ) -> RewardRow | None:
        """The row to append for a line; None where all that it says is stored.

        Raises
        ------
        DecisionConflict, RewardConflict, RewardTooLate : something else is stored.
        """
        if stored is None:
            raise _dropped(row["decision_id"])
        differing = _differing(stored, row)
        if differing:
            raise DecisionConflict(
                f"decision '{stored.decision_id}' is known with other content",
                expected=f"the stored decision: arm '{stored.arm_id}', made at {stored.time}",
                found=f"another {', '.join(differing)}",
                fix="give different choices different ids, or remove the line",
            )
        if _is_told(row, history):
            return None
        store = self._store
        spec = await store.spec(stored.spec_hash, self._connection) or store.own_spec
        references = reference_for(self.adopted, stored.state_seq, now_seq=self._last)
        outcome = None if row["outcome"] is None else Outcome.from_dict(json.loads(row["outcome"]))
        priced = Reward.from_dict(json.loads(row["pricing"]))
        draft = RewardRow.of(
            stored, spec.encoding, priced, outcome, row["reported_at"], priced_by=store.own_spec.spec_hash
        )
        found = settle(draft, history, stored, store.own_spec, references)
        return None if found.seq else found


def _log_records(bandit: str, page: Sequence[Row], last: int) -> list[tuple[Any, ...]]:
    """Records of ``nyx.log``, numbered behind ``last``."""
    records = []
    for seq, row in enumerate(page, start=last + 1):
        told = (row["log_propensity" if name == "propensity" else name] for name in _LOG_COLUMNS[4:-1])
        records.append(
            (bandit, seq, row["decided_on"], REPORT, *told, hashed(f"{row['before']}{seq}{row['behind']}"))
        )
    return records


def _differing(stored: Decision, row: Row) -> list[str]:
    """What a line says otherwise than the stored decision; what it leaves out does not differ."""
    told = {name: value for name, value in json.loads(row["context"]).items() if value is not None}
    known = {name: value for name, value in stored.context.items() if value is not None}
    eligible = None if row["eligible"] is None else tuple(row["eligible"])
    checks = {
        "context": canonical_json(told) == canonical_json(known),
        "arm": row["arm_id"] == stored.arm_id,
        "propensity": row["propensity"] == stored.propensity,
        "time": row["decided_at"] == stored.time,
        "eligibility": eligible in (None, stored.eligible),
    }
    return [name for name, same in checks.items() if not same]


def _is_told(row: Row, history: Sequence[RewardRow]) -> bool:
    """Tell whether a line has no reward, or the one that counts."""
    return row["units"] is None or (bool(history) and history[-1].reward == row["reward"])


def _dropped(decision_id: str) -> RewardTooLate:
    return RewardTooLate(
        f"decision '{decision_id}' was dropped by retention",
        expected="a decision that is stored, or an id that was never used",
        found="an id that is taken, and no decision behind it",
        fix="remove the line: what the decision taught is kept in the sums",
    )


@asynccontextmanager
async def importing(store: Store) -> AsyncIterator[Import]:
    """An import in a transaction of its own: committed behind the block, undone where that raises."""
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute(query("no_time_limits"))
        await connection.execute(query("stage_import"))
        adopted = await store.log.adoptions(connection)
        yield Import(store, connection, adopted, await store.log.last_seq(connection))
