"""The anomalies that monitors wrote to the log, and a baseline for executions that are not in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..errors import InputInvalid, shown
from ..features.monitors import Anomaly, BaselineMetrics, PerformanceMetrics
from ..persistence.database import reaching
from ..persistence.queries import query
from ..persistence.store import Store

__all__ = ["FoundAnomaly", "list_anomalies", "performance_baseline"]

_MOST = 100_000
_BASELINE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class FoundAnomaly:
    """An anomaly of the log.

    seq : number of its event. row : number of the row with the execution. arm_id : what was executed.
    time : of that row, in seconds since 1970; None where nobody told it. alert : it was sent as an alert;
    False where the day's budget held it back.
    """

    seq: int
    row: int
    arm_id: str
    anomaly: Anomaly
    time: float | None
    alert: bool

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        document = {name: getattr(self, name) for name in ("seq", "row", "arm_id", "time", "alert")}
        return {**document, "anomaly": self.anomaly.to_dict()}


async def list_anomalies(
    store: Store, limit: object, before: int | None, arm: str | None
) -> list[FoundAnomaly]:
    """``LearningEngine.anomalies``."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST:
        raise InputInvalid(
            "so many anomalies cannot be listed",
            expected=f"a whole number from 1 to {_MOST}",
            found=shown(limit),
            fix="read them in pages: before= the number of the last one's event",
        )
    with reaching():
        rows = await store.pool.fetch(query("newest_anomalies"), store.bandit, before, arm, limit)
    found = []
    for row in rows:
        event = json.loads(row["pricing"])
        evidence, sent = event["evidence"], event["consequence"]["alert"] == "sent"
        anomaly = Anomaly.from_dict(evidence)
        found.append(
            FoundAnomaly(row["seq"], event["cause"], event["subject"], anomaly, evidence.get("time"), sent)
        )
    return found


async def performance_baseline(store: Store, arm: str | None) -> BaselineMetrics:
    """What the newest 1,000 reports of the log, or of one arm, let expect of a further execution."""
    with reaching():
        rows = await store.pool.fetch(query("newest_outcomes"), store.bandit, arm, _BASELINE_ROWS)
    return BaselineMetrics.from_history(
        PerformanceMetrics.from_outcome(json.loads(row["outcome"])) for row in rows
    )
