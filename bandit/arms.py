"""The arms that strategies span, listed: found by present and former ids, and narrowed to the eligible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

from ..errors import ArmUnknown, EligibilityEmpty, InputInvalid, SpecInvalid, shown
from .decision import ARM_STAGE, Stage
from .parameters import ParameterValue
from .strategies import Strategy, arm_id, arms_spanned, listed

__all__ = ["MAX_ARMS", "Arm", "ArmTable", "checked_names", "no_arm_eligible"]

MAX_ARMS = 1024
"""Arms whose joint probability mass function is computed at once."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A strategy with one value for each of its parameters.

    ``levels`` says, for each parameter in sorted order, which of its values it is.
    """

    arm_id: str
    strategy: str
    parameters: Mapping[str, ParameterValue]
    levels: tuple[int, ...]

    def __reduce__(self) -> tuple[object, ...]:
        return _arm, (self.arm_id, self.strategy, dict(self.parameters), self.levels)


def _arm(arm_id: str, strategy: str, parameters: dict[str, ParameterValue], levels: tuple[int, ...]) -> Arm:
    return Arm(arm_id, strategy, MappingProxyType(parameters), levels)


class ArmTable(Sequence[Arm]):
    """All arms of a spec in their fixed order: by strategy, then by sorted parameter, last one fastest.

    Each arm is a *unit*: a row of the sums. (In a space too large to list, the strategies are: see
    ``space``.)
    """

    staged = False
    extra = 0

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        self.strategies = tuple(strategies)
        total = arms_spanned(self.strategies)
        if total > MAX_ARMS:
            raise SpecInvalid(
                "the strategies span too many arms to list",
                expected=f"at most {MAX_ARMS} combinations of strategy and parameter values",
                found=f"{total:g} combinations",
                fix="offer fewer values for each parameter",
            )
        arms: list[Arm] = []
        self.spans: dict[str, range] = {}
        for strategy in self.strategies:
            if strategy.name in self.spans:
                raise SpecInvalid(
                    f"strategy '{strategy.name}' is declared twice",
                    expected="strategy names that differ",
                    found=f"{[s.name for s in self.strategies]}"[:200],
                    fix="rename one of them, or merge their parameters",
                )
            first = len(arms)
            arms += _arms_of(strategy)
            self.spans[strategy.name] = range(first, len(arms))
        self._arms = tuple(arms)
        self.ids = self.units = tuple(arm.arm_id for arm in arms)
        self._index: dict[str, int] = {}
        for i, arm in enumerate(arms):
            taken = self._index.setdefault(arm.arm_id, i) != i
            if taken or (arm.arm_id in self.spans and arm.arm_id != arm.strategy):
                raise SpecInvalid(
                    f"two arms are called '{arm.arm_id}'",
                    expected="arm ids that differ from each other and from other strategies' names",
                    found=f"'{arm.arm_id}' twice, as text",
                    fix="use values that print differently (1 and 1.0 do; 1 and '1' do not)",
                )
        self._former_spans, former = self._renamed()
        self.former: Mapping[str, int] = MappingProxyType(former)
        """Positions of the arms by the ids that they had under their strategies' former names."""

    def _renamed(self) -> tuple[dict[str, range], dict[str, int]]:
        spans: dict[str, range] = {}
        ids: dict[str, int] = {}
        taken = {*self.spans, *self._index}
        for strategy in self.strategies:
            for name in strategy.formerly:
                span = self.spans[strategy.name]
                own = {arm_id(name, self._arms[i].parameters): i for i in span}
                again = sorted({name, *own} & taken)
                if again:
                    raise SpecInvalid(
                        f"former name '{name}' of strategy '{strategy.name}' stands for something else too",
                        expected="a name that no strategy and no arm has, and no other strategy had",
                        found=f"'{again[0]}' twice",
                        fix="let one strategy claim the name: what was learned under it has one heir",
                    )
                taken |= {name, *own}
                spans[name] = span
                ids.update(own)
        return spans, ids

    def __len__(self) -> int:
        return len(self._arms)

    def __getitem__(self, index: Any) -> Any:
        return self._arms[index]

    def locate(self, arm_id: str) -> tuple[int, Arm]:
        """An arm and its position; ``ArmUnknown`` if there is none."""
        index = self.index(arm_id)
        return index, self._arms[index]

    def follow(self, arm_id: str) -> tuple[int, Arm]:
        """``locate`` for an id out of the log, which may be the one that the arm had under a former name."""
        index = self.former.get(arm_id, -1)
        return self.locate(arm_id) if index < 0 else (index, self._arms[index])

    def present_id(self, arm_id: str) -> str:
        """The id that an arm out of the log has now: its own, unless the arm was renamed."""
        index = self.former.get(arm_id, -1)
        return arm_id if index < 0 else self.ids[index]

    def unit_of(self, name: str) -> int:
        """Position of the unit that a row of the log names, by its present or a former id; −1 for none."""
        return self._index.get(name, self.former.get(name, -1))

    def chain_problem(self, stages: Sequence[Stage]) -> str | None:
        """What shows that stages (the cohort's aside) are not of this table; None where nothing does."""
        if [stage.name for stage in stages] != [ARM_STAGE] or stages[0].names != self.ids:
            return "its stages are not those of the spec"
        return None

    def drawn(self, stages: Sequence[Stage]) -> str:
        """The arm id that the stages of a decision lead to."""
        return self.ids[stages[-1].chosen]

    def encode(self, unit: int, values: Mapping[str, ParameterValue]) -> list[int]:  # noqa: ARG002
        """Columns that parameters add to φ: none, each arm has sums of its own."""
        return []

    def index(self, arm_id: Any, start: int = 0, stop: int | None = None) -> int:  # noqa: ARG002
        """Position of an arm id; ``ArmUnknown`` if there is none."""
        try:
            return self._index[arm_id]
        except (KeyError, TypeError):
            raise self._unknown([arm_id]) from None

    def resolve(self, names: Iterable[str]) -> set[int]:
        """Positions of the arms that ``names`` (arm ids or strategy names, also former ones) stand for."""
        found: set[int] = set()
        unknown: list[object] = []
        for name in checked_names(names):
            if isinstance(name, str) and name in self.spans:
                found.update(self.spans[name])
            elif isinstance(name, str) and name in self._index:
                found.add(self._index[name])
            elif isinstance(name, str) and name in self._former_spans:
                found.update(self._former_spans[name])
            elif isinstance(name, str) and name in self.former:
                found.add(self.former[name])
            else:
                unknown.append(name)
        if unknown:
            raise self._unknown(unknown)
        return found

    def eligible(
        self, eligible: Iterable[str] | None, exclude: Iterable[str] | None
    ) -> tuple[int, ...] | None:
        """Positions to choose from, ascending; None stands for all.

        Raises
        ------
        ArmUnknown : a name is neither an arm id nor a strategy of the spec.
        EligibilityEmpty : nothing is left.
        """
        if eligible is None and exclude is None:
            return None
        kept = set(range(len(self))) if eligible is None else self.resolve(eligible)
        if exclude is not None:
            kept -= self.resolve(exclude)
        if not kept:
            raise no_arm_eligible(eligible, exclude)
        return None if len(kept) == len(self) else tuple(sorted(kept))

    def _unknown(self, names: Sequence[object]) -> ArmUnknown:
        return ArmUnknown(
            "an arm is not part of the spec",
            expected=f"arm ids {list(self.ids[:8])}{' …' if len(self) > 8 else ''} or strategies "
            f"{list(self.spans)[:8]}",
            found=f"{list(names)[:8]!r}",
            fix="use an arm_id of the spec, or add the strategy to it",
        )


def checked_names(names: object) -> list[object]:
    """Return names as a list (one string stands for itself); ``InputInvalid`` for what cannot be listed."""
    if isinstance(names, str):
        return [names]
    if isinstance(names, Iterable):
        return list(names)
    raise InputInvalid(
        "the arms to choose from are not a list",
        expected="a list of arm ids or strategy names",
        found=shown(names),
        fix='for example eligible=["direct"]',
    )


def no_arm_eligible(eligible: Iterable[str] | None, exclude: Iterable[str] | None) -> EligibilityEmpty:
    """The error for a choice among nothing."""
    return EligibilityEmpty(
        "no arm is eligible",
        expected="at least one arm that is eligible and not excluded",
        found=f"eligible={_listed(eligible)}, exclude={_listed(exclude)}",
        fix="widen eligible or shorten exclude; without both, every arm is eligible",
    )


def _listed(names: Iterable[str] | None) -> str:
    return "all" if names is None else repr(names)[:120]


def _arms_of(strategy: Strategy) -> list[Arm]:
    keys = sorted(strategy.parameters)
    arms = []
    grid = [listed(strategy, key) for key in keys]
    for levels in product(*(range(len(values)) for values in grid)):
        values = {key: grid[i][level] for i, (key, level) in enumerate(zip(keys, levels, strict=True))}
        arms.append(Arm(arm_id(strategy.name, values), strategy.name, MappingProxyType(values), levels))
    return arms
