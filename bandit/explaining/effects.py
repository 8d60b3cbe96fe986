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
from typing import NamedTuple

import numpy as np

from ...features import Value
from ...features.encoding import groups
from ..arms import Arm
from ..learner import Learner
from .explanation import FeatureEffect
from .judging import average_phi

__all__ = ["Effects", "feature_effects"]


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
    base = learner.contenders(average, arms).moments()[0]
    whole = learner.contenders(phi, arms).moments()[0]
    if not np.isfinite(base).all() or not np.isfinite(whole).all():
        return Effects((), None, 0.0)
    owner = groups(learner.spec.context)
    found = []
    for i, name in enumerate(learner.spec.context):
        mixed = list(average)
        for column, feature in enumerate(owner, start=1):
            if feature == i:
                mixed[column] = phi[column]
        effect = learner.contenders(mixed, arms).moments()[0] - base
        margin = None if rival is None else float(effect[0] - effect[1])
        found.append(FeatureEffect(name, context.get(name), float(effect[0]), margin))
    remainder = float(whole[0] - base[0]) - sum(feature.effect for feature in found)
    weights = {f.feature: abs(f.effect if f.margin is None else f.margin) for f in found}
    ordered = sorted(found, key=lambda f: -weights[f.feature])
    return Effects(tuple(ordered), float(base[0]), remainder if abs(remainder) > _ROUNDING else 0.0)


_ROUNDING = 1e-9
