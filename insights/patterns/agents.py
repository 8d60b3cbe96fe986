"""``analyze_agent_performance_by_type``: what agents of one type reach, against all other agents.

An execution's agent is what was reported with it (``agent_type``), or a parameter or a feature of that name.
Compared are executions in the same cell (of the features ``by``), so that an agent that gets the hard tasks
is not blamed for them: the effect over all cells is the mean of the cells' differences (``within_cells``).
The false discovery rate is held over all agent types and metrics, whichever is asked for: so asking for one
type after the other finds no more by chance than asking once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...errors import InputInvalid, shown
from ..columns import ExecutionTable, Metric, agent_of
from ..evidence import Difference
from ..executed import Executed
from .analysis import MetricPattern, StrategyPattern, check_questions, discovered, patterns_of
from .measuring import within_cells

__all__ = ["AgentPerformancePattern", "analyze_agent_performance_by_type"]

_FEATURE = "complexity"


@dataclass(frozen=True, slots=True)
class AgentPerformancePattern:
    """Executions of one type of agents, and how they compare with all other agents'.

    task_complexity : what was asked for; None: all. n : its executions; others : of other types; unknown :
    whose type nobody told; all at that complexity. metrics : over all cells, with effects within them.
    cells : each cell with enough executions. types : how many executions each type has, the most frequent
    first. reason : why there is no pattern, where there is none.
    """

    agent_type: str
    task_complexity: str | None
    by: tuple[str, ...]
    n: int
    timed_out: int
    others: int
    unknown: int
    metrics: tuple[MetricPattern, ...]
    cells: tuple[StrategyPattern, ...]
    types: tuple[tuple[str, int], ...]
    min_count: int
    coverage: float
    false_discovery_rate: float
    reason: str | None

    def metric(self, name: str) -> MetricPattern | None:
        """The metric of that name over all cells; None where too few executions reported it."""
        return next((m for m in self.metrics if m.metric == name), None)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "by": list(self.by),
            "metrics": [asdict(m) for m in self.metrics],
            "cells": [
                {**{k: v for k, v in cell.to_dict().items() if k != "strategy"}, "agent_type": cell.strategy}
                for cell in self.cells
            ],
            "types": [{"agent_type": name, "n": n} for name, n in self.types],
        }

    def to_text(self) -> str:
        """For people."""
        where = "" if self.task_complexity is None else f" at complexity {self.task_complexity}"
        head = f"agents of type {self.agent_type}{where}: {self.n:,} executions, {self.others:,} of others"
        if self.reason is not None:
            return f"{head}\n{self.reason}"
        whole = StrategyPattern(self.agent_type, (), self.n, self.timed_out, self.metrics)
        return "\n".join([head, whole.to_text(), *(cell.to_text() for cell in self.cells)])


def analyze_agent_performance_by_type(
    executions: Sequence[Executed],
    agent_type: str,
    task_complexity: str | None = None,
    *,
    by: Sequence[str] = (),
    complexity_feature: str = _FEATURE,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
) -> AgentPerformancePattern:
    """What agents of a type reach, over all and in each cell, against agents of all other types there.

    Describes what was recorded, as ``analyze_strategy_patterns`` does; executions are taken for independent.

    Parameters
    ----------
    agent_type : as it was reported. task_complexity : only executions whose feature ``complexity_feature``
    has this value. by : features that make the cells. min_count : executions that a type needs, and the
    others.

    Raises
    ------
    InputInvalid : a number out of its domain, or an agent type or complexity that is no text.
    """
    check_questions(min_count, coverage, false_discovery_rate)
    agent_type, task_complexity = checked_agent(agent_type, task_complexity)
    asked = [
        e
        for e in executions
        if task_complexity is None or str(e.context.get(complexity_feature)) == task_complexity
    ]
    told = [agent_of(e) for e in asked]
    unknown = sum(t is None for t in told)
    counts = {name: told.count(name) for name in {t for t in told if t is not None}}
    types = tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    n = counts.get(agent_type, 0)
    others = len(asked) - unknown - n
    whole = patterns_of(ExecutionTable.of(asked, label=agent_of), min_count, coverage)[0]
    table = ExecutionTable.of(asked, by, label=agent_of)
    split = patterns_of(table, min_count, coverage)[0] if by else []
    whole = [_compared(p, within_cells(table, min_count, coverage)) for p in whole]
    # All types are hypotheses, whichever of them is asked for.
    judged = discovered([*whole, *split], false_discovery_rate)
    mine = [p for p in judged[: len(whole)] if p.strategy == agent_type]
    cells = tuple(p for p in judged[len(whole) :] if p.strategy == agent_type)
    reason = None
    if n < min_count:
        reason = (
            f"not enough evidence: {n:,} executions of agent type {agent_type!r} are known,"
            f" {min_count:,} are needed"
        )
    return AgentPerformancePattern(
        agent_type,
        task_complexity,
        tuple(by),
        n,
        mine[0].timed_out if mine else 0,
        others,
        unknown,
        mine[0].metrics if mine else (),
        cells,
        types,
        min_count,
        coverage,
        false_discovery_rate,
        reason,
    )


def _compared(
    pattern: StrategyPattern, effects: Mapping[tuple[str, Metric], tuple[int, Difference]]
) -> StrategyPattern:
    """The pattern over all cells with effects that compare like with like."""
    metrics = []
    for m in pattern.metrics:
        others, e = effects.get((pattern.strategy, m.metric), (0, None))
        told = (None,) * 4 if e is None else (e.value, e.low, e.high, e.p)
        effect, low, high, p = told
        metrics.append(replace(m, others=others, effect=effect, effect_low=low, effect_high=high, p=p))
    return replace(pattern, metrics=tuple(metrics))


def checked_agent(agent_type: object, task_complexity: object) -> tuple[str, str | None]:
    """The texts that are asked for; members of enumerations of texts are such.

    Raises
    ------
    InputInvalid : another type, or nothing.
    """
    found: list[str | None] = []
    for name, value in (("agent_type", agent_type), ("task_complexity", task_complexity)):
        text = getattr(value, "value", value)
        if name == "task_complexity" and text is None:
            found.append(None)
        elif isinstance(text, str) and text:
            found.append(str(text))
        else:
            raise InputInvalid(
                f"{name} is unusable",
                expected="a text, as it was reported",
                found=shown(value),
                fix='for example agent_type="researcher", task_complexity="complex"',
            )
    return str(found[0]), found[1]
