"""What each feature of a context does to expected rewards: linear Shapley values.

    effect_f(a) = E[r_a | φ̄ with f's columns of φ] − E[r_a | φ̄],   φ̄ the average context of all rewards

For a mean that is linear in φ the effects and E[r_a | φ̄] add up to E[r_a | φ] exactly; for others what is
left over is told as a remainder.

References
----------
Štrumbelj & Kononenko (2014), Explaining prediction models and individual predictions with feature
contributions, Knowledge and Information Systems 41.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from ...features import Value
from ...features.encoding import groups
from ..arms import Arm
from ..learner import Learner
from .explanation import FeatureEffect
from .judging import average_phi

__all__ = ["Effects", "feature_effects"]

_ROUNDING = 1e-9


class Effects(NamedTuple):
    """Effects of all features, the largest first; ``average`` : mean of the arm in the average context, None
    without beliefs; ``remainder`` : what the effects leave unexplained.
    """

    features: tuple[FeatureEffect, ...]
    average: float | None
    remainder: float


def feature_effects(
    learner: Learner, context: Mapping[str, Value], phi: Sequence[int], arm: Arm, rival: Arm | None
) -> Effects:
    """Effects of a context's features on an arm's expected reward, and on its lead over a rival."""
    arms = [arm] if rival is None else [arm, rival]
    average = average_phi(learner)
    base, whole = _means(learner, average, arms), _means(learner, phi, arms)
    if not all(map(isfinite, (*base, *whole))):
        return Effects((), None, 0.0)
    owner = groups(learner.spec.context)
    found = []
    for i, name in enumerate(learner.spec.context):
        mixed = [
            phi[column] if column and owner[column - 1] == i else value
            for column, value in enumerate(average)
        ]
        effects = [mean - start for mean, start in zip(_means(learner, mixed, arms), base, strict=True)]
        margin = None if rival is None else effects[0] - effects[1]
        found.append(FeatureEffect(name, context.get(name), effects[0], margin))
    remainder = whole[0] - base[0] - sum(feature.effect for feature in found)
    weights = {f.feature: abs(f.effect if f.margin is None else f.margin) for f in found}
    ordered = sorted(found, key=lambda f: -weights[f.feature])
    return Effects(tuple(ordered), base[0], remainder if abs(remainder) > _ROUNDING else 0.0)


def _means(learner: Learner, phi: Sequence[int], arms: Sequence[Arm]) -> list[float]:
    rivals = learner.contenders(phi, arms)
    means: list[float] = (rivals.weight @ rivals.mean).tolist()
    return means
