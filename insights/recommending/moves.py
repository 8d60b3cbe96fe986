"""Which parameters may follow on the current ones: all within a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product

from ...bandit.parameters import ParameterValue, Range
from ...bandit.strategies import Strategy, spelled

__all__ = ["moves_from"]

_MOST = 512
_PARTS = (-1.0, -0.5, 0.5, 1.0)


def moves_from(
    strategy: Strategy, current: Mapping[str, ParameterValue], max_step: int, max_change: float
) -> list[dict[str, ParameterValue]]:
    """Parameters within ``max_step`` places of the listed values and ``max_change`` of a range's value.

    Listed numbers are taken in ascending order; other values have none, and any may follow on any. Where more
    than 512 combinations are within reach, only one or two parameters change at once.
    """
    steps = {
        name: _values(values, current[name], max_step, max_change)
        for name, values in sorted(strategy.parameters.items())
    }
    total = 1
    for near in steps.values():
        total *= 1 + len(near)
    if total <= _MOST:
        every = product(*([current[name], *near] for name, near in steps.items()))
        found = [dict(zip(steps, chosen, strict=True)) for chosen in every]
        return [move for move in found if move != {name: current[name] for name in steps}]
    found = []
    for size in (1, 2):
        for names in combinations(steps, size):
            for chosen in product(*(steps[name] for name in names)):
                found.append({**current, **dict(zip(names, chosen, strict=True))})
    return found


def _values(
    values: Sequence[ParameterValue] | Range, now: ParameterValue, max_step: int, max_change: float
) -> list[ParameterValue]:
    """Values that may follow on ``now``."""
    if isinstance(values, Range):
        return _near(values, float(now), max_change)
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) < len(values):
        return [value for value in values if spelled(value) != spelled(now)] if max_step else []
    ordered = sorted(numbers)
    place = [spelled(value) for value in ordered].index(spelled(now))
    near = range(max(0, place - max_step), min(len(ordered), place + max_step + 1))
    return [ordered[i] for i in near if i != place]


def _near(limits: Range, now: float, max_change: float) -> list[ParameterValue]:
    reach = max_change * (abs(now) or limits.high - limits.low)
    found: list[ParameterValue] = []
    for part in _PARTS:
        value = max(limits.low, min(limits.high, float(f"{now + part * reach:.6g}")))
        rounded: ParameterValue = round(value) if limits.integer else value
        if limits.integer and not now - reach <= float(rounded) <= now + reach:
            continue
        if rounded != now and rounded not in found:
            found.append(rounded)
    return found
