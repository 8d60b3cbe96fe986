"""The prior of the worlds that the plan's targets are judged in. Frozen: a test pins what it draws.

A world is an orchestrator's traffic and its arms. U(a, b) is uniform, all draws independent.

* Contexts: 2 to 4 task types and 1 to 3 grades of complexity, each number equally likely; a context comes in
  proportion to U(.5, 1.5).
* Strategies: 3 to 5 of ``direct, sequential, parallel, recursive, debate``, without order. Each has a grid of
  2 or 3 timeouts, multiples of a typical execution's seconds out of (2, 5, 12), and with chance 1/2 a second
  parameter: ``max_retries`` (direct, sequential), ``agents`` (parallel, debate) or ``depth`` (recursive).
* An attempt succeeds with logit b − d·grade + s + x(type) + y·grade + g·steps: b U(−.3, 1.3), d U(.2, .9);
  by strategy s U(−.9, .9), x U(−.7, .7), y U(−.4, .4), g U(−.1, .4) for each doubling of agents above 2 and
  each level of depth above 1. Probabilities of failure are kept in [.02, .9].
* Its median seconds are 20·e^U(0, 1.2), times U(1.4, 2.6) for each grade, e^U(−.3, .3) by type, e^U(−.6, .6)
  by strategy, e^U(−.25, .25) by both; agents share what is not serial, U(.2, .7) of it, and cost U(0, .04)
  of it each; each level of depth takes U(1.2, 1.8) times as long.
* It uses tokens: 2000·e^U(0, 1), growing with the grade as seconds do, times e^U(−.7, .7) by strategy, times
  (agents / 2)^U(.6, 1), times U(1.2, 2) for each level of depth; each attempt that is begun, in full.
* An execution hangs until its timeout with chance U(.005, .05) by strategy, and U(0, .004) for each agent.
* A success has a mean quality of U(.45, .8) by strategy + U(−.1, .1) by type − U(0, .08)·grade, in [.2, .85].
* A failure has a code: ``timeout`` where it was stopped, else one of two that its strategy has in a type of
  tasks, out of eight, the first with chance U(.55, .95).
* The incumbent, what a team runs before it learns: a strategy out of those with equal chance, never tuned: of
  three values of a parameter the middle one, of two the larger.
* Reference times and tokens are the incumbent's own expected ones in each context.

How an execution goes, given these, is ``worlds.orchestration``'s story: attempts, retries, timeouts, what is
reported and what is not. Every workflow ends before the next one comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np

from ...bandit import ArmTable, Strategy
from ...canonical import digest
from ...errors import InputInvalid, shown
from ...features import Categorical, ContextSchema, Ordinal, Value
from ...ieee import exp, log
from .. import lockstep
from ..keys import key_of
from ..worlds.base import Floats, Integers
from ..worlds.population import Profile

__all__ = ["CODES", "TIMEOUT", "WORLDS", "DrawnWorld", "draw_world"]

WORLDS = 50
"""How many worlds the targets are judged in: numbers 0 to 49."""

CODES = (
    "tool_error",
    "rate_limit",
    "context_overflow",
    "bad_plan",
    "invalid_output",
    "agent_conflict",
    "missing_data",
    "validation_failed",
)
TIMEOUT = len(CODES)
"""Number of the code ``timeout``."""

_SEED = 20_261_123
_DRAWS = 4096
_TYPES = ("research", "coding", "analysis", "writing")
_GRADES = ("simple", "moderate", "complex")
_NAMES = ("direct", "sequential", "parallel", "recursive", "debate")
_SECOND: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "direct": ("max_retries", ((0, 2), (0, 1, 3))),
    "sequential": ("max_retries", ((0, 2), (0, 1, 3))),
    "parallel": ("agents", ((2, 4), (2, 4, 8))),
    "recursive": ("depth", ((1, 2), (1, 2, 3))),
    "debate": ("agents", ((2, 4), (2, 4, 8))),
}
_TIMEOUTS = ((2, 5), (5, 12), (2, 12), (2, 5, 12))
_MOST = 1 << 32


@dataclass(frozen=True, slots=True)
class _Type:
    """What a strategy does in one type of tasks."""

    logit: float
    seconds: float
    quality: float
    codes: tuple[int, int]
    first_code: float


@dataclass(frozen=True, eq=False)
class DrawnWorld:
    """A world of C contexts and K arms.

    number : of the world. profiles (C, K). tokens (C, K) : of one attempt at a task of median size.
    shares (C,) : how often a context comes, summing to 1. codes (C, K, 2) : numbers of ``CODES`` of failures
    that were not stopped; first_code (C, K) : chance of the first. incumbent : its arm.
    """

    number: int
    strategies: tuple[Strategy, ...]
    schema: ContextSchema
    contexts: tuple[dict[str, Value], ...]
    shares: Floats
    profiles: tuple[tuple[Profile, ...], ...]
    tokens: Floats
    codes: Integers
    first_code: Floats
    incumbent: int

    @cached_property
    def arms(self) -> ArmTable:
        """The arms, in their order."""
        return ArmTable(self.strategies)

    @cached_property
    def table(self) -> Floats:
        """The profiles as ``worlds.executing`` takes them, (C, K, 6)."""
        return np.array(
            [
                [(p.seconds, p.timeout_s, p.retries, p.failure, p.stall, p.quality) for p in row]
                for row in self.profiles
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, all that was drawn."""
        return {
            "number": self.number,
            "strategies": [strategy.to_dict() for strategy in self.strategies],
            "contexts": [dict(context) for context in self.contexts],
            "shares": self.shares.tolist(),
            "profiles": self.table.tolist(),
            "tokens": self.tokens.tolist(),
            "codes": self.codes.tolist(),
            "first_code": self.first_code.tolist(),
            "incumbent": self.arms.ids[self.incumbent],
        }

    @property
    def digest(self) -> str:
        """Hash of ``to_dict``."""
        return digest(self.to_dict())


class _Draws:
    """The uniform numbers of one world, one after the other."""

    def __init__(self, number: int) -> None:
        self._values = np.empty(_DRAWS)
        lockstep.counter.uniforms_into(*key_of(_SEED, number, "targets"), 0, self._values)
        self._next = 0

    def between(self, low: float, high: float) -> float:
        """U(low, high)."""
        self._next += 1
        return low + (high - low) * float(self._values[self._next - 1])

    def below(self, count: int) -> int:
        """Draw a whole number from 0 to below ``count``."""
        return int(self.between(0.0, count))

    def factor(self, low: float, high: float) -> float:
        """e^U(low, high)."""
        return exp(self.between(low, high))


def draw_world(number: int) -> DrawnWorld:
    """The world of a number: always the same.

    Raises
    ------
    InputInvalid : no whole number from 0 to 2³² − 1.
    """
    if type(number) is not int or not 0 <= number < _MOST:
        raise InputInvalid(
            "there is no such world",
            expected="a whole number from 0 to 2³² − 1",
            found=shown(number),
            fix=f"the targets are judged in worlds 0 to {WORLDS - 1}",
        )
    draws = _Draws(number)
    types, grades = _TYPES[: 2 + draws.below(3)], _GRADES[: 1 + draws.below(3)]
    base, step = draws.between(-0.3, 1.3), draws.between(0.2, 0.9)
    work, growth = 20.0 * draws.factor(0.0, 1.2), draws.between(1.4, 2.6)
    by_type = [draws.factor(-0.3, 0.3) for _ in types]
    prompt = 2000.0 * draws.factor(0.0, 1.0)
    parts = [draws.between(0.5, 1.5) for _ in range(len(types) * len(grades))]

    names = list(_NAMES)
    for _ in range(draws.below(3)):
        del names[draws.below(len(names))]
    typical = work * sqrt(_power(growth, len(grades) - 1))
    strategies = tuple(_strategy(draws, name, typical) for name in names)
    table = ArmTable(strategies)
    columns: list[list[tuple[Profile, float, tuple[int, int], float]]] = []
    for strategy in strategies:
        logit, slope, gain = draws.between(-0.9, 0.9), draws.between(-0.4, 0.4), draws.between(-0.1, 0.4)
        pace, serial, overhead = draws.factor(-0.6, 0.6), draws.between(0.2, 0.7), draws.between(0.0, 0.04)
        deeper_s, thirst = draws.between(1.2, 1.8), draws.factor(-0.7, 0.7)
        crowd, deeper_tokens = draws.between(0.6, 1.0), draws.between(1.2, 2.0)
        stall, stall_agent = draws.between(0.005, 0.05), draws.between(0.0, 0.004)
        quality, fade = draws.between(0.45, 0.8), draws.between(0.0, 0.08)
        kinds = [_type(draws) for _ in types]
        for arm in (table[i] for i in table.spans[strategy.name]):
            agents, depth = int(arm.parameters.get("agents", 1)), int(arm.parameters.get("depth", 1))
            steps = (log(agents / 2.0) / log(2.0) if agents > 1 else 0.0) + (depth - 1)
            column = []
            for t, kind in enumerate(kinds):
                for grade in range(len(grades)):
                    odds = base - step * grade + logit + kind.logit + slope * grade + gain * steps
                    seconds = (
                        work * growth**grade * by_type[t] * pace * kind.seconds * deeper_s ** (depth - 1)
                    )
                    if agents > 1:
                        seconds *= serial + (1.0 - serial) * 2.0 / agents + overhead * agents
                    tokens = prompt * _power(growth, grade) * thirst * _power(deeper_tokens, depth - 1)
                    if agents > 1:
                        tokens *= exp(crowd * log(agents / 2.0))
                    profile = Profile(
                        seconds,
                        float(arm.parameters["timeout_s"]),
                        int(arm.parameters.get("max_retries", 0)),
                        min(0.9, max(0.02, 1.0 / (1.0 + exp(odds)))),
                        stall + stall_agent * (agents if agents > 1 else 0),
                        min(0.85, max(0.2, quality + kind.quality - fade * grade)),
                    )
                    column.append((profile, tokens, kind.codes, kind.first_code))
            columns.append(column)
    chosen = strategies[draws.below(len(strategies))]
    levels = tuple(len(values) // 2 for _, values in sorted(_grids(chosen).items()))
    incumbent = next(i for i in table.spans[chosen.name] if table[i].levels == levels)
    rows = list(zip(*columns, strict=True))
    return DrawnWorld(
        number,
        strategies,
        ContextSchema(task_type=Categorical(types), complexity=Ordinal(grades))
        if len(grades) > 1
        else ContextSchema(task_type=Categorical(types)),
        tuple(
            {"task_type": name, "complexity": grade} if len(grades) > 1 else {"task_type": name}
            for name in types
            for grade in grades
        ),
        np.array(parts) / sum(parts),
        tuple(tuple(cell[0] for cell in row) for row in rows),
        np.array([[cell[1] for cell in row] for row in rows]),
        np.array([[cell[2] for cell in row] for row in rows], np.int64),
        np.array([[cell[3] for cell in row] for row in rows]),
        incumbent,
    )


def _strategy(draws: _Draws, name: str, typical: float) -> Strategy:
    multiples = _TIMEOUTS[draws.below(len(_TIMEOUTS))]
    parameters: dict[str, list[int]] = {"timeout_s": [round(m * typical) for m in multiples]}
    second, grids = _SECOND[name]
    which = draws.below(2 * len(grids))
    if which < len(grids):
        parameters[second] = list(grids[which])
    return Strategy(name, parameters)


def _type(draws: _Draws) -> _Type:
    logit, seconds, quality = (
        draws.between(-0.7, 0.7),
        draws.factor(-0.25, 0.25),
        draws.between(-0.1, 0.1),
    )
    first = draws.below(len(CODES))
    second = (first + 1 + draws.below(len(CODES) - 1)) % len(CODES)
    return _Type(logit, seconds, quality, (first, second), draws.between(0.55, 0.95))


def _power(base: float, exponent: int) -> float:
    """A whole power, with the same bits everywhere."""
    value = 1.0
    for _ in range(exponent):
        value *= base
    return value


def _grids(strategy: Strategy) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(values) for key, values in strategy.parameters.items()}  # type: ignore[arg-type]
