"""Policies as a command line names them: ``uniform,ucb1:alpha=1,floor=0,hier_ts``."""

from __future__ import annotations

from typing import Any

from ...bandit import PolicySpec
from ...bandit.policies.catalog import checked_parameters
from ...bandit.spec import DEFAULT_FLOOR
from ...errors import InputInvalid
from ...simulation.columns import number_of

__all__ = ["parse_policies"]

_TAKEN = ("name", "self")


def parse_policies(text: str) -> dict[str, PolicySpec]:
    """Read a list of policies; the keys are their texts, in the order given.

    A policy is ``name`` or ``name:parameter=value,parameter=value``. Commas separate policies and parameters
    alike: ``parameter=value`` belongs to the policy before it. All policies take ``floor``
    and the other common settings.

    >>> parse_policies("uniform,ucb1:alpha=1,floor=0")["ucb1:alpha=1,floor=0"]
    PolicySpec('ucb1', floor=0.0, alpha=1.0)

    Raises
    ------
    InputInvalid : not such a list, or a policy twice. SpecInvalid : an unknown policy or parameter.
    """
    groups: list[list[str]] = []
    for item in _split(text):
        if ":" in item.partition("=")[0] or "=" not in item or not groups:
            groups.append([item])
        else:
            groups[-1].append(item)
    found: dict[str, PolicySpec] = {}
    for group in groups:
        label = ",".join(group)
        if label in found:
            raise _unreadable("policies that differ", f"'{label}' twice")
        found[label] = _policy(label)
    return found


def _policy(label: str) -> PolicySpec:
    name, colon, rest = label.partition(":")
    parameters: dict[str, Any] = {}
    for item in _split(rest) if colon else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key or not value or key in parameters:
            raise _unreadable("parameter=value, each parameter once", repr(item))
        number = number_of(value)
        parameters[key] = value if number is None else number
    floor: Any = parameters.pop("floor", DEFAULT_FLOOR)
    taken = {key: value for key, value in parameters.items() if key in _TAKEN}
    if (
        taken
    ):  # what Python would bind to its own arguments is refused as what it is: no parameter of a policy
        checked_parameters(name, taken)
    return PolicySpec(name, floor=floor, **parameters)


def _split(text: str) -> list[str]:
    """Parts between commas outside parentheses: arm ids have commas inside theirs."""
    parts, depth, begin = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth <= 0:
            parts.append(text[begin:i].strip())
            begin = i + 1
    parts.append(text[begin:].strip())
    if not all(parts):
        raise _unreadable("names between the commas", repr(text)[:120])
    return parts


def _unreadable(expected: str, found: str) -> InputInvalid:
    return InputInvalid(
        "the list of policies cannot be read",
        expected=expected,
        found=found,
        fix="write it like uniform,ucb1:alpha=1,floor=0,hier_ts",
    )
