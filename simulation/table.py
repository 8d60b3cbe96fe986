"""``ExecutionTable``: recorded executions as cells (context × arm), each with the rewards of its trials.

Nothing in the table depends on the order of the rows that it was read from: contexts, arms and the trials of
a cell are sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..bandit import ArmTable, Strategy
from ..bandit.arms import MAX_ARMS
from ..bandit.parameters import ParameterValue
from ..errors import TableInvalid
from ..features import ContextSchema, Value
from .columns import FeatureColumn, feature_column, number_of
from .pricing import Pricing
from .rows import Rows

__all__ = ["ExecutionTable", "execution_table"]


@dataclass(frozen=True, eq=False)
class ExecutionTable:
    """Recorded executions of C distinct contexts × K arms.

    Attributes
    ----------
    strategies : the arms' strategies and grids, as a ``BanditSpec`` takes them.
    columns : the context features, a value for each context.
    rewards (N,) : reward of each execution, in [0, 1], by context, then arm, then ascending.
    offsets (C·K + 1,) : cell c·K + a has the rewards from ``offsets[c·K + a]`` to the next offset.
    missing : for each score that has weight, the number of executions that did not report it.
    """

    strategies: tuple[Strategy, ...]
    columns: tuple[FeatureColumn, ...]
    rewards: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    missing: Mapping[str, int]

    @cached_property
    def arms(self) -> ArmTable:
        """All arms, in their fixed order."""
        return ArmTable(self.strategies)

    @property
    def context_count(self) -> int:
        """C, the number of distinct contexts."""
        return (len(self.offsets) - 1) // len(self.arms)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Trials of each cell (C, K); an arm is eligible in a context only where this is > 0."""
        return np.diff(self.offsets).reshape(-1, len(self.arms))

    @cached_property
    def means(self) -> npt.NDArray[np.float64]:
        """Mean reward of each cell (C, K); NaN where it has no trials."""
        totals = np.zeros(self.counts.size)
        np.add.at(totals, np.repeat(np.arange(self.counts.size), self.counts.ravel()), self.rewards)
        with np.errstate(invalid="ignore"):
            return totals.reshape(self.counts.shape) / self.counts

    def eligible(self, context: int) -> tuple[int, ...] | None:
        """Arms that have trials in a context, ascending; None for all."""
        found = np.flatnonzero(self.counts[context])
        return None if len(found) == len(self.arms) else tuple(found.tolist())

    def schema(self, contexts: Sequence[int]) -> ContextSchema:
        """The schema that tells these contexts apart; columns that are the same in all of them are left out.

        Raises
        ------
        TableInvalid, SpecInvalid : too many levels, or too many columns.
        """
        features = {column.name: column.feature(contexts) for column in self.columns}
        return ContextSchema({name: feature for name, feature in features.items() if feature is not None})

    def context(self, index: int, schema: ContextSchema) -> dict[str, Value]:
        """The values of one context under a schema of ``schema``."""
        values = {column.name: column.values[index] for column in self.columns if column.name in schema}
        return {name: value for name, value in values.items() if value is not None}


def execution_table(
    runs: Rows,
    *,
    arm: Sequence[str],
    context: Sequence[str] = (),
    pricing: Pricing,
    features: Rows | None = None,
    on: str | None = None,
    without: Sequence[str] = (),
    categorical: Sequence[str] = (),
    ranks: bool = False,
) -> ExecutionTable:
    """Build the table of executions from rows of text.

    Parameters
    ----------
    arm : columns that name the arm: the strategy, then its parameters (empty where a strategy lacks one).
    context : columns that describe the context. Without any, and without features, there is one context.
    pricing : what a row was worth.
    features, on : a second table with one row for each value of column ``on``, which both tables have. Its
        other columns become context features, and take the place of ``on`` itself, which then only tells
        contexts apart: two values of ``on`` with equal features remain two contexts.
    without : columns of ``features`` to leave out.
    categorical : context columns to take as names even if they look like numbers.
    ranks : take the rank of a number among the table's contexts in its place.

    Raises
    ------
    TableInvalid : a column is missing, or a row is unusable (named by its line).
    """
    key_columns = [*context, *([on] if on is not None and on not in context else [])]
    keys = list(zip(*(runs.column(name) for name in key_columns), strict=True)) if key_columns else []
    keys = keys or [()] * len(runs.rows)
    distinct = sorted(set(keys))
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    described = _described(runs, features, on, without, [first[key] for key in distinct])
    for name in context:
        if name != on or features is None:
            place = key_columns.index(name)
            described.append((name, [key[place] for key in distinct]))
    _check_names([name for name, _ in described], categorical)
    columns = tuple(
        feature_column(name, texts, categorical=name in categorical, ranks=ranks) for name, texts in described
    )

    strategies, arm_of_row = _arms(runs, arm)
    rewards, missing = pricing.rewards(runs)
    size = len(ArmTable(strategies))
    number = {key: i for i, key in enumerate(distinct)}
    cells = np.array([number[key] * size for key in keys], np.int64) + arm_of_row
    values = np.array(rewards, np.float64)
    order = np.lexsort((values, cells))
    counts = np.bincount(cells, minlength=len(distinct) * size)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ExecutionTable(strategies, columns, values[order], offsets, missing)


def _described(
    runs: Rows, features: Rows | None, on: str | None, without: Sequence[str], samples: Sequence[int]
) -> list[tuple[str, list[str]]]:
    """Columns of the feature table, in its order, each with the text for every distinct context."""
    if (features is None) != (on is None):
        raise TableInvalid(
            "features and the column to join them on go together",
            expected="both --features FILE and --on COLUMN, or neither",
            found="--on alone" if features is None else "--features alone",
            fix="name the column that both tables have, or leave both out",
        )
    if features is None or on is None:
        return []
    for name in without:
        features.place(name)
    row_of: dict[str, int] = {}
    for i, key in enumerate(features.column(on)):
        if row_of.setdefault(key, i) != i:
            raise TableInvalid(
                f"{features.at(i)}: '{on}' has a value for the second time",
                expected=f"one row for each value of '{on}'",
                found=repr(key)[:120],
                fix="keep one row for each",
            )
    wanted = runs.column(on)
    for i in samples:
        if wanted[i] not in row_of:
            raise TableInvalid(
                f"{runs.at(i)}: the context has no row in {features.name}",
                expected=f"a row with this value in column '{on}'",
                found=repr(wanted[i])[:120],
                fix="add its features, or join on another column",
            )
    rows = [row_of[wanted[i]] for i in samples]
    names = [name for name in features.header if name != on and name not in without]
    return [(name, [texts[row] for row in rows]) for name in names for texts in [features.column(name)]]


def _check_names(names: Sequence[str], categorical: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    unknown = sorted(set(categorical) - set(names))
    if repeated or unknown:
        raise TableInvalid(
            "the context columns are unusable",
            expected=f"each named once, and categorical ones among {list(names)}"[:300],
            found=f"repeated: {repeated}" if repeated else f"not a context column: {unknown}",
            fix="name every context column once" if repeated else "correct the names",
        )


def _arms(runs: Rows, columns: Sequence[str]) -> tuple[tuple[Strategy, ...], npt.NDArray[np.int64]]:
    """Strategies with the grids that the rows span, and the arm of each row."""
    if not columns:
        raise TableInvalid(
            "no column names the arms",
            expected="the column of the strategy, and those of its parameters",
            found="none",
            fix="name it (--arm COLUMN)",
        )
    names, *others = (runs.column(column) for column in columns)
    rows_of: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if not name:
            raise TableInvalid(
                f"{runs.at(i)}: the row names no arm",
                expected=f"a name in column '{columns[0]}'",
                found="an empty value",
                fix="fill it in, or remove the row",
            )
        rows_of.setdefault(name, []).append(i)
    if len(rows_of) > MAX_ARMS:
        raise TableInvalid(
            f"column '{columns[0]}' of {runs.name} names too many arms",
            expected=f"at most {MAX_ARMS}",
            found=str(len(rows_of)),
            fix="name the column of the strategy, not one that differs with every execution",
        )
    strategies, chosen = [], dict[int, dict[str, ParameterValue]]()
    for name in sorted(rows_of):
        grid: dict[str, list[ParameterValue]] = {}
        for column, texts in zip(columns[1:], others, strict=True):
            levels = _levels(runs, column, texts, rows_of[name])
            if levels:
                grid[column] = sorted(set(levels.values()))
                for i, level in levels.items():
                    chosen.setdefault(i, {})[column] = level
        strategies.append(Strategy(name, grid))
    table = ArmTable(strategies)
    place = {(arm.strategy, *sorted(arm.parameters.items())): i for i, arm in enumerate(table)}
    found = [place[name, *sorted(chosen.get(i, {}).items())] for i, name in enumerate(names)]
    return tuple(strategies), np.array(found, np.int64)


def _levels(runs: Rows, column: str, texts: Sequence[str], rows: Sequence[int]) -> dict[int, ParameterValue]:
    """Value of one parameter in each row of a strategy; empty where the strategy does not have it."""
    present = [i for i in rows if texts[i]]
    if not present:
        return {}
    if len(present) < len(rows):
        gap = next(i for i in rows if not texts[i])
        raise TableInvalid(
            f"{runs.at(gap)}: a parameter has no value, and has one in other rows of the same strategy",
            expected=f"a value in column '{column}' in all rows of a strategy, or in none",
            found="an empty value",
            fix="fill it in, or remove the row",
        )
    numbers = {i: number_of(texts[i]) for i in present}
    if any(number is None for number in numbers.values()):
        return {i: texts[i] for i in present}
    return {i: int(n) if n == int(n) else n for i, n in numbers.items() if n is not None}
