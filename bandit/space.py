"""A space of arms too large to list: strategies, and for each parameter the cells that it is chosen from.

The rows of the sums (*units*) are the strategies; what an arm's parameters were is part of the encoded
vector ψ = (φ, z), so that a parameter level teaches about every arm that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..canonical import digest
from ..errors import ArmUnknown, SpecInvalid
from .arms import Arm, checked_names, no_arm_eligible
from .decision import Stage
from .parameters import DEPTH, ParameterValue, Range, encode_level, encode_position
from .strategies import Strategy, arm_id, spelled

__all__ = ["BASELINE_STAGE", "STRATEGY_STAGE", "ArmSpace"]

STRATEGY_STAGE = "strategy"
BASELINE_STAGE = "baseline"
"""Name of the stage that serves the baseline arm of a space for certain."""

_RESERVED = frozenset("(),=")
_MAX_COLUMNS = 256


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    values: tuple[ParameterValue, ...] | Range
    column: int
    columns: int

    def encode(self, value: ParameterValue) -> list[int] | None:
        """Columns of z for a value; None where it is none of the parameter's."""
        if isinstance(self.values, Range):
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                return None
            return encode_position(self.values.place(value))
        texts = [spelled(v) for v in self.values]
        return encode_level(texts.index(spelled(value)), self.columns) if spelled(value) in texts else None


class ArmSpace:
    """Strategies and their parameters' columns in z.

    ``extra`` is how many columns z has, ``dimension_of_phi`` how many φ has.
    """

    staged = True
    former: Mapping[str, int] = MappingProxyType({})

    def __init__(self, strategies: Sequence[Strategy], dimension_of_phi: int) -> None:
        self.strategies, self.dimension_of_phi = tuple(strategies), dimension_of_phi
        self.units = tuple(strategy.name for strategy in strategies)
        self.parameters: list[tuple[_Parameter, ...]] = []
        for strategy in strategies:
            if self.units.count(strategy.name) > 1 or _RESERVED & set(strategy.name):
                raise SpecInvalid(
                    f"strategy '{strategy.name}' cannot stand in a space of this size",
                    expected="names that differ and have none of ( ) , =",
                    found=f"{list(self.units)!r:.160}",
                    fix="rename it",
                )
            if strategy.formerly:
                raise SpecInvalid(
                    f"strategy '{strategy.name}' has former names in a space that is chosen from in stages",
                    expected="former names only where all arms are listed: at most 1,024, without a Range",
                    found=f"formerly={list(strategy.formerly)!r:.160}",
                    fix="keep the old name, or offer fewer values",
                )
            self.parameters.append(_columns(strategy))
        self.extra = max((p.column + p.columns for ps in self.parameters for p in ps), default=0)
        if self.extra > _MAX_COLUMNS:
            raise SpecInvalid(
                "a strategy's parameters have too many values",
                expected=f"at most {_MAX_COLUMNS} values over all parameters of a strategy",
                found=f"{self.extra}",
                fix="offer fewer values, or a Range where the parameter is a number",
            )
        self.version = digest([strategy.to_dict() for strategy in strategies])

    def __len__(self) -> int:
        return len(self.units)

    def size(self, unit: int) -> int:
        """Columns of ψ = (φ, z) that a strategy uses."""
        return self.dimension_of_phi + sum(p.columns for p in self.parameters[unit])

    def arm(self, unit: int, values: Mapping[str, ParameterValue]) -> Arm:
        """The arm of a strategy with these parameter values."""
        ordered = {p.name: values[p.name] for p in self.parameters[unit]}
        return Arm(arm_id(self.units[unit], ordered), self.units[unit], MappingProxyType(ordered), ())

    def encode(self, unit: int, values: Mapping[str, ParameterValue]) -> list[int]:
        """Encode parameter values as z, ``extra`` integers in units of 2⁻¹⁶."""
        z = [0] * self.extra
        for parameter in self.parameters[unit]:
            code = parameter.encode(values[parameter.name])
            if code is None:
                raise self._unknown([arm_id(self.units[unit], values)])
            z[parameter.column : parameter.column + parameter.columns] = code
        return z

    def locate(self, text: str) -> tuple[int, Arm]:
        """Read an arm id: the strategy's position and the arm; ``ArmUnknown`` if it is none of this space."""
        name, _, inside = text.partition("(")
        if name not in self.units or (inside and not inside.endswith(")")):
            raise self._unknown([text])
        unit = self.units.index(name)
        given = dict(part.partition("=")[::2] for part in inside[:-1].split(",")) if inside else {}
        values: dict[str, ParameterValue] = {}
        for parameter in self.parameters[unit]:
            value = _read(parameter, given.pop(parameter.name, None))
            if value is None:
                raise self._unknown([text])
            values[parameter.name] = value
        arm = self.arm(unit, values)
        if given:
            raise self._unknown([text])
        return unit, arm

    def follow(self, text: str) -> tuple[int, Arm]:
        """``locate``: strategies of a space have no former names."""
        return self.locate(text)

    def present_id(self, text: str) -> str:
        """``text``: strategies of a space have no former names."""
        return text

    def unit_of(self, name: str) -> int:
        """Position of a strategy; −1 for none."""
        return self.units.index(name) if name in self.units else -1

    def chain_problem(self, stages: Sequence[Stage]) -> str | None:
        """What shows that stages (the cohort's aside) are not of this space; None where nothing does."""
        names = [stage.name for stage in stages]
        if names == [BASELINE_STAGE]:
            return None
        if names[:1] != [STRATEGY_STAGE] or stages[0].names != self.units:
            return "its first stage does not choose among the strategies"
        unit, expected = stages[0].chosen, []
        for parameter in self.parameters[unit]:
            name = f"{self.units[unit]}.{parameter.name}"
            expected.append(name)
            if isinstance(parameter.values, Range):
                expected += [f"{name}/{depth + 1}" for depth in range(1, DEPTH)]
        return None if names[1:] == expected else "its stages are not the parameters of its strategy"

    def drawn(self, stages: Sequence[Stage]) -> str:
        """The arm id that the stages of a decision lead to."""
        last = stages[-1]
        if last.name == BASELINE_STAGE:
            return last.names[last.chosen]
        chain = [stage for stage in stages if stage.name != "cohort"]
        unit = chain[0].chosen
        spelled_values: dict[str, str] = {}
        for stage in chain[1:]:  # a later stage of the same parameter is the finer one
            name = stage.name.removeprefix(f"{self.units[unit]}.").partition("/")[0]
            spelled_values[name] = stage.names[stage.chosen]
        inside = ",".join(f"{name}={spelled_values[name]}" for name in sorted(spelled_values))
        return f"{self.units[unit]}({inside})" if inside else self.units[unit]

    def resolve(self, names: Iterable[str]) -> set[int]:
        """Units that strategy names stand for."""
        listed = checked_names(names)
        unknown = [name for name in listed if name not in self.units]
        if unknown:
            raise self._unknown(unknown)
        return {self.units.index(name) for name in listed}

    def eligible(
        self, eligible: Iterable[str] | None, exclude: Iterable[str] | None
    ) -> tuple[int, ...] | None:
        """Strategies to choose from, ascending; None stands for all.

        Raises
        ------
        ArmUnknown : a name is not a strategy of the spec. EligibilityEmpty : nothing is left.
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
            expected=f"strategies {list(self.units)[:8]} with values of their parameters",
            found=f"{list(names)[:8]!r}",
            fix="use an arm_id that a decision had; eligible and exclude take strategy names here",
        )


def _columns(strategy: Strategy) -> tuple[_Parameter, ...]:
    placed, column = [], 0
    for name in sorted(strategy.parameters):
        values = strategy.parameters[name]
        size = len(encode_position(0.0)) if isinstance(values, Range) else len(values)
        placed.append(_Parameter(name, values, column, size))
        column += size
    return tuple(placed)


def _read(parameter: _Parameter, text: str | None) -> ParameterValue | None:
    if text is None:
        return None
    if isinstance(parameter.values, Range):
        try:
            number = int(text) if parameter.values.integer else float(text)
        except ValueError:
            return None
        return number if parameter.values.low <= number <= parameter.values.high else None
    return next((value for value in parameter.values if spelled(value) == text), None)
