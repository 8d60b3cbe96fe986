"""Re-pricing: every stored reward read again under another ``RewardSpec``, from its stored scores.

Nothing is written: the log stays, and with it what the bandit has learned. A default reward, which stands for
silence, becomes the new specification's; a reward that was reported as a bare number has no scores and is
left out, and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..bandit import BanditSpec
from ..errors import InputInvalid
from ..features import Numeric
from ..persistence.database import reaching
from ..persistence.store import Store
from ..rewards import Reward, RewardRow, RewardSpec, choices, reprice
from ..rewards.reprice import ArmReading, Repriced

__all__ = ["GroupReading", "Repricing", "reprice_log"]


@dataclass(frozen=True, slots=True)
class GroupReading:
    """The arms in one group of contexts: those where each feature of ``context`` has the stated value.

    ``arms``: mean rewards before and after, best after first. ``context`` is empty for all contexts together.
    """

    context: Mapping[str, Any]
    arms: tuple[ArmReading, ...]

    @property
    def best_before(self) -> str:
        """The arm with the highest mean reward as it was priced; ties go to the first id."""
        return min(self.arms, key=lambda arm: (-arm.before, arm.arm_id)).arm_id

    @property
    def best_after(self) -> str:
        """The arm with the highest mean reward under the new specification."""
        return self.arms[0].arm_id

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        arms = [
            {
                "arm_id": arm.arm_id,
                "rewards": arm.n,
                "mean_before": arm.before,
                "standard_error_before": arm.before_error,
                "mean_after": arm.after,
                "standard_error_after": arm.after_error,
            }
            for arm in self.arms
        ]
        return {
            "context": dict(self.context),
            "best_before": self.best_before,
            "best_after": self.best_after,
            "arms": arms,
        }


@dataclass(frozen=True, slots=True)
class Repricing:
    """What another specification makes of the stored rewards.

    rewards : decisions that have one. unpriced : those among them without a score that has weight now.
    changed : those whose reward would be another. overall : all contexts together, None where nothing could
    be re-priced. by_context : a group for each value of each feature.
    """

    bandit: str
    reward_fn_version: str
    rewards: int
    unpriced: int
    changed: int
    overall: GroupReading | None
    by_context: tuple[GroupReading, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "bandit": self.bandit,
            "reward_fn_version": self.reward_fn_version,
            "rewards": self.rewards,
            "unpriced": self.unpriced,
            "changed": self.changed,
            "overall": None if self.overall is None else self.overall.to_dict(),
            "by_context": [group.to_dict() for group in self.by_context],
        }


async def reprice_log(store: Store, spec: RewardSpec, *, by: Sequence[str] | None = None) -> Repricing:
    """Read all stored rewards of a bandit under ``spec``.

    by : features whose values *together* make a group; by default each feature that is no number makes
    groups of its own.

    Raises
    ------
    SpecInvalid : ``spec`` changes the scores themselves (references, factors, power), not only how they
        are put together.
    InputInvalid : ``spec`` is none, or a feature of ``by`` is not one of the bandit's.
    """
    if not isinstance(spec, RewardSpec):
        raise InputInvalid(
            "the stored rewards cannot be read under this",
            expected="a RewardSpec",
            found=type(spec).__name__,
            fix="pass RewardSpec(weights={…})",
        )
    groups = _groups(store.own_spec, by)
    with reaching():
        rows = await store.log.rewards_in_force()
    return await asyncio.to_thread(_reprice, store.own_spec, spec, rows, groups)


def _groups(spec: BanditSpec, by: Sequence[str] | None) -> list[tuple[str, ...]]:
    features = spec.context
    if by is None:
        return [(name,) for name, feature in features.items() if not isinstance(feature, Numeric)]
    unknown = [name for name in by if name not in features]
    if unknown or not by or len(set(by)) < len(by):
        raise InputInvalid(
            "the contexts cannot be grouped so",
            expected=f"different features out of {sorted(features)}",
            found=repr(list(by)),
            fix="name features of the bandit's context",
        )
    return [tuple(by)]


def _reprice(
    own: BanditSpec, spec: RewardSpec, stored: Sequence[tuple[RewardRow, str]], by: list[tuple[str, ...]]
) -> Repricing:
    defaulted = [row for row, state in stored if state == "defaulted"]
    items = reprice((row for row, state in stored if state != "defaulted"), spec, old=own.reward)
    items += [Repriced(row, Reward(spec.default, {}, (), spec.version)) for row in defaulted]
    priced = [item for item in items if item.after is not None]
    changed = sum(item.after is not None and item.after.value != item.row.reward.value for item in priced)
    found: dict[tuple[tuple[str, Any], ...], list[Repriced]] = {}
    for item in priced:
        for names in by:
            key = tuple((name, item.row.context.get(name)) for name in names)
            found.setdefault(key, []).append(item)
    listed = sorted(found.items(), key=lambda group: [(name, str(value)) for name, value in group[0]])
    return Repricing(
        own.name,
        spec.version,
        len(stored),
        len(stored) - len(priced),
        changed,
        GroupReading({}, choices(priced)) if priced else None,
        tuple(GroupReading(dict(key), choices(members)) for key, members in listed),
    )
