"""What the log does not take, and the database keeps: decisions made apart, and reports that were refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..bandit import BanditSpec, Decision
from ..canonical import canonical_json, digest
from ..errors import NyxError
from .queries import query
from .store import Store

__all__ = ["Conflicts", "Unlearned"]


@dataclass(frozen=True, slots=True)
class Unlearned:
    """A report that is stored and not learned from: ``code`` and ``message`` of the error say why.

    ``report`` : what was told, as the spool had it. ``reported_at`` : seconds since 1970.
    """

    decision_id: str
    code: str
    message: str
    report: Mapping[str, Any]
    reported_at: float | None


class Conflicts:
    """The tables ``nyx.conflict`` and ``nyx.unlearned`` of one bandit; the same row again changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store, self._pool, self._bandit = store, store.pool, store.bandit

    async def know(self, spec: BanditSpec) -> None:
        """Store a spec of this bandit that made decisions elsewhere; a no-op when it is there."""
        if await self._store.spec(spec.spec_hash) is None:
            document = json.dumps(spec.to_dict())
            await self._pool.execute(query("register_spec"), self._bandit, spec.spec_hash, document)

    async def note_decision(self, decision: Decision) -> None:
        """Keep a decision that is not the one stored under its id."""
        document = canonical_json(decision.to_dict())
        await self._pool.execute(
            query("note_conflict"), self._bandit, decision.decision_id, decision.digest, document
        )

    async def has_decision(self, decision: Decision) -> bool:
        """Tell whether this decision was kept so."""
        found = await self._pool.fetchval(
            query("is_conflict"), self._bandit, decision.decision_id, decision.digest
        )
        return bool(found)

    async def note_report(self, key: str, report: Mapping[str, Any], error: NyxError) -> None:
        """Keep a report that the log refused."""
        await self._pool.execute(
            query("note_unlearned"),
            self._bandit,
            key,
            digest(dict(report)),
            error.code,
            f"{error.what}; {error.found}"[:500],
            canonical_json(dict(report)),
            report.get("time"),
        )

    async def reports(self, limit: int) -> list[Unlearned]:
        """The reports that were kept so, the latest first."""
        return [
            Unlearned(
                row["decision_id"],
                row["code"],
                row["message"],
                json.loads(row["report"]),
                row["reported_at"],
            )
            for row in await self._pool.fetch(query("unlearned"), self._bandit, limit)
        ]

    async def counts(self) -> tuple[int, int]:
        """How many decisions and how many reports were kept so."""
        ((conflicts, unlearned),) = await self._pool.fetch(query("unlearned_counts"), self._bandit)
        return int(conflicts), int(unlearned)
