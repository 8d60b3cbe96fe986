"""What may go with a failure: properties of executions, as columns of levels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..columns import codes_of
from ..executed import Executed, Plain

__all__ = ["Kind", "Property", "properties_of"]

Kind = Literal["strategy", "parameter", "context", "agent", "hour", "weekday", "load", "error"]
Integers = npt.NDArray[np.int64]

_VALUES_MAX = 12
_BLOCKS = ("0-5", "6-11", "12-17", "18-23")
_DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")  # 1 Jan 1970 first
_BANDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Property:
    """A property of n executions.

    values : what is looked for. code (n,) : number of each execution's value, −1 for none. band (n,) : the
    same more finely where numbers are cut in two: eighths; what one adjusts for.
    """

    kind: Kind
    name: str
    values: tuple[str, ...]
    code: Integers
    band: Integers

    @property
    def sizes(self) -> Integers:
        """Executions with each value."""
        return np.bincount(self.code + 1, minlength=len(self.values) + 1)[1:]

    @property
    def varying(self) -> int:
        """How many values some executions have, and others do not."""
        sizes = self.sizes
        return int(((sizes > 0) & (sizes < len(self.code))).sum())

    @property
    def partial(self) -> bool:
        """Some executions cannot have it, as a parameter that only one strategy has."""
        return self.kind == "parameter" and bool((self.code < 0).any())


def properties_of(executions: Sequence[Executed]) -> list[Property]:
    """Every property; by kind and name. Numbers of more than 12 values are cut at their median."""
    columns: dict[tuple[Kind, str], list[Plain | None]] = {
        ("strategy", "strategy"): [e.strategy for e in executions],
        ("agent", "agent_type"): [e.agent_type for e in executions],
    }
    for kind, mappings in (
        ("parameter", [e.parameters for e in executions]),
        ("context", [e.context for e in executions]),
    ):
        for name in dict.fromkeys(name for mapping in mappings for name in mapping):
            columns[kind, name] = [mapping.get(name) for mapping in mappings]  # type: ignore[index]
    times = [e.time if e.time is not None and math.isfinite(e.time) else None for e in executions]
    hours = [None if t is None else t // 3600.0 for t in times]
    counts = Counter(hour for hour in hours if hour is not None)
    middle = median(counts.values()) if counts else 0.0
    sides = {hour: f"{'>' if count > middle else '<='} {middle:g}" for hour, count in counts.items()}
    columns["load", "executions in the hour"] = [None if h is None else sides[h] for h in hours]
    columns["hour", "hour (UTC)"] = [None if t is None else _BLOCKS[int(t % 86_400) // 21_600] for t in times]
    columns["weekday", "weekday (UTC)"] = [None if t is None else _DAYS[int(t // 86_400) % 7] for t in times]
    return [_property(kind, name, values) for (kind, name), values in sorted(columns.items())]


def _property(kind: Kind, name: str, values: Sequence[Plain | None]) -> Property:
    different = {v for v in values if v is not None}
    if len(different) > _VALUES_MAX and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in different
    ):
        column = np.array([math.nan if v is None else float(v) for v in values])
        known = np.isfinite(column)
        if known.any():
            middle = float(np.median(column[known]))
            cuts = np.quantile(column[known], np.arange(1, _BANDS) / _BANDS)
            code = np.where(known, (column <= middle).astype(np.int64), -1)
            band = np.where(known, 2 * np.searchsorted(cuts, column) + code, -1)
            return Property(kind, name, (f"> {middle:g}", f"<= {middle:g}"), code, band)
    texts: dict[Plain | None, str | None] = {None: None}
    if any(isinstance(v, (bool, int, float)) for v in different):
        # 1, 1.0 and True are equal as keys and differ as texts.
        found = codes_of([None if v is None else str(v) for v in values])
    else:
        texts.update({v: str(v) for v in different})
        found = codes_of([texts[v] for v in values])
    return Property(kind, name, found.labels, found.code, found.code)
