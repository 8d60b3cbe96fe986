"""What would have made another arm the policy's most probable one: another context, or further rewards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import ieee
from ...features import ONE, Value
from ...features.kinds import Categorical, Feature, Flag, Numeric, Ordinal
from ..arms import Arm
from ..decision import Beliefs
from ..learner import Learner
from .explanation import ContextChange, RewardsToChange

__all__ = ["MOST_REWARDS", "context_changes", "leader_of", "rewards_to_change"]

MOST_REWARDS = 1024
"""Further rewards beyond this are not tried."""

_STEPS = 16


def leader_of(views: Sequence[Beliefs]) -> int:
    """The most probable arm; the first of several."""
    return max(range(len(views)), key=lambda i: (views[i].probability, -i))


def context_changes(
    learner: Learner, context: Mapping[str, Value], allowed: tuple[int, ...] | None
) -> tuple[ContextChange, ...]:
    """The nearest change of each feature alone that makes another arm the most probable.

    Of features without order each value that does so is told; of the others the nearest one on either side.
    Values that the schema does not list are not tried.
    """
    clean, phi = learner.encoder.encode(context)
    units = learner.arms.units
    before = leader_of(learner.views(phi, allowed))
    found: list[ContextChange] = []
    for name, feature in learner.spec.context.items():
        for side in _sides(feature, clean.get(name)):
            for value in side:
                other = learner.encoder.encode({**clean, name: value})[1]
                views = learner.views(other, allowed)
                leader = leader_of(views)
                if leader != before:
                    told = ContextChange(
                        name, value, clean.get(name), units[leader], views[leader].probability
                    )
                    found.append(told)
                    break
    return tuple(found)


def _sides(feature: Feature, value: Any) -> Iterator[Sequence[Value]]:
    """Values to try, one list for each side of the present one, the nearest first."""
    match feature:
        case Categorical(levels=levels):
            yield from ([level] for level in levels if level != value)
        case Flag():
            yield from ([other] for other in (False, True) if other is not value)
        case Ordinal(levels=levels):
            at = levels.index(value) if value in levels else 0
            yield list(levels[at + 1 :])
            yield list(levels[:at][::-1])
        case Numeric():
            grid = _grid(feature)
            if value is None:
                yield list(grid)
            else:
                yield [step for step in grid if step > value]
                yield [step for step in grid[::-1] if step < value]


def _grid(feature: Numeric) -> list[float]:
    if feature.quantiles is not None:
        last = len(feature.quantiles) - 1
        steps = min(_STEPS, last)
        return sorted({feature.quantiles[i * last // steps] for i in range(steps + 1)})
    if feature.log:
        low, high = ieee.log(feature.low), ieee.log(feature.high)
        inside = [float(f"{ieee.exp(low + (high - low) * i / _STEPS):.4g}") for i in range(1, _STEPS)]
    else:
        inside = [
            float(f"{feature.low + (feature.high - feature.low) * i / _STEPS:.6g}") for i in range(1, _STEPS)
        ]
    return [feature.low, *inside, feature.high]


def rewards_to_change(
    twin: Learner, phi: Sequence[int], allowed: tuple[int, ...] | None, arms: Sequence[Arm]
) -> RewardsToChange | None:
    """How many rewards of 0 of the most probable arm, or of 1 of the next one, would change which it is.

    ``arms`` : the arm that each row of the sums is taken for. ``twin`` : is brought back to where it was.
    """
    views = twin.views(phi, allowed)
    leader = leader_of(views)
    others = [i for i in range(len(views)) if i != leader and views[i].probability > 0.0]
    if not others:
        return None
    rival = max(others, key=lambda i: (views[i].probability, -i))
    counts = []
    for unit, reward in ((leader, 0), (rival, ONE)):
        trial = _Trial(twin, phi, allowed, unit, arms[unit], reward, views[unit].probability)
        counts.append(None if twin.guards.withholds(twin.sums.seq + 1) else trial.fewest(leader, rival))
    return RewardsToChange(arms[leader].arm_id, arms[rival].arm_id, counts[0], counts[1], MOST_REWARDS)


class _Trial:
    """Rewards of one arm in one context, put into the newest bucket of the sums and taken out again."""

    def __init__(
        self,
        twin: Learner,
        phi: Sequence[int],
        allowed: tuple[int, ...] | None,
        unit: int,
        arm: Arm,
        reward: int,
        propensity: float,
    ) -> None:
        self._twin, self._phi, self._allowed, self._unit = twin, list(phi), allowed, unit
        self._row = [*phi, *twin.arms.encode(unit, arm.parameters)]
        self._reward, self._n = reward, 0
        self._further = twin.increments(propensity, reward, max(1, twin.sums.seq))

    def fewest(self, leader: int, rival: int) -> int | None:
        """The smallest number with which ``leader`` leads no more: by doubling, then by halving."""
        tried, low = 1, 0
        while not self._changed(tried, leader, rival):
            if tried >= MOST_REWARDS:
                self._go_to(0)
                return None
            low, tried = tried, tried * 2
        while tried - low > 1:
            middle = (low + tried) // 2
            if self._changed(middle, leader, rival):
                tried = middle
            else:
                low = middle
        self._go_to(0)
        return tried

    def _changed(self, n: int, leader: int, rival: int) -> bool:
        self._go_to(n)
        now = leader_of(self._twin.views(self._phi, self._allowed))
        return now != leader if self._unit == leader else now == rival

    def _go_to(self, n: int) -> None:
        sums, step = self._twin.sums, 1 if n > self._n else -1
        while self._n != n:
            sums.absorb(
                self._unit,
                sums.epochs[self._unit],
                max(1, sums.seq),
                self._row,
                self._reward,
                step,
                self._further,
            )
            self._n += step
