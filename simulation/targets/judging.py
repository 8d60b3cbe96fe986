"""Whether the plan's targets are met: of one world, and as a distribution over worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from ...errors import InputInvalid
from ..worlds.base import Floats
from .playing import MEASURES, PERIOD, STARTS, Played
from .rewards import TARGETS
from .truths import SUCCESS_TOLERANCE

__all__ = ["PERIODS", "TargetInWorld", "TargetOverWorlds", "judge_world", "over_worlds"]

PERIODS = (f"1-{PERIOD}", f"{PERIOD + 1}-{2 * PERIOD}")
"""Numbers of the workflows of each period."""

_Z95 = 1.959963984540054
_USED = {"time": "seconds", "repeated failures": "repeats", "resources": "tokens"}


@dataclass(frozen=True, slots=True)
class TargetInWorld:
    """One target in one world, for one learner, start and period.

    gain, standard_error : over the incumbent, relative to it: the mean over replications. ceiling : the
    oracle's gain. success_change : of expected success, in its own units. kept : success is no lower than the
    target allows.
    """

    world: int
    target: str
    learner: str
    start: str
    period: str
    asked: float
    gain: float
    standard_error: float
    ceiling: float
    success_change: float
    kept: bool

    @property
    def reachable(self) -> bool:
        """Tell whether the oracle reaches the target."""
        return self.ceiling >= self.asked

    @property
    def met(self) -> bool:
        """Tell whether the mean reaches the target."""
        return self.kept and self.gain >= self.asked

    @property
    def surely_met(self) -> bool:
        """Tell whether the lower end of the mean's 95 % interval reaches the target."""
        return self.kept and self.gain - _Z95 * self.standard_error >= self.asked

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **asdict(self),
            "reachable": self.reachable,
            "met": self.met,
            "surely_met": self.surely_met,
        }


@dataclass(frozen=True, slots=True)
class TargetOverWorlds:
    """One target over many worlds.

    reachable : worlds whose ceiling reaches it. met, surely_met : worlds; met_of_reachable : those among the
    reachable ones; met_interval : Wilson's 95 % interval of their share, None where none is reachable.
    gains : quantiles 0, .25, .5, .75, 1 of the gain over all worlds; ceilings : of the oracle's.
    ceiling_shares : quantiles .25, .5, .75 of gain over ceiling where the target is reachable.
    lost_success : worlds whose success fell by more than the target allows.
    """

    target: str
    learner: str
    start: str
    period: str
    asked: float
    worlds: int
    reachable: int
    met: int
    surely_met: int
    met_of_reachable: int
    met_interval: tuple[float, float] | None
    gains: tuple[float, ...]
    ceilings: tuple[float, ...]
    ceiling_shares: tuple[float, ...] | None
    lost_success: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {name: list(x) if isinstance(x, tuple) else x for name, x in asdict(self).items()}


def judge_world(played: Played) -> list[TargetInWorld]:
    """Every target of a world, for each of its learners, starts and periods."""
    found = []
    ceilings = played.truths.ceilings()
    for name, target in TARGETS.items():
        sign = 1.0 if name == "success" else -1.0
        column = MEASURES.index(_USED.get(name, "success"))
        for learner in target.learners:
            for start in STARTS:
                table = played.learners[start, learner]
                for at, period in enumerate(PERIODS):
                    base = played.incumbent[:, at]
                    ratio, error = ratio_of_means(table[:, at, column], base[:, column])
                    change = float((table[:, at, 0] - base[:, 0]).mean())
                    ceiling = ceilings.get(name)
                    if ceiling is None:
                        ceiling = 1.0 - ratio_of_means(played.oracle[:, at, column], base[:, column])[0]
                    found.append(
                        TargetInWorld(
                            played.world.number,
                            name,
                            learner,
                            start,
                            period,
                            target.gain,
                            sign * (ratio - 1.0),
                            error,
                            ceiling,
                            change,
                            not target.like_success or change >= -SUCCESS_TOLERANCE,
                        )
                    )
    return found


def over_worlds(found: Sequence[TargetInWorld]) -> list[TargetOverWorlds]:
    """The distributions over worlds, one for each target, learner, start and period.

    Raises
    ------
    InputInvalid : nothing to judge, or a world twice.
    """
    groups: dict[tuple[str, str, str, str], list[TargetInWorld]] = {}
    for one in found:
        groups.setdefault((one.target, one.learner, one.start, one.period), []).append(one)
    sizes = {len(group) for group in groups.values()}
    if len(sizes) != 1 or any(len({one.world for one in g}) != len(g) for g in groups.values()):
        raise InputInvalid(
            "the targets cannot be judged over these worlds",
            expected="the results of at least one world, each world once, with all of its targets",
            found=f"{len(found)} results, in groups of {sorted(sizes)}",
            fix="pass what judge_world returned, of different worlds",
        )
    return [_over(group) for group in groups.values()]


def ratio_of_means(values: Floats, base: Floats) -> tuple[float, float]:
    """Mean of values (R,) over mean of their base (R,), and its standard error by the delta method.

    Without any base the ratio is 1: nothing was gained or lost where there was nothing.
    """
    middle = float(base.mean())
    if middle <= 0.0:
        return 1.0, 0.0
    ratio = float(values.mean()) / middle
    rest = values - ratio * base
    return ratio, float(rest.std(ddof=1)) / middle / sqrt(len(base)) if len(base) > 1 else float("inf")


def wilson(count: int, n: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share; None without trials."""
    if n == 0:
        return None
    p, z2 = count / n, _Z95 * _Z95
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _over(group: Sequence[TargetInWorld]) -> TargetOverWorlds:
    first = group[0]
    within = [one for one in group if one.reachable]
    met = sum(one.met for one in within)
    shares = _quantiles([one.gain / one.ceiling for one in within], (0.25, 0.5, 0.75)) if within else None
    return TargetOverWorlds(
        first.target,
        first.learner,
        first.start,
        first.period,
        first.asked,
        len(group),
        len(within),
        sum(one.met for one in group),
        sum(one.surely_met for one in group),
        met,
        wilson(met, len(within)),
        _quantiles([one.gain for one in group], (0.0, 0.25, 0.5, 0.75, 1.0)),
        _quantiles([one.ceiling for one in group], (0.0, 0.25, 0.5, 0.75, 1.0)),
        shares,
        sum(not one.kept for one in group),
    )


def _quantiles(values: Sequence[float], at: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(x) for x in np.quantile(values, at))


def from_document(document: Mapping[str, Any]) -> TargetInWorld:
    """The result that ``to_dict`` wrote."""
    names = TargetInWorld.__slots__
    return TargetInWorld(**{name: document[name] for name in names})
