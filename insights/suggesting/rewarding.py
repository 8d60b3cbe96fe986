"""What each execution was worth, from the columns of its outcome; and the ``RewardSpec`` that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import TableInvalid
from ...features import Value
from ...rewards import Outcome, RewardSpec
from ...rewards.composite import price
from .naming import Roles
from .table import Table

__all__ = ["Rewards", "rewards_of"]

_WEIGHTS = {"speed": 0.25, "quality": 0.30, "success": 0.30}
_TRUE = frozenset(
    {"true", "yes", "y", "ok", "success", "succeeded", "passed", "resolved", "solved", "1", "completed"}
)
_FALSE = frozenset(
    {"false", "no", "n", "fail", "failed", "failure", "error", "timeout", "memout", "crash", "0", ""}
)


@dataclass(frozen=True, slots=True)
class Rewards:
    """``value`` of each of ``rows`` of the table, in [0, 1]; and how it was made."""

    spec: RewardSpec
    value: Mapping[int, float]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def rows(self) -> list[int]:
        """Executions that have one."""
        return list(self.value)


def rewards_of(table: Table, roles: Roles) -> Rewards:
    """Price every execution.

    Raises
    ------
    TableInvalid : a column of outcomes does not hold what it should.
    """
    columns = {kind: list(table.columns[name]) for kind, name in roles.outcomes.items()}
    warnings: list[str] = []
    for kind in ("reward", "quality"):
        if kind in columns:
            columns[kind] = _shares(columns[kind], roles.outcomes[kind], warnings)
    if "reward" in columns:
        value = {i: float(v) for i, v in enumerate(columns["reward"]) if v is not None}
        reason = f"Rewards are those of column '{roles.outcomes['reward']}'."
        return Rewards(RewardSpec(), value, (reason,), tuple(warnings))
    success = (
        [_truth(v, roles.outcomes["success"]) for v in columns["success"]] if "success" in columns else None
    )
    quality = columns.get("quality")
    duration = columns.get("duration_s")
    if duration is not None and not _durations(duration):
        warnings.append(f"'{roles.outcomes['duration_s']}' is no duration in seconds: it is left out")
        duration = None
    weights = {
        name: _WEIGHTS[name]
        for name, there in (("speed", duration), ("quality", quality), ("success", success))
        if there is not None
    }
    reference = None if duration is None else _reference(duration, success)
    spec = RewardSpec(weights=weights, reference_time_s=reference)
    value = {}
    for i in range(table.rows):
        ok = None if success is None else success[i]
        good = None if quality is None else quality[i]
        if ok is None and good is None:
            continue
        seconds = None if duration is None else duration[i]
        outcome = Outcome(
            success=bool(ok if ok is not None else float(good or 0.0) >= 0.5),
            quality=None if good is None else float(good),
            duration_s=None if seconds is None else float(seconds),
        )
        value[i] = price(outcome, spec).value
    told = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    reasons = [f"Rewards are composed of {told}."]
    if reference is not None:
        reasons.append(f"Speed is judged against {reference:g} s, the median duration of what succeeded.")
    return Rewards(spec, value, tuple(reasons), tuple(warnings))


def _shares(values: list[Value], column: str, warnings: list[str]) -> list[Value]:
    numbers = [float(v) if isinstance(v, (int, float)) else None for v in values]
    known = [v for v in numbers if v is not None]
    if not known or any(v is not None and not isinstance(v, (int, float)) for v in values):
        raise _unusable(column, "numbers", "texts" if values else "nothing")
    low, high = min(known), max(known)
    if low >= 0.0 and high <= 1.0:
        return list(numbers)
    if low >= 0.0 and high <= 100.0:
        warnings.append(
            f"'{column}' goes up to {high:g}: it was divided by 100. The bandit takes numbers in [0, 1]"
        )
        return [None if v is None else v / 100.0 for v in numbers]
    raise _unusable(column, "numbers from 0 to 1, or percents", f"{low:g} to {high:g}")


def _truth(value: Value, column: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in {0, 1}:
        return bool(value)
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _unusable(column, "true or false, 1 or 0, or words such as ok and failed", repr(value)[:60])


def _durations(values: list[Value]) -> bool:
    known = [v for v in values if v is not None]
    return bool(known) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and v >= 0.0 for v in known
    )


def _reference(durations: list[Value], success: list[bool | None] | None) -> float | None:
    """Median duration of successes, of all where there are none; three digits."""
    both = list(zip(durations, success or [True] * len(durations), strict=True))
    known = [float(d) for d, ok in both if d is not None and ok] or [
        float(d) for d, _ in both if d is not None
    ]
    median = float(np.median(known))
    return float(f"{median:.3g}") if median > 0.0 else None


def _unusable(column: str, expected: str, found: str) -> TableInvalid:
    return TableInvalid(
        f"column '{column}' is no such outcome",
        expected=expected,
        found=found,
        fix="name another column with --outcome, or convert this one",
    )
