"""Price a table of outcomes at once: column by column, bit for bit what ``price`` gives row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OutcomeInvalid
from .composite import composite_bulk
from .efficiency import efficiency_bulk
from .mean import BLOCK
from .numbers import Array, numbers
from .quality import quality_bulk
from .spec import COMPONENTS, RewardSpec
from .speed import speed_bulk
from .success import success_bulk
from .usefulness import usefulness_bulk

__all__ = ["PricedTable", "price_bulk"]

_FLOATS = (
    "duration_s",
    "quality",
    "usefulness",
    "tokens",
    "cost",
    "validation",
    "format_compliance",
    "goal_achievement",
    "goal_alignment",
    "user_feedback",
    "business_impact",
)
_COUNTS = ("agents_succeeded", "agents_failed", "retries", "errors")
_FLAGS = ("success", "timed_out")


@dataclass(frozen=True, slots=True)
class PricedTable:
    """Rewards of a table.

    values : (n,), NaN where every weighted score is missing. scores : (n,) by name, NaN for missing.
    """

    values: Array
    scores: Mapping[str, Array]
    reward_fn_version: str


def price_bulk(
    columns: Mapping[str, npt.ArrayLike],
    spec: RewardSpec,
    *,
    reference_time_s: Array | float = float("nan"),
    reference_tokens: Array | float = float("nan"),
    reference_cost: Array | float = float("nan"),
) -> PricedTable:
    """Price n outcomes that share the spec's own weights (one call for each weight profile).

    columns : ``success`` (n,) of bool, and any of ``timed_out`` (bool); ``duration_s``, ``quality``,
    ``usefulness``, ``tokens`` (total), ``cost``, ``validation``, ``format_compliance``,
    ``goal_achievement``, ``goal_alignment``, ``user_feedback``, ``business_impact`` (float, NaN: not
    reported); ``agents_succeeded``, ``agents_failed``, ``retries``, ``errors`` (whole numbers, 0: none
    reported). ``validation`` is ``validation_score`` of the checks.
    reference_* : what each row is judged against, factor included, (n,) or one number; NaN: no reference.

    Raises
    ------
    OutcomeInvalid : no ``success``, an unknown column, columns of different lengths, a value out of its
    domain.
    """
    known = set(_FLOATS + _COUNTS + _FLAGS)
    shapes = {name: np.shape(values) for name, values in columns.items()}
    if "success" not in columns or not set(columns) <= known or len(set(shapes.values())) != 1:
        raise OutcomeInvalid(
            "the table of outcomes is not usable",
            expected=f"columns of one length, success among them, named out of {sorted(known)}",
            found=repr(shapes),
            fix="rename or drop columns; use NaN where a row did not report",
        )
    table = {name: np.asarray(values) for name, values in columns.items()}
    references = tuple(
        np.asarray(values, dtype=np.float64)
        for values in (reference_time_s, reference_tokens, reference_cost)
    )
    n = len(table["success"]) if table["success"].ndim else 0
    if any(values.shape not in {(), (n,)} for values in references):
        raise OutcomeInvalid(
            "the references of a table are not usable",
            expected=f"one number, or an array of {n}",
            found=repr([values.shape for values in references]),
            fix="look up one reference for each row",
        )
    if n <= BLOCK:
        scores, values = _price_block(table, references, spec)
        return PricedTable(values, scores, spec.version)
    whole_values = np.empty(n)
    whole_scores: dict[str, Array] = {}
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        block = {name: column[rows] for name, column in table.items()}
        try:
            scores, values = _price_block(block, tuple(r[rows] if r.ndim else r for r in references), spec)
        except OutcomeInvalid:
            _price_block(table, references, spec)  # raises with the number of the row in the whole table
            raise
        whole_values[rows] = values
        for name, part in scores.items():
            whole_scores.setdefault(name, np.empty(n))[rows] = part
    return PricedTable(whole_values, whole_scores, spec.version)


def _price_block(
    columns: Mapping[str, npt.NDArray[Any]], references: tuple[Array, ...], spec: RewardSpec
) -> tuple[dict[str, Array], Array]:
    """Compute the scores and rewards of a block of rows."""
    success = _flag("success", columns["success"])
    timed_out = _flag("timed_out", columns["timed_out"]) if "timed_out" in columns else np.zeros_like(success)
    reference_time_s, reference_tokens, reference_cost = references
    n = success.shape[0]

    def floats(name: str) -> Array:
        return np.asarray(columns[name], dtype=np.float64) if name in columns else np.full(n, np.nan)

    scores: dict[str, Array] = {}
    if "duration_s" in columns:
        scores["speed"] = speed_bulk(
            floats("duration_s"), reference_time_s, timed_out=timed_out, power=spec.speed_power
        )
    if {"validation", "format_compliance", "goal_achievement"} & set(columns):
        scores["quality"] = quality_bulk(
            floats("validation"), floats("format_compliance"), floats("goal_achievement")
        )
    scores["success"] = success_bulk(success, **{name: columns[name] for name in _COUNTS if name in columns})
    if {"goal_alignment", "user_feedback", "business_impact"} & set(columns):
        scores["usefulness"] = usefulness_bulk(
            floats("goal_alignment"), floats("user_feedback"), floats("business_impact")
        )
    for name in ("quality", "usefulness"):
        if name in columns:
            stated = floats(name)
            numbers(name, stated, 0.0, 1.0)
            scores[name] = np.where(np.isnan(stated), scores[name], stated) if name in scores else stated
    if {"tokens", "cost"} & set(columns):
        scores["efficiency"] = efficiency_bulk(
            floats("tokens"), reference_tokens, floats("cost"), reference_cost
        )
    ordered = {name: scores[name] for name in COMPONENTS if name in scores}
    return ordered, composite_bulk(ordered, spec)


def _flag(name: str, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    flags = np.asarray(values)
    if flags.dtype != np.bool_ or flags.ndim != 1:
        raise OutcomeInvalid(
            f"the column {name} is not usable",
            expected="a one-dimensional array of bool",
            found=f"an array of {flags.dtype} with shape {flags.shape}",
            fix="compare the column with what means yes, such as resolved == 1",
        )
    return flags
