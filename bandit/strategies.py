"""Strategies, their parameter grids, and how the arms that these span are spelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..errors import SpecInvalid, shown
from .parameters import ParameterValue, Range

__all__ = ["Strategy", "arm_id", "arms_spanned", "listed", "spelled"]

_MAX_NAME = 200
_MAX_ID_BYTES = 1000
_LARGEST = 1 << 63
_RESERVED = frozenset("(),=")


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to run a workflow, with a grid of parameter values.

    ``formerly`` : names that the strategy had before: what was learned of an arm under them is this
    strategy's arm's with the same parameter values.

    >>> Strategy("parallel", parameters={"workers": [2, 4], "timeout_s": [30, 60]}).parameters["workers"]
    (2, 4)
    >>> Strategy("parallel", {"workers": [2, 4]}, formerly=["fan_out"]).formerly
    ('fan_out',)
    """

    name: str
    parameters: Mapping[str, tuple[ParameterValue, ...] | Range] = field(default_factory=dict)
    formerly: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Sequence[ParameterValue] | Range] | None = None,
        *,
        formerly: Sequence[str] = (),
    ) -> None:
        object.__setattr__(self, "name", _checked_name("strategy", name))
        object.__setattr__(self, "formerly", _checked_former(name, formerly))
        grid = {
            _checked_parameter(name, key): _checked_values(name, key, values)
            for key, values in (parameters or {}).items()
        }
        # Read-only: sizes were taken from it, and compiled loops trust them.
        object.__setattr__(self, "parameters", MappingProxyType(grid))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON. Former names stand there only where there are any: other specs keep their hash."""
        parameters = {
            key: values.to_dict() if isinstance(values, Range) else list(values)
            for key, values in self.parameters.items()
        }
        former = {"formerly": list(self.formerly)} if self.formerly else {}
        return {"name": self.name, "parameters": parameters, **former}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Strategy:
        """The strategy that ``to_dict`` wrote."""
        parameters = {}
        for key, values in document["parameters"].items():
            if isinstance(values, Mapping):
                fields = {name: value for name, value in values.items() if name != "kind"}
                parameters[key] = Range(**fields)
            else:
                parameters[key] = values
        return cls(document["name"], parameters, formerly=document.get("formerly", ()))

    def __reduce__(self) -> tuple[object, ...]:
        return Strategy.from_dict, (self.to_dict(),)

    def __hash__(self) -> int:
        parameters = tuple(sorted(self.parameters.items(), key=lambda item: item[0]))
        return hash((self.name, parameters, self.formerly))


def arms_spanned(strategies: Sequence[Strategy]) -> float:
    """How many arms the strategies span; infinitely many where a parameter is a range.

    Raises
    ------
    SpecInvalid : no strategies.
    """
    if not strategies or not all(isinstance(strategy, Strategy) for strategy in strategies):
        raise SpecInvalid(
            "the spec has no strategies to choose from",
            expected="a list of at least one Strategy",
            found=f"{strategies!r:.120}",
            fix='pass strategies=[Strategy("direct"), …]',
        )
    total = 0.0
    for strategy in strategies:
        size = 1.0
        for values in strategy.parameters.values():
            size *= float("inf") if isinstance(values, Range) else len(values)
        total += size
    return total


def listed(strategy: Strategy, key: str) -> tuple[ParameterValue, ...]:
    """The values of a parameter that is no range."""
    values = strategy.parameters[key]
    if isinstance(values, Range):
        raise SpecInvalid(
            f"parameter '{key}' of strategy '{strategy.name}' cannot be listed",
            expected="a list of values",
            found=repr(values),
            fix="choose from it in stages (ArmSpace), or list values",
        )
    return values


def arm_id(strategy: str, values: Mapping[str, ParameterValue]) -> str:
    """Spell an arm: ``direct``, or ``parallel(timeout_s=30,workers=2)`` with sorted keys."""
    inside = ",".join(f"{key}={spelled(values[key])}" for key in sorted(values))
    text = f"{strategy}({inside})" if values else strategy
    if len(text.encode()) > _MAX_ID_BYTES:
        raise SpecInvalid(
            "an arm's id is too long to be a key",
            expected=f"at most {_MAX_ID_BYTES} bytes",
            found=f"{len(text.encode())} bytes: {text!r:.80}…",
            fix="shorten the names of the strategy, its parameters, or their values",
        )
    return text


def spelled(value: ParameterValue) -> str:
    """Spell a parameter value."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked_name(what: str, name: object) -> str:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= _MAX_NAME
        or not name.isprintable()
        or name != name.strip()
    ):
        raise SpecInvalid(
            f"a {what} has no usable name",
            expected=f"a printable string of 1 to {_MAX_NAME} characters without blanks around it",
            found=repr(name)[:160],
            fix=f"rename the {what}",
        )
    return name


def _checked_former(strategy: str, names: object) -> tuple[str, ...]:
    listed = tuple(names) if isinstance(names, Sequence) and not isinstance(names, (str, bytes)) else None
    if listed is None or len(set(map(repr, listed))) < len(listed) or strategy in listed:
        raise SpecInvalid(
            f"the former names of strategy '{strategy}' are no list of other names",
            expected="names that differ from each other and from the strategy's",
            found=shown(names),
            fix='write them out, for example formerly=["fan_out"]',
        )
    return tuple(_checked_name("former strategy", name) for name in listed)


def _checked_parameter(strategy: str, key: object) -> str:
    name = _checked_name("parameter", key)
    if not name.isidentifier():
        raise SpecInvalid(
            f"a parameter of strategy '{strategy}' has no usable name",
            expected="a name such as timeout_s",
            found=repr(name),
            fix="rename the parameter",
        )
    return name


def _checked_values(strategy: str, key: str, values: object) -> tuple[ParameterValue, ...] | Range:
    if isinstance(values, Range):
        return values
    listed = tuple(values) if isinstance(values, Sequence) and not isinstance(values, (str, bytes)) else ()
    problem = "" if listed else f"no list of values, but {shown(values)}"
    for value in listed:
        if isinstance(value, str):
            if len(value) > _MAX_NAME or not value.isprintable() or _RESERVED & set(value):
                problem = f"{shown(value)}, which is long, or has one of ( ) , = or a control character"
        elif not isinstance(value, (int, float)) or not -_LARGEST < value < _LARGEST:
            problem = shown(value)
    if problem:
        raise SpecInvalid(
            f"parameter '{key}' of strategy '{strategy}' has unusable values",
            expected="a non-empty list of short strings, finite numbers (below 2⁶³ in size) or booleans",
            found=problem,
            fix=f'write them out, for example "{key}": [1, 2, 4]',
        )
    return tuple(_plain(value) for value in listed)


def _plain(value: ParameterValue) -> ParameterValue:
    """Members of enumerations and numpy's floats become what JSON would make of them, so that ids are
    stable.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else float(value)
