"""How the probabilities of a decision came about, stage by stage, and the draw."""

from __future__ import annotations

from collections.abc import Sequence

from ..choice import TOTAL, Keyed
from ..decision import ARM_STAGE, Beliefs, Decision, Stage
from ..learner import COHORT_STAGE, Learner
from ..space import BASELINE_STAGE, STRATEGY_STAGE
from .explanation import Layer, StageView

__all__ = ["stage_views"]


def stage_views(
    learner: Learner, decision: Decision, views: Sequence[Beliefs], kept: tuple[int, ...] | None
) -> tuple[StageView, ...]:
    """The stages of a decision. ``views`` : of all units; ``kept`` : what the policy could choose from."""
    keyed = Keyed(learner.spec.seed, learner.spec.name)
    count = len(learner.arms)
    allowed = range(count) if kept is None else kept
    found = []
    for stage in decision.stages:
        before: list[int] | None = None
        if stage.name in (ARM_STAGE, STRATEGY_STAGE) and decision.reason not in _SERVED:
            before = [round(view.probability * TOTAL) for view in views]
        elif stage.name not in (COHORT_STAGE, BASELINE_STAGE, ARM_STAGE):
            before = list(stage.pmf)  # a parameter: guardrails do not act on it
            allowed = range(len(stage.names))
        layers = _layers(stage, before, allowed, learner.spec.policy.floor, decision.reason)
        u = keyed.uniform(decision.decision_id, stage.name)
        low = sum(stage.pmf[: stage.chosen])
        high = low + stage.pmf[stage.chosen]
        found.append(
            StageView(
                stage.name,
                stage.names,
                layers,
                stage.names[stage.chosen],
                stage.probability,
                u / TOTAL,
                low / TOTAL,
                high / TOTAL,
            )
        )
    return tuple(found)


_SERVED = ("holdout", "kill_switch", "imported")


def _layers(
    stage: Stage, before: list[int] | None, allowed: Sequence[int], floor: float, reason: str
) -> tuple[Layer, ...]:
    final = list(stage.pmf)
    if before is None:
        return (Layer("served", _shares(final)),)
    layers = []
    if reason == "conservative":
        layers.append(Layer("conservative", _shares(before)))
    else:
        layers += [Layer("policy", _without(before, allowed, floor)), Layer("floor", _shares(before))]
    if final != before:
        layers.append(Layer("guardrails", _shares(final)))
    return tuple(layers)


def _without(units: Sequence[int], allowed: Sequence[int], floor: float) -> tuple[float, ...]:
    """The policy's probabilities before the floor was mixed in, to the 2⁻³² that were rounded away."""
    each, found = floor / len(allowed), [0.0] * len(units)
    for i in allowed:
        found[i] = each if floor >= 1.0 else max(0.0, (units[i] / TOTAL - each) / (1.0 - floor))
    return tuple(found)


def _shares(units: Sequence[int]) -> tuple[float, ...]:
    return tuple(mass / TOTAL for mass in units)
