"""Trends of what the log has recorded: rows are read when somebody asks, and analysed in a thread."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Mapping, Sequence
from typing import Any

from ..bandit.log import LogRow, RewardRow
from ..errors import InputInvalid, shown
from ..features.trends import METRICS, Trend, TrendRow, analyze_trends
from ..persistence.database import reaching
from ..persistence.store import Store

__all__ = ["MOST_ROWS", "analyze_performance_trends", "trend_row"]

MOST_ROWS = 50_000
"""Rows that are looked at: the newest ones."""

_PAGE = 2000
_LONGEST_S = 1e10


async def analyze_performance_trends(
    store: Store,
    time_window: float | None,
    metrics: Sequence[str] | None,
    bucket_s: float | None,
    steps: int,
    coverage: float,
) -> tuple[Trend, ...]:
    """``LearningEngine.analyze_performance_trends``."""
    if time_window is not None:
        number = isinstance(time_window, (int, float)) and not isinstance(time_window, bool)
        if not number or not 0.0 < time_window < _LONGEST_S:
            raise InputInvalid(
                "the time window is unusable",
                expected="a positive number of seconds, or None for all",
                found=shown(time_window),
                fix="for example time_window=7 * 86400",
            )
    wanted = METRICS if metrics is None else tuple(metrics)
    # Bad input is refused before the log is read.
    analyze_trends([], wanted, bucket_s=bucket_s, steps=steps, coverage=coverage)
    since = None if time_window is None else clock.time() - time_window
    rows: list[TrendRow] = []
    with reaching():
        last = await store.log.last_seq()
        seq = max(0, last - MOST_ROWS)
        while seq < last:
            page = await store.log.after(seq, min(_PAGE, last - seq))
            if not page:
                break
            found = (trend_row(row) for row, _ in page)
            rows += [row for row in found if row is not None and (since is None or row.time >= since)]
            seq = page[-1][0].seq
    return await asyncio.to_thread(
        analyze_trends, rows, wanted, bucket_s=bucket_s, steps=steps, coverage=coverage
    )


def trend_row(row: LogRow) -> TrendRow | None:
    """What a decision's first contribution measured; None for other rows, and for rows without a time."""
    if (
        not isinstance(row, RewardRow)
        or row.units is None
        or row.taken is not None
        or row.reported_at is None
    ):
        return None
    outcome: Mapping[str, Any] = row.outcome or {}
    metrics: dict[str, float | None] = {"reward": row.reward, "success": _number(outcome.get("success"))}
    components = row.pricing.get("components")
    for name in ("quality", "usefulness"):
        metrics[name] = _number(components.get(name)) if isinstance(components, Mapping) else None
    for name in ("duration_s", "cost", "retries"):
        metrics[name] = _number(outcome.get(name))
    metrics["errors"] = float(len(outcome.get("error_codes") or ())) if outcome else None
    tokens = [_number(outcome.get(name)) for name in ("input_tokens", "output_tokens")]
    whole = _number(outcome.get("tokens"))
    known = [t for t in tokens if t is not None]
    metrics["tokens"] = sum(known) if whole is None and known else whole
    return TrendRow(row.reported_at, metrics)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
