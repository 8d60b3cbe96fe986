"""Merge what several sources reported about one execution into one outcome or one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from .outcome import Outcome

__all__ = ["Aggregate", "merge_outcomes", "merge_values"]

Aggregate: TypeAlias = Literal["final", "first", "mean", "max"]

_COUNTS = frozenset(
    {"tokens", "input_tokens", "output_tokens", "retries", "agents_succeeded", "agents_failed"}
)


def merge_values(values: Sequence[float], aggregate: Aggregate) -> float:
    """Reduce one or more numbers, oldest first.

    >>> merge_values([0.2, 0.8, 0.5], "final"), merge_values([0.25, 1.0, 0.25], "mean")
    (0.5, 0.5)
    """
    if aggregate == "final":
        return values[-1]
    if aggregate == "first":
        return values[0]
    if aggregate == "max":
        return max(values)
    # fsum rounds once, so the order of the values does not matter; rounding must not leave their range.
    return min(max(fsum(values) / len(values), min(values)), max(values))


def merge_outcomes(
    parts: Sequence[Mapping[str, Any]],
    aggregate: Aggregate,
    by_metric: Mapping[str, Aggregate] = MappingProxyType({}),
) -> Outcome | None:
    """Merge parts of an outcome metric by metric, oldest first; None as long as none has ``success``.

    Each metric is reduced over the parts that have it, by its own rule in ``by_metric``, else by
    ``aggregate``; a part that is silent on it changes nothing. A part with ``success`` speaks for the whole
    execution: without ``timed_out`` or ``error_codes`` it says that there were none. Counts take the mean
    rounded down. What is no number takes the last part that has it, under ``first`` the first. ``success``
    under ``mean`` needs all parts to have succeeded, under ``max`` one. ``tokens`` is at least the merged
    input and output together.

    >>> merge_outcomes([{"success": True, "duration_s": 3.0}, {"user_feedback": 1.0}], "final").to_dict()
    {'success': True, 'duration_s': 3.0, 'user_feedback': 1.0}
    """
    reported: dict[str, list[Any]] = {}
    for part in parts:
        whole = {"timed_out": False, "error_codes": ()} if "success" in part else {}
        for name, value in {**whole, **part}.items():
            reported.setdefault(name, []).append(value)
    if "success" not in reported:
        return None
    merged = {name: _merge(name, values, by_metric.get(name, aggregate)) for name, values in reported.items()}
    if "tokens" in merged:
        merged["tokens"] = max(
            merged["tokens"], merged.get("input_tokens", 0) + merged.get("output_tokens", 0)
        )
    return Outcome.from_dict(merged)


def _merge(name: str, values: list[Any], aggregate: Aggregate) -> Any:
    if len(values) == 1:
        return values[0]
    if name == "success":
        if aggregate == "mean":
            return all(values)
        if aggregate == "max":
            return any(values)
    elif aggregate == "mean" and name in _COUNTS:
        return sum(values) // len(values)
    elif isinstance(values[0], float) or name in _COUNTS:
        return merge_values(values, aggregate)
    return values[0] if aggregate == "first" else values[-1]
