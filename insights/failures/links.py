"""What an error goes with: arms, parameters, contexts, agents, times, load where it is over-represented."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..columns import codes_of
from ..evidence import adjusted, hypergeometric_tail
from ..executed import Executed, Plain

__all__ = ["Link", "links"]

Kind = Literal["strategy", "parameter", "context", "agent", "hour", "weekday", "load"]
_VALUES_MAX = 12
_BLOCKS = ("0-5", "6-11", "12-17", "18-23")
_DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")  # 1 Jan 1970 first


@dataclass(frozen=True, slots=True)
class Link:
    """Executions of this kind have the pattern more often than the others.

    together : executions of this kind that have it. of : executions of this kind. elsewhere : share of the
    others that have it. lift : share here over share among all. p : Fisher's, one-sided. q : among all that
    was asked. It says what to look at, not what the cause is.
    """

    kind: Kind
    name: str
    value: str
    together: int
    of: int
    elsewhere: float
    lift: float
    p: float
    q: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def links(
    executions: Sequence[Executed], patterns: Sequence[Sequence[int]], min_occurrences: int, rate: float
) -> list[tuple[Link, ...]]:
    """For each pattern, given by its executions, what it goes with; the strongest evidence first."""
    labels, masks = _factors(executions)
    if not patterns or not labels:
        return [() for _ in patterns]
    has = np.zeros((len(executions), len(patterns)))
    for j, inside in enumerate(patterns):
        has[list(inside), j] = 1.0
    together = (masks @ has).astype(np.int64)
    sizes, whole, n = masks.sum(axis=1).astype(np.int64), has.sum(axis=0).astype(np.int64), len(executions)
    asked, p_values = [], []
    for i, j in np.argwhere(together >= min_occurrences).tolist():
        k, of, drawn = int(together[i, j]), int(sizes[i]), int(whole[j])
        if k * n > of * drawn:
            asked.append((i, j))
            p_values.append(hypergeometric_tail(k, drawn, of, n))
    found: list[list[Link]] = [[] for _ in patterns]
    for (i, j), p, q in zip(asked, p_values, adjusted(p_values, together.size), strict=True):
        if q <= rate:
            k, of, drawn = int(together[i, j]), int(sizes[i]), int(whole[j])
            kind, name, value = labels[i]
            elsewhere = (drawn - k) / (n - of)
            found[j].append(Link(kind, name, value, k, of, elsewhere, k * n / (of * drawn), p, q))
    return [tuple(sorted(listed, key=lambda x: (x.p, x.kind, x.name, x.value))) for listed in found]


def _factors(
    executions: Sequence[Executed],
) -> tuple[list[tuple[Kind, str, str]], npt.NDArray[np.float64]]:
    """Each value of each property that some executions have and others do not, with the rows that have it."""
    columns: dict[tuple[Kind, str], list[Plain | None]] = {}

    def put(kind: Kind, name: str, row: int, value: Plain) -> None:
        column = columns.get((kind, name))
        if column is None:
            column = columns[kind, name] = [None] * len(executions)
        column[row] = value

    hours = [None if e.time is None or not math.isfinite(e.time) else e.time // 3600.0 for e in executions]
    counts = Counter(hour for hour in hours if hour is not None)
    middle = median(counts.values()) if counts else 0.0
    for row, e in enumerate(executions):
        put("strategy", "strategy", row, e.strategy)
        for name, value in e.parameters.items():
            put("parameter", name, row, value)
        for name, value in e.context.items():
            put("context", name, row, value)
        if e.agent_type is not None:
            put("agent", "agent_type", row, e.agent_type)
        hour = hours[row]
        if e.time is not None and hour is not None:
            side = ">" if counts[hour] > middle else "<="
            put("load", "executions in the hour", row, f"{side} {middle:g}")
            put("hour", "hour (UTC)", row, _BLOCKS[int(e.time % 86_400) // 21_600])
            put("weekday", "weekday (UTC)", row, _DAYS[int(e.time // 86_400) % 7])
    labels: list[tuple[Kind, str, str]] = []
    masks: list[npt.NDArray[np.bool_]] = []
    for (kind, name), values in sorted(columns.items()):
        for value, mask in _split(values):
            if 0 < int(mask.sum()) < len(mask):
                labels.append((kind, name, value))
                masks.append(mask)
    return labels, np.array(masks, dtype=np.float64)


def _split(values: Sequence[Plain | None]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """One group for each value; numbers of many values are cut at their median."""
    known = [v for v in values if v is not None]
    numbers = [float(v) for v in known if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) == len(known) and len(set(numbers)) > _VALUES_MAX:
        middle = median(numbers)
        column = np.array([math.nan if v is None else float(v) for v in values])
        return [(f"> {middle:g}", column > middle), (f"<= {middle:g}", column <= middle)]
    found = codes_of([None if v is None else str(v) for v in values])
    return [(label, found.code == i) for i, label in enumerate(found.labels)]
