"""What recorded executions were worth: a reward column, or outcome columns priced by a spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import InputInvalid, NyxError, TableInvalid
from ..rewards import Outcome, RewardSpec, price
from .columns import number_of
from .rows import Rows

__all__ = ["OUTCOME_FIELDS", "OutcomeColumns", "Pricing", "RewardColumn", "TextMap"]

TextMap = Mapping[str, float]
"""Number for each text of a column; ``*`` stands for any other text."""

_TRUTH = {"true": 1.0, "false": 0.0}
_BOOLEANS = ("success", "timed_out")
_COUNTS = ("tokens", "input_tokens", "output_tokens", "retries", "agents_succeeded", "agents_failed")
_NUMBERS = (
    "duration_s",
    "quality",
    "usefulness",
    "cost",
    "format_compliance",
    "goal_achievement",
    "goal_alignment",
    "user_feedback",
    "business_impact",
)
OUTCOME_FIELDS = (*_BOOLEANS, *_NUMBERS, *_COUNTS)
"""Fields of an ``Outcome`` that a column can fill."""


class Pricing(Protocol):
    """A way to tell what each row was worth."""

    def rewards(self, runs: Rows) -> tuple[list[float], dict[str, int]]:
        """Reward of each row, in [0, 1], and for each score that has weight in how many rows it was missing.

        Raises
        ------
        TableInvalid : a column is missing, or a row (named by its line) cannot be priced.
        """


@dataclass(frozen=True, slots=True)
class RewardColumn:
    """A column that holds the reward: numbers in [0, 1], true or false, or text that is translated."""

    column: str
    mapping: TextMap = field(default_factory=dict)

    def rewards(self, runs: Rows) -> tuple[list[float], dict[str, int]]:
        """See ``Pricing``."""
        values = [
            _translated(runs, i, self.column, text, self.mapping)
            for i, text in enumerate(runs.column(self.column))
        ]
        for i, value in enumerate(values):
            if not 0.0 <= value <= 1.0:
                raise TableInvalid(
                    f"{runs.at(i)}: the reward is outside the unit interval",
                    expected=f"a number from 0 to 1 in column '{self.column}'",
                    found=repr(value),
                    fix="scale the column, or price its rows from outcomes (--outcome FIELD=COLUMN)",
                )
        return values, {}


@dataclass(frozen=True, slots=True)
class OutcomeColumns:
    """Columns that fill the fields of an ``Outcome``, which ``spec`` prices; empty is "not reported".

    columns : column for each outcome field (``success`` must be there).
    mappings : by column, numbers for its texts.

    Raises
    ------
    InputInvalid : an unknown field, no ``success``, or a duration to be judged without a reference time.
    """

    columns: Mapping[str, str]
    spec: RewardSpec
    mappings: Mapping[str, TextMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(self.columns.keys() - set(OUTCOME_FIELDS))
        if unknown or "success" not in self.columns:
            raise InputInvalid(
                "the outcome mapping is unusable",
                expected=f"success=COLUMN, and others of {list(OUTCOME_FIELDS)}",
                found=f"unknown fields {unknown}" if unknown else f"{sorted(self.columns)}, without success",
                fix="map success, and only fields that an outcome has",
            )
        judged = self.spec.weights.get("speed", 0.0) > 0.0 and self.spec.reference_time_s is None
        if "duration_s" in self.columns and judged:
            raise InputInvalid(
                "durations cannot be judged without a reference time",
                expected="a reference time in seconds beside duration_s",
                found="none",
                fix="state it (--reference-time SECONDS), or give speed no weight",
            )

    def rewards(self, runs: Rows) -> tuple[list[float], dict[str, int]]:
        """See ``Pricing``."""
        texts = {name: runs.column(column) for name, column in self.columns.items()}
        values: list[float] = []
        missing: Counter[str] = Counter()
        for i in range(len(runs.rows)):
            fields: dict[str, Any] = {}
            for name, column in self.columns.items():
                text = texts[name][i]
                if text or name == "success":
                    mapping = self.mappings.get(column, {})
                    fields[name] = _typed(runs, i, name, _translated(runs, i, column, text, mapping))
            try:
                reward = price(Outcome(**fields), self.spec)
            except NyxError as error:
                raise TableInvalid(
                    f"{runs.at(i)}: {error.what}", expected=error.expected, found=error.found, fix=error.fix
                ) from None
            values.append(reward.value)
            missing.update(reward.missing)
        return values, dict(sorted(missing.items()))


def _translated(runs: Rows, row: int, column: str, text: str, mapping: TextMap) -> float:
    if mapping:
        value = mapping.get(text, mapping.get("*"))
        if value is not None:
            return value
        expected, fix = f"one of {sorted(mapping)}", "map the text, or map the rest with *=NUMBER"
    else:
        value = number_of(text)
        value = _TRUTH.get(text.lower()) if value is None else value
        if value is not None:
            return value
        expected = "a finite number, true or false"
        fix = "correct the value, remove the row, or translate text with --reward-map COLUMN:TEXT=NUMBER,…"
    raise TableInvalid(
        f"{runs.at(row)}: column '{column}' has a value that is no number",
        expected=expected,
        found=repr(text)[:120],
        fix=fix,
    )


def _typed(runs: Rows, row: int, name: str, value: float) -> float | int | bool:
    if name in _BOOLEANS and value in {0.0, 1.0}:
        return value == 1.0
    if name in _COUNTS and value == int(value):
        return int(value)
    if name in _NUMBERS:
        return value
    kind = "0 or 1, true or false" if name in _BOOLEANS else "a whole number"
    raise TableInvalid(
        f"{runs.at(row)}: the outcome field '{name}' cannot take the value",
        expected=kind,
        found=repr(value),
        fix="map another column, or translate its texts with --reward-map",
    )
