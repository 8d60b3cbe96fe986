"""``identify_optimization_opportunities``: which changes are asked about, and which of them are told.

Asked is, where executions and propensities support it:

- *strategy*: in each cell, each arm for all of its executions;
- *parameter*: for each strategy, each value of each parameter in the place of the others;
- *retire*: each arm, not to be chosen any longer;
- *failure*: each error code that repeats, and each sequence that is no chance, to be gone.

A change is told where its gain is a discovery among all that was asked (Benjamini & Hochberg), and at least
``threshold_improvement`` of what the executions in question are worth now. Intervals are at the level that
keeps the rate of false statements among those that are told (Benjamini & Yekutieli 2005, JASA 100(469)).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputInvalid, shown
from ..columns import Cell
from ..evidence import adjusted
from ..executed import Executed, Plain
from ..failures import FailurePatterns
from ..patterns.analysis import check_questions
from .estimating import Gain, Shift, changes_of, gain_of, retired, shifted, switched
from .failing import failure_candidates
from .logged import Choices, choices_of
from .result import (
    Change,
    Evidence,
    Kind,
    OptimizationOpportunities,
    OptimizationOpportunity,
    Risk,
)

__all__ = ["check_threshold", "identify_optimization_opportunities"]

_ESS_MIN = 20.0
_OFFERED_MIN = 0.5
_TAKEN_MAX = 0.8
_ESS_LOW, _ESS_HIGH = 100.0, 50.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A change with its gain, before it is known how many there are."""

    kind: Kind
    cell: Cell
    strategy: str | None
    parameter: str | None
    value: Plain | None
    arms: tuple[str, ...]
    error_codes: tuple[str, ...]
    gain: Gain
    shift: Shift | None
    share: float
    offered: float
    taken: float
    rows: int
    chosen: int


def check_threshold(threshold_improvement: object) -> float:
    """The least relative improvement that is told.

    Raises
    ------
    InputInvalid : no number from 0 to 10.
    """
    value = threshold_improvement
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 10.0:
        raise InputInvalid(
            "threshold_improvement is unusable",
            expected="a number from 0 to 10: 0.15 for 15 % more reward",
            found=shown(value),
            fix="leave it out, or choose one of these",
        )
    return float(value)


def identify_optimization_opportunities(
    executions: Sequence[Executed],
    threshold_improvement: float = 0.15,
    *,
    by: Sequence[str] = (),
    failures: FailurePatterns | None = None,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
    seed: int = 0,
) -> OptimizationOpportunities:
    """Changes that would have brought more reward, ranked by what they bring over all executions.

    Estimated on executions whose propensities are known, so that an arm that was chosen for the easy ones
    does not look good for it. Needs exploration: what was never tried is not asked about.

    Parameters
    ----------
    executions : in their order. threshold_improvement : least gain, as a share of the present reward. by :
    features whose values together make a cell. failures : what ``detect_failure_patterns`` said of the same
    executions; None leaves that kind out. min_count : executions that must have gone the new way. coverage :
    of the intervals, before the selection. false_discovery_rate : of what is told. seed : of the folds.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    threshold = check_threshold(threshold_improvement)
    check_questions(min_count, coverage, false_discovery_rate)
    choices = choices_of(executions, by, seed)
    asked: list[_Asked] = []
    thin, notes = 0, []
    if choices is not None:
        asked, thin = _candidates(choices, min_count)
        if choices.chances is None:
            notes.append(
                "what else could have been chosen is not known for all executions: nothing is said of"
                " parameters and of retiring arms"
            )
        if choices.cut:
            notes.append(f"the oldest {choices.cut:,} executions were left out")
    if failures is not None:
        found, few = failure_candidates(executions, failures, by, min_count)
        thin += few
        asked += [
            _Asked("failure", (), None, None, None, (), f.codes, f.gain, None, f.share, 1.0, 0.0, f.n, f.n)
            for f in found
        ]
    q_values = adjusted([a.gain.p for a in asked])
    chosen = [
        (a, q)
        for a, q in zip(asked, q_values, strict=True)
        if q <= false_discovery_rate
        and a.gain.value > 0.0
        and a.gain.value >= threshold * a.gain.now
        and a.taken <= _TAKEN_MAX
    ]
    merged = _merged(chosen)
    # At the level of what is told in the end: the best of several looks better than it is.
    level = 1.0 - (1.0 - coverage) * len(merged) / max(1, len(asked))
    told = [_told(choices, executions, a, q, names, level, min_count) for a, q, names in merged]
    return OptimizationOpportunities(
        tuple(sorted(told, key=lambda o: (-o.total, o.text))),
        tuple(by),
        len(executions),
        0 if choices is None else len(choices),
        len(asked),
        thin,
        threshold,
        min_count,
        coverage,
        false_discovery_rate,
        None if told else _reason(choices, asked, threshold, min_count),
        tuple(notes),
    )


def _reason(choices: Choices | None, asked: Sequence[_Asked], threshold: float, min_count: int) -> str:
    if choices is None and not asked:
        return "not enough evidence: no executions with a reward and a known propensity"
    if not asked:
        return f"not enough evidence: no change has {min_count} executions, effectively 20, that went its way"
    return f"no change is known to bring {threshold:.0%} more"


def _candidates(choices: Choices, min_count: int) -> tuple[list[_Asked], int]:
    found: list[_Asked] = []
    thin = 0
    everywhere = np.ones(len(choices), bool)
    for number, cell in enumerate(choices.cell.labels):
        inside = choices.cell.code == number
        for arm in range(len(choices.arms)):
            one = _judged(choices, inside, switched(choices, inside, arm), min_count)
            if one is None:
                thin += 1
            else:
                found.append(_asked("strategy", choices, one, cell, arm, (choices.arms[arm],)))
    for strategy, parameter, value, target in _moves(choices):
        shift = shifted(choices, everywhere, target)
        one = None if shift is None else _judged(choices, everywhere, shift, min_count)
        if one is None:
            thin += 1
            continue
        to = tuple(sorted({choices.arms[b] for a, b in enumerate(target) if a != b}))
        base = _asked("parameter", choices, one, (), None, to)
        found.append(replace(base, strategy=strategy, parameter=parameter, value=value))
    for arm in range(len(choices.arms)) if len(choices.arms) > 1 else ():
        shift = retired(choices, everywhere, arm)
        one = None if shift is None else _judged(choices, everywhere, shift, min_count)
        if one is None:
            thin += 1
        else:
            found.append(_asked("retire", choices, one, (), arm, (choices.arms[arm],)))
    return found, thin


_Judged = tuple[Shift, Gain, float, float]


def _judged(choices: Choices, inside: npt.NDArray[np.bool_], shift: Shift, min_count: int) -> _Judged | None:
    """A shift that has enough evidence, with its gain, and the shares that could go and have gone its way."""
    whole = int(inside.sum())
    if int(shift.after.sum()) < min_count or len(shift.rows) < max(_OFFERED_MIN * whole, 2 * min_count):
        return None
    gain = gain_of(choices, shift)
    if gain is None or gain.ess < _ESS_MIN or int(shift.before.sum()) < min_count:
        return None
    newest = shift.after[-max(1, len(shift.rows) // 4) :]
    return shift, gain, len(shift.rows) / whole, float(newest.mean())


def _asked(
    kind: Kind, choices: Choices, judged: _Judged, cell: Cell, arm: int | None, arms: tuple[str, ...]
) -> _Asked:
    shift, gain, offered, taken = judged
    # Where others take an arm's place, having gone the new way before is no sign that nothing is left to do.
    taken = taken if kind == "strategy" else 0.0
    return _Asked(
        kind,
        cell,
        None if arm is None else choices.strategies[arm],
        None,
        None,
        arms,
        (),
        gain,
        shift,
        gain.share * len(shift.rows) / len(choices),
        offered,
        taken,
        len(shift.rows),
        int(shift.after.sum()),
    )


def _moves(choices: Choices) -> list[tuple[str, str, Plain, list[int]]]:
    """For each strategy, parameter and value: the arm that each arm becomes with that value."""
    found: list[tuple[str, str, Plain, list[int]]] = []
    arms_of: dict[str, list[int]] = defaultdict(list)
    for arm, strategy in enumerate(choices.strategies):
        if choices.parameters[arm]:
            arms_of[strategy].append(arm)
    for strategy, arms in sorted(arms_of.items()):
        place = {_key(choices.parameters[a]): a for a in arms}
        for name in sorted({name for a in arms for name in choices.parameters[a]}):
            values = {str(choices.parameters[a].get(name)): choices.parameters[a].get(name) for a in arms}
            for _, value in sorted(values.items()):
                if value is None or len(values) < 2:
                    continue
                target = list(range(len(choices.arms)))
                for a in arms:
                    target[a] = place.get(_key({**choices.parameters[a], name: value}), a)
                if any(a != b for a, b in enumerate(target)):
                    found.append((strategy, name, value, target))
    return found


def _key(parameters: dict[str, Plain]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in parameters.items()))


def _told(
    choices: Choices | None,
    executions: Sequence[Executed],
    asked: _Asked,
    q: float,
    alternatives: tuple[str, ...],
    level: float,
    min_count: int,
) -> OptimizationOpportunity:
    gain = asked.gain
    low, high = gain.interval(level)
    changes: tuple[Change, ...] = ()
    rows: Sequence[Executed] = executions
    if asked.shift is not None and choices is not None:
        changes = changes_of(choices, asked.shift, min_count, level)
        rows = [choices.rows[i] for i in asked.shift.rows.tolist()]
    seqs = [e.seq for e in rows if e.seq is not None]
    steady = gain.ess >= _ESS_LOW and low > 0.0
    return OptimizationOpportunity(
        asked.kind,
        "association" if asked.kind == "failure" else "doubly_robust",
        _text(asked),
        asked.cell,
        asked.strategy,
        asked.parameter,
        asked.value,
        asked.arms,
        asked.error_codes,
        gain.now,
        gain.value,
        low,
        high,
        gain.value / gain.now if gain.now > 0.0 else None,
        asked.share,
        gain.value * asked.share,
        gain.p,
        q,
        asked.taken,
        changes,
        Risk(
            low,
            gain.ess,
            gain.largest,
            asked.offered,
            "low" if steady else "moderate" if gain.ess >= _ESS_HIGH else "high",
        ),
        Evidence(
            asked.cell,
            asked.arms if asked.kind != "retire" else (),
            asked.error_codes,
            min(seqs, default=None),
            max(seqs, default=None),
            asked.rows,
            asked.chosen,
        ),
        alternatives,
    )


def _text(asked: _Asked) -> str:
    where = ", ".join(f"{name} {value}" for name, value in asked.cell)
    if asked.kind == "strategy":
        return f"choose {asked.arms[0]}{f' where {where}' if where else ''}"
    if asked.kind == "parameter":
        return f"set {asked.parameter} of {asked.strategy} to {asked.value}"
    if asked.kind == "retire":
        return f"retire {asked.arms[0]}"
    return f"get rid of {' -> '.join(asked.error_codes)}"


def _merged(chosen: Sequence[tuple[_Asked, float]]) -> list[tuple[_Asked, float, tuple[str, ...]]]:
    """In a cell the best arm, and of a parameter the best value; the others become alternatives."""
    groups: dict[Any, list[tuple[_Asked, float]]] = defaultdict(list)
    for a, q in chosen:
        if a.kind == "strategy":
            groups["strategy", a.cell].append((a, q))
        elif a.kind == "parameter":
            groups["parameter", a.strategy, a.parameter].append((a, q))
        else:
            groups[a.kind, a.arms, a.error_codes].append((a, q))
    found = []
    for same in groups.values():
        (best, q), *others = sorted(
            same, key=lambda pair: (-pair[0].gain.value * pair[0].share, _text(pair[0]))
        )
        names = [str(a.value) if a.kind == "parameter" else a.arms[0] for a, _ in others]
        found.append((best, q, tuple(names)))
    return found
