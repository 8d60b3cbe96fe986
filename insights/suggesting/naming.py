"""What the names of columns tell: the strategy, what was reported, what is known only afterwards.

Names are only a first guess, which the user's hints overrule; the tests on the values come behind it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import InputInvalid
from .table import Table

__all__ = ["OUTCOMES", "Hints", "Roles", "roles_of"]

OUTCOMES = ("reward", "success", "quality", "duration_s")
"""What a column of outcomes can be."""

_STRATEGY = ("strategy", "arm_id", "arm", "algorithm", "agent", "approach", "method", "model", "policy")
_OUTCOME_NAMES: Mapping[str, tuple[str, ...]] = {
    "reward": ("reward", "composite_score", "composite_reward"),
    "success": (
        "success",
        "succeeded",
        "successful",
        "is_success",
        "resolved",
        "solved",
        "passed",
        "ok",
        "click",
    ),
    "quality": ("quality", "quality_score", "test_frac", "accuracy"),
    "duration_s": (
        "duration_s",
        "agent_s",
        "duration",
        "elapsed_s",
        "execution_time",
        "runtime_s",
        "latency_s",
    ),
}
_PARAMETER = re.compile(
    r"^(param|params|parameter|parameters)[._]|^(workers|timeout_s|timeout|max_agents|retries_max)$"
)
_AFTERWARDS = re.compile(
    r"(^|[._ ])(outcomes?|outputs?|results?|errors?|fail(ure|ed|ures)?|status|costs?|usd|finished|ended|end"
    r"|completed|durations?|elapsed|runtime|latency|retries|attempts|calls|exit|feedback|rating|score|reward"
    r"|regret|passed|quality|usefulness|success|resolved|stop|total_tokens|tokens_used|propensity|pmf"
    r"|state_seq|mode|reason)($|[._ ])",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"(^|[._])(task|instance|workflow|case|problem|issue|query|request)(_?id)?$", re.IGNORECASE
)
_TIME = re.compile(
    r"(^|[._])(time|timestamp|date|datetime|created|started|start|submitted)(_at|_time)?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user says of the columns; what is left out is guessed.

    strategy, task, time : columns. parameters : columns that are parameters of the strategy.
    outcomes : from names out of ``OUTCOMES`` to columns. before : columns that are known before the choice,
    whatever the tests say. after : columns that are known only afterwards, or shall be left out.
    """

    strategy: str | None = None
    task: str | None = None
    time: str | None = None
    parameters: tuple[str, ...] | None = None
    outcomes: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def check(self, table: Table) -> None:
        """Raise ``InputInvalid`` for a column that is not there, or an unknown outcome."""
        named = [self.strategy, self.task, self.time, *(self.parameters or ()), *self.outcomes.values()]
        named += [*self.before, *self.after]
        missing = sorted({name for name in named if name is not None and name not in table.columns})
        unknown = sorted(set(self.outcomes) - set(OUTCOMES))
        twice = sorted(set(self.before) & set(self.after))
        if missing or unknown or twice:
            raise InputInvalid(
                "the hints do not fit the table",
                expected=f"columns out of {list(table.columns)[:20]}, outcomes out of {list(OUTCOMES)}",
                found=f"unknown columns {missing}, unknown outcomes {unknown}, before and after {twice}",
                fix="name columns as the header does",
            )


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns by role. ``afterwards``: known only behind the run, by their names."""

    strategy: str
    task: str | None
    time: str | None
    parameters: tuple[str, ...]
    outcomes: Mapping[str, str]
    afterwards: tuple[str, ...]


def roles_of(table: Table, hints: Hints) -> Roles:
    """Guess each column's role by its name, hints first.

    Raises
    ------
    InputInvalid : no column is the strategy, or none tells what came out.
    """
    hints.check(table)
    names = list(table.columns)
    lower = {_bare(name): name for name in reversed(names)}
    strategy = hints.strategy or next((lower[name] for name in _STRATEGY if name in lower), None)
    if strategy is None:
        raise _missing(
            "the strategy that was run", f"a column named like {list(_STRATEGY)}", names, "--strategy"
        )
    outcomes = dict(hints.outcomes)
    taken = {strategy, *outcomes.values(), *hints.before}
    for kind, known in _OUTCOME_NAMES.items():
        found = next((lower[name] for name in known if name in lower and lower[name] not in taken), None)
        if kind not in outcomes and found is not None and found not in hints.after:
            outcomes[kind] = found
    if not {"reward", "success", "quality"} & set(outcomes):
        raise _missing("what came out", "a reward, success or quality", names, "--outcome success=COLUMN")
    taken |= set(outcomes.values())
    free = [name for name in names if name not in taken]
    task = hints.task or _first(free, _TASK)
    time = hints.time or _first([name for name in free if name != task], _TIME)
    parameters = hints.parameters
    if parameters is None:
        parameters = tuple(name for name in free if _PARAMETER.search(name.lower()))
    rest = [name for name in free if name not in {task, time, *parameters}]
    afterwards = tuple(name for name in rest if name in hints.after or _AFTERWARDS.search(name))
    return Roles(strategy, task, time, parameters, outcomes, afterwards)


def _bare(name: str) -> str:
    """A name without the field that it stands in."""
    return name.lower().removeprefix("outcome.").removeprefix("context.")


def _first(names: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    return next((name for name in names if pattern.search(name)), None)


def _missing(what: str, expected: str, names: Sequence[str], option: str) -> InputInvalid:
    return InputInvalid(
        f"no column tells {what}",
        expected=expected,
        found=f"columns {names[:20]}",
        fix=f"name it: {option}",
    )
