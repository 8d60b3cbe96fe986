"""From a table of executions to a spec: roles by name, signal and leaks by test, bounds by the values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ...bandit import BanditSpec, PolicySpec, Strategy
from ...bandit.parameters import ParameterValue
from ...bandit.strategies import arm_id
from ...errors import InputInvalid, shown
from ...features import ContextSchema, Feature, Value
from ...features.kinds import columns as width_of
from ...simulation.columns import number_of
from . import leaks
from .naming import Hints, Roles, roles_of
from .result import ColumnFinding, Role, Suggestion
from .rewarding import Rewards, rewards_of
from .schema import feature_of, kind_of
from .signal import Signal, bins_of, discoveries, signals
from .table import Table

__all__ = ["suggest_spec"]

_FEWEST_ROWS, _FEWEST_OF_A_STRATEGY, _MOST_STRATEGIES = 50, 5, 200
_MOST_VALUES = 50  # of a parameter: each is an arm
_SELDOM = 0.02  # share of the executions
_MOST_COLUMNS = 24  # of the encoded context: each has to be learned for each strategy
_ROWS_FOR_A_COLUMN = 20
_FEWEST_TASKS = 20
_ARM = re.compile(r"^([^(]*[^(\s])\((.+)\)$")


def suggest_spec(
    table: Table,
    hints: Hints | None = None,
    *,
    name: str = "suggested",
    seed: int = 0,
    false_discovery_rate: float = 0.05,
) -> Suggestion:
    """Suggest a spec for the bandit that a table of executions could teach.

    Parameters
    ----------
    hints : what is known of the columns; the rest is guessed. name, seed : of the spec; the seed also decides
        the draws of the tests. false_discovery_rate : expected share of columns without signal among those
        said to have some, in (0, 1).

    Raises
    ------
    InputInvalid : no column is the strategy or tells what came out, or a number is out of its domain.
    """
    if not isinstance(false_discovery_rate, (int, float)) or not 0.0 < false_discovery_rate < 1.0:
        raise InputInvalid(
            "the false discovery rate is unusable",
            expected="a number above 0 and below 1",
            found=shown(false_discovery_rate),
            fix="leave it out for 0.05",
        )
    roles = roles_of(table, hints or Hints())
    rewards = rewards_of(table, roles)
    study = _Study(table, hints or Hints(), roles, rewards, seed, false_discovery_rate)
    return study.suggestion(name)


class _Study:
    def __init__(
        self, table: Table, hints: Hints, roles: Roles, rewards: Rewards, seed: int, rate: float
    ) -> None:
        self._table, self._hints, self._roles, self._seed, self._rate = table, hints, roles, seed, rate
        self._rewards = rewards
        self.reasons, self.warnings = [*rewards.reasons], [*rewards.warnings]
        self._findings: dict[str, ColumnFinding] = {}
        strategy = table.columns[roles.strategy]
        counts = Counter(str(strategy[i]) for i in rewards.rows if strategy[i] is not None)
        rare = sorted(s for s, n in counts.items() if n < _FEWEST_OF_A_STRATEGY)
        if rare:
            self.warnings.append(
                f"{len(rare)} values of '{roles.strategy}' have fewer than {_FEWEST_OF_A_STRATEGY} executions"
                f" and are left out: {', '.join(rare[:5])[:120]}"
            )
        kept = set(counts) - set(rare)
        self._counts = {s: counts[s] for s in sorted(kept)}
        self._rows = [i for i in rewards.rows if strategy[i] is not None and str(strategy[i]) in kept]
        place = {s: a for a, s in enumerate(self._counts)}
        self._arms = np.array([place[str(strategy[i])] for i in self._rows], np.int64)
        self._values = np.array([rewards.value[i] for i in self._rows], np.float64)
        self._tasks = self._tasks_of(roles.task)

    def suggestion(self, name: str) -> Suggestion:
        lack = self._lack()
        spec = None
        if lack is None:
            strategies, baseline = self._strategies()
            features = self._features()
            spec = BanditSpec(
                name,
                strategies,
                ContextSchema(features),
                reward=self._rewards.spec,
                policy=PolicySpec("hier_ts"),
                seed=self._seed,
                baseline_arm=baseline,
            )
        else:
            self.reasons = [f"Not enough evidence: {lack}."]
        return Suggestion(
            spec,
            tuple(self._findings[c] for c in self._table.columns if c in self._findings),
            tuple(self.warnings),
            tuple(self.reasons),
            self._table.rows,
            len(self._rows),
            None if self._tasks is None else int(self._tasks.max()) + 1,
            self._rate,
            self._seed,
        )

    def _lack(self) -> str | None:
        if len(self._rows) < _FEWEST_ROWS:
            return f"{len(self._rows)} executions have a strategy and an outcome; {_FEWEST_ROWS} are needed"
        if len(self._counts) < 2:
            return (
                f"'{self._roles.strategy}' has {len(self._counts)} value with enough executions; 2 are needed"
            )
        if len(self._counts) > _MOST_STRATEGIES:
            return (
                f"'{self._roles.strategy}' has {len(self._counts):,} values: that is no choice of strategies"
            )
        if float(np.ptp(self._values)) == 0.0:
            return "all executions were worth the same"
        return None

    def _tasks_of(self, column: str | None) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None:
        if column is None or not self._rows:
            return None
        texts = np.array([str(self._table.columns[column][i]) for i in self._rows])
        found = np.unique(texts, return_inverse=True)[1].astype(np.int64)
        count = int(found.max()) + 1
        recurring = _FEWEST_TASKS <= count <= 0.8 * len(texts)
        return found if recurring else None

    def _strategies(self) -> tuple[list[Strategy], str | None]:
        """Strategies with their parameters' values; and the incumbent: the one that was run most."""
        roles, table = self._roles, self._table
        self._note(roles.strategy, "strategy", f"{len(self._counts)} strategies")
        grids: dict[str, dict[str, set[ParameterValue]]] = {}
        runs: Counter[str] = Counter()
        for text, count in self._counts.items():
            base, inside = _parsed(text)
            runs[base] += count
            grid = grids.setdefault(base, {})
            for key, value in inside.items():
                grid.setdefault(key, set()).add(value)
        strategy = table.columns[roles.strategy]
        for column in roles.parameters:
            short = re.sub(r"^param(eter)?s?[._]", "", column)
            for i in self._rows:
                given = table.columns[column][i]
                if given is not None:
                    grid = grids[_parsed(str(strategy[i]))[0]]
                    grid.setdefault(short, set()).add(_tidy(given))
            self._note(column, "parameter", "a parameter of the strategies, by its name or the hints")
        tables: dict[str, dict[str, list[ParameterValue]]] = {}
        for base in sorted(grids):
            values = {
                key: sorted(found, key=lambda v: (isinstance(v, str), v))
                for key, found in grids[base].items()
            }
            wide = sorted(key for key, found in values.items() if len(found) > _MOST_VALUES)
            if wide:
                self.warnings.append(
                    f"parameters {wide} of '{base}' have over {_MOST_VALUES} values: declare a Range"
                )
            tables[base] = {key: found for key, found in values.items() if key not in wide}
        total = sum(runs.values())
        most = max(sorted(runs), key=lambda base: runs[base])
        alone = all(len(found) == 1 for found in tables[most].values())
        share = runs[most] / total
        self.reasons.append(
            f"{len(tables)} strategies from '{roles.strategy}'; '{most}' was run most ({share:.0%})"
            + (", so it is the baseline." if alone else "; no baseline, as it has several arms.")
        )
        least = min(sorted(runs), key=lambda base: runs[base])
        if runs[least] < _SELDOM * total:
            self.warnings.append(
                f"'{least}' was run {runs[least]} times of {total:,}: little is known of it yet"
            )
        strategies = [Strategy(base, table) for base, table in tables.items()]
        baseline = arm_id(most, {key: found[0] for key, found in tables[most].items()}) if alone else None
        return strategies, baseline

    def _features(self) -> dict[str, Feature]:
        candidates = self._candidates()
        bins = [bins_of([self._table.columns[c][i] for i in self._rows]) for c in candidates]
        found = signals(bins, self._arms, self._values, self._tasks, self._seed) if candidates else []
        any_signal = discoveries([s.p_value for s in found], self._rate)
        changes = discoveries([s.p_interaction for s in found], self._rate)
        by_name = dict(zip(candidates, zip(bins, found, any_signal, changes, strict=True), strict=True))
        ranked = sorted(
            (c for c in candidates if by_name[c][2] or by_name[c][3] or c in self._hints.before),
            key=lambda c: (-by_name[c][1].explained, c),
        )
        room = min(_MOST_COLUMNS, max(3, len(self._rows) // _ROWS_FOR_A_COLUMN))
        chosen: dict[str, Feature] = {}
        for c in candidates:
            if c not in ranked:
                signal = by_name[c][1]
                self._note(c, "no signal", "rewards do not depend on it, as far as can be told", signal)
        for c in ranked:
            codes, signal, _, best = by_name[c]
            role, reason, feature = self._judged(c, codes, signal, chosen, by_name, room)
            if feature is not None:
                chosen[c] = feature
                room -= width_of(feature)
            self._note(c, role, reason, signal, changes_best=best)
        self._tell_context(chosen, by_name)
        return {c: chosen[c] for c in self._table.columns if c in chosen}

    def _judged(
        self,
        column: str,
        codes: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
        signal: Signal,
        chosen: Mapping[str, Feature],
        by_name: Mapping[str, tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], Signal, bool, bool]],
        room: int,
    ) -> tuple[Role, str, Feature | None]:
        known = column in self._hints.before
        values = [self._table.columns[column][i] for i in self._rows]
        leak = leaks.determines(signal.explained) or leaks.absence(values, self._values, self._arms)
        if leak and not known:
            self.warnings.append(f"'{column}' {leak}: is it known before the choice? It was left out")
            return "after the run", leak, None
        twin = next((c for c in chosen if leaks.association(codes, by_name[c][0]) >= leaks.SAME), None)
        if twin is not None and not known:
            return "left out", f"says what '{twin}' says", None
        feature, told = feature_of(values)
        if width_of(feature) > room and not known:
            return "left out", "others explain more, and the rows do not allow more columns", None
        tied = leaks.association(codes, self._arms)
        if tied >= leaks.TIED:
            self.warnings.append(
                f"'{column}' goes with the strategy (association {tied:.2f}): who chose looked at it, or the"
                " strategy decides it. In the second case it is no context"
            )
        return "context", told, feature

    def _candidates(self) -> list[str]:
        """Columns that are tested; the others are noted with what keeps them out."""
        roles, tested = self._roles, []
        for outcome, column in roles.outcomes.items():
            self._note(column, "outcome", f"{outcome} of the outcome")
        for column in self._table.columns:
            if column in self._findings:
                continue
            values = [self._table.columns[column][i] for i in self._rows]
            if column in self._hints.before:
                if len(set(values)) > 1:
                    tested.append(column)
                else:
                    self._note(column, "left out", "the same in all executions")
                continue
            if column in roles.afterwards:
                hinted = column in self._hints.after
                self._note(column, "after the run", "as the hints say" if hinted else "its name says so")
                if not hinted and self._of_the_task(values):
                    self.warnings.append(
                        f"'{column}' was left out because of its name, but is the same in all executions of a"
                        f" '{roles.task}': if it is known before the choice, say --before {column}"
                    )
                continue
            reason = leaks.useless(values, is_time=column == roles.time, is_task=column == roles.task)
            if reason is None and leaks.belongs_to(values, self._arms):
                reason = "the same in all executions of a strategy: it describes the strategy"
            if reason is not None:
                self._note(column, "left out", reason)
                continue
            if self._tasks is not None:
                varies = leaks.varies_within(values, self._tasks)
                if varies > 0.0:
                    said = f"differs between executions of the same '{roles.task}' ({varies:.0%} of them)"
                    self.warnings.append(
                        f"'{column}' {said}: decided or measured by the run? It was left out"
                    )
                    self._note(column, "after the run", said)
                    continue
            tested.append(column)
        return tested

    def _of_the_task(self, values: Sequence[Value]) -> bool:
        """A column that tells tasks apart, and never differs between executions of one."""
        return (
            self._tasks is not None
            and len(set(values)) > 1
            and leaks.varies_within(values, self._tasks) == 0.0
        )

    def _tell_context(self, chosen: Mapping[str, Feature], by_name: Mapping[str, tuple[object, ...]]) -> None:
        tested = len(by_name)
        if not chosen:
            self.reasons.append(
                f"None of {tested} columns carries signal: the context is empty, one strategy is best for all"
                if tested
                else "No column is left that could be context"
            )
            return
        best = [c for c in chosen if by_name[c][3]]
        self.reasons.append(
            f"Context of {len(chosen)} of {tested} tested columns (false discovery rate {self._rate:g}): "
            + ", ".join(chosen)
        )
        self.reasons.append(
            f"Which strategy is best depends on {', '.join(best)}."
            if best
            else "None of them was found to change which strategy is best: they only make rewards less noisy."
        )

    def _note(
        self,
        column: str,
        role: Role,
        reason: str,
        signal: Signal | None = None,
        *,
        changes_best: bool = False,
    ) -> None:
        values = [self._table.columns[column][i] for i in self._rows]
        missing = sum(v is None for v in values) / len(values) if values else 0.0
        distinct = len({v for v in values if v is not None})
        self._findings[column] = ColumnFinding(
            column,
            role,
            kind_of(values),
            missing,
            distinct,
            reason,
            None if signal is None else signal.p_value,
            None if signal is None else signal.p_interaction,
            None if signal is None else signal.explained,
            changes_best,
        )


def _parsed(text: str) -> tuple[str, dict[str, ParameterValue]]:
    """A strategy and its parameters, where it is spelled as an arm id."""
    match = _ARM.match(text)
    parts = [part.partition("=") for part in match[2].split(",")] if match else []
    if match is None or not all(equals and key and value for key, equals, value in parts):
        return text, {}
    return match[1], {key: _tidy(value) for key, _, value in parts}


def _tidy(value: ParameterValue) -> ParameterValue:
    """A parameter's value, whole numbers as such."""
    number = number_of(value) if isinstance(value, str) else value
    if number is None:
        return value
    return int(number) if isinstance(number, float) and number == int(number) else number
