"""Read old rewards under new weights: from the stored components, without the outcomes.

A changed ``RewardSpec`` is a migration of the *reading*: the log keeps its outcomes and scores, and the
reward is computed again from them. New weights, mean, profiles and gates need the scores alone. New
references, complexity factors or another speed power change the scores themselves; then the outcomes are
priced again (``price``), and ``needs_outcomes`` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Any, NamedTuple

from ..errors import SpecInvalid
from .composite import Reward, composite
from .spec import COMPONENTS, RewardSpec

__all__ = ["ArmReading", "Repriced", "RewardRow", "choices", "needs_outcomes", "reprice", "reprice_reward"]

_SCORING = (
    "reference_by",
    "reference_time_s",
    "reference_tokens",
    "reference_cost",
    "complexity_feature",
    "complexity_factors",
    "speed_power",
)


class RewardRow(NamedTuple):
    """One stored reward: which decision, which arm, under which context."""

    decision_id: str
    arm_id: str
    context: Mapping[str, Any]
    reward: Reward


class Repriced(NamedTuple):
    """A row's reward before and after; ``after`` is None where no score with weight was stored."""

    row: RewardRow
    after: Reward | None


@dataclass(frozen=True, slots=True)
class ArmReading:
    """What one arm was worth: mean reward with its standard error (None below 2 rows), before and after."""

    arm_id: str
    n: int
    before: float
    before_error: float | None
    after: float
    after_error: float | None


def needs_outcomes(old: RewardSpec, new: RewardSpec) -> tuple[str, ...]:
    """Name the changed fields that change the scores themselves; empty where stored scores suffice."""
    before, after = old.to_dict(), new.to_dict()
    return tuple(name for name in _SCORING if before[name] != after[name])


def reprice_reward(reward: Reward, spec: RewardSpec, *, context: Mapping[str, Any] | None = None) -> Reward:
    """Compute a stored reward again under another spec, from its components.

    The references stay those that the scores were computed with, and are named so.

    Raises
    ------
    OutcomeInvalid : no score that has weight under the new spec was stored.
    """
    priced = composite(reward.components, spec, context=context)
    return priced._replace(
        reference_version=reward.reference_version, reference_time_s=reward.reference_time_s
    )


def reprice(rows: Iterable[RewardRow], spec: RewardSpec, *, old: RewardSpec | None = None) -> list[Repriced]:
    """Compute stored rewards again under another spec, in the order of the rows.

    Raises
    ------
    SpecInvalid : ``old`` is given, and ``spec`` differs from it in what changes the scores.
    """
    if old is not None and (changed := needs_outcomes(old, spec)):
        raise SpecInvalid(
            "stored scores cannot be read under this specification",
            expected=f"the same {', '.join(_SCORING)}",
            found=f"other {', '.join(changed)}",
            fix="price the stored outcomes again, or change only weights, mean, profiles and gates",
        )
    repriced = []
    for row in rows:
        weights, _ = spec.weights_for(row.context)
        stored = row.reward.components
        weighted = any(w > 0.0 and name in stored for name, w in zip(COMPONENTS, weights, strict=True))
        after = reprice_reward(row.reward, spec, context=row.context) if weighted else None
        repriced.append(Repriced(row, after))
    return repriced


def choices(repriced: Sequence[Repriced]) -> tuple[ArmReading, ...]:
    """Show each arm's mean reward before and after, best after first; rows without a new reward are left out.

    The mean of what was logged: it compares arms fairly where the log chose them alike in all contexts; else
    take it for one context at a time, or evaluate the re-priced log with its propensities.
    """
    by_arm: dict[str, list[tuple[float, float]]] = {}
    for item in repriced:
        if item.after is not None:
            by_arm.setdefault(item.row.arm_id, []).append((item.row.reward.value, item.after.value))
    readings = []
    for arm_id, pairs in by_arm.items():
        before, before_error = _mean([pair[0] for pair in pairs])
        after, after_error = _mean([pair[1] for pair in pairs])
        readings.append(ArmReading(arm_id, len(pairs), before, before_error, after, after_error))
    return tuple(sorted(readings, key=lambda reading: (-reading.after, reading.arm_id)))


def _mean(values: Sequence[float]) -> tuple[float, float | None]:
    n = len(values)
    mean = fsum(values) / n
    if n < 2:
        return mean, None
    return mean, sqrt(fsum((value - mean) * (value - mean) for value in values) / (n - 1) / n)
