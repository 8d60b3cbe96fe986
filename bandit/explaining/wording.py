"""Why a decision came out as it did, in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from ..decision import ARM_STAGE
from ..learner import COHORT_STAGE
from ..parameters import ParameterValue
from .explanation import ArmView, Explanation

__all__ = ["interval_text", "reasons_of", "spelled_value"]

_SERVED = {
    "holdout": "it belongs to the holdout cohort, which is served the baseline arm",
    "kill_switch": "the kill switch was on: the baseline arm was served",
    "shadow": "the learner was in shadow: the baseline arm was served",
    "conservative": "the baseline arm was served so that not less than its share is earned",
    "only_arm": "no other arm could be chosen",
    "imported": "another system made this decision; how it came to it is not known",
}


_NOTABLE = 0.0005


def reasons_of(found: Explanation, *, staged: bool) -> tuple[str, ...]:
    """Why, in sentences, the most important first. staged : rewards are counted by strategy."""
    chosen = found.arms[0]
    sentences = [_first(found)]
    if not found.rederived:
        sentences.append("it does not come out again from the log: what follows may not be why")
    sentences += _evidence(found, chosen, staged=staged)
    sentences += _features(found)
    acted = [rail for rail in found.guardrails if rail.acted]
    for rail in acted:
        who = "" if rail.author is None else f", ordered by {rail.author}: {rail.reason}"
        of = f" of {', '.join(rail.arms)}" if rail.arms else ""
        sentences.append(f"guardrail '{rail.rule}'{of} acted{who}")
    if found.eligible is not None:
        sentences.append(f"only {', '.join(found.eligible)} could be chosen")
    sentences += _changes(found)
    return tuple(sentences)


def _first(found: Explanation) -> str:
    share = f"{found.propensity:.1%}"
    staged = all(stage.name != ARM_STAGE for stage in found.stages)
    if found.kind in _SERVED:
        would = found.reason.partition(":")[2]
        also = f" (the learner would have chosen {would})" if found.kind == "shadow" and would else ""
        return f"{found.arm_id} was served with probability {share}: {_SERVED[found.kind]}{also}"
    if found.kind == "explored":
        top = max(found.arms, key=lambda view: view.probability)
        first = found.stages[0]
        others = first.probability if len(first.names) == 2 and first.name == COHORT_STAGE else 1.0
        name = top.arm_id.partition("(")[0] if staged else top.arm_id
        return (
            f"{found.arm_id} was drawn with probability {share}, to explore: "
            f"{name} was the most probable choice, with {others * top.probability:.1%}"
        )
    if staged:
        strategy = f"{found.strategy} was the most probable strategy"
        return f"{found.arm_id} was drawn with probability {share}: {strategy}"
    return f"{found.arm_id} was the most probable choice, with probability {share}"


def _evidence(found: Explanation, chosen: ArmView, *, staged: bool) -> Iterable[str]:
    if chosen.mean is None:
        return [f"policy '{found.policy}' held no belief about its expected reward"]
    count = _count(chosen.rewards, staged=staged)
    sentences = [f"its expected reward here was {interval_text(chosen)}, from {count}"]
    rival = next((view for view in found.arms if view.arm_id == found.runner_up), None)
    if rival is not None and rival.mean is not None:
        lead = chosen.mean - rival.mean
        word = "above" if lead >= 0 else "below"
        best = "" if chosen.best is None else f"; it was the best one with probability {chosen.best:.1%}"
        sentences.append(
            f"that is {abs(lead):.3f} {word} {rival.arm_id}, {interval_text(rival)}, "
            f"from {_count(rival.rewards, staged=staged)}{best}"
        )
    return sentences


def _features(found: Explanation) -> Iterable[str]:
    speaking = []
    for feature in found.features[:3]:
        weight = feature.effect if feature.margin is None else feature.margin
        if abs(weight) >= _NOTABLE:
            side = "for" if weight > 0 else "against"
            speaking.append(
                f"{feature.feature}={spelled_value(feature.value)} speaks {side} it ({weight:+.3f})"
            )
    against = "" if found.rival is None else f", against {found.rival}"
    return [f"beside the average context{against}: {', '.join(speaking)}"] if speaking else []


def _changes(found: Explanation) -> Iterable[str]:
    ways = []
    if found.changes:
        told = [
            f"{c.feature}={spelled_value(c.value)} ({c.arm_id}, {c.probability:.1%})"
            for c in found.changes[:4]
        ]
        ways.append(f"with {', or with '.join(told)}")
    rewards, none = found.rewards_to_change, False
    if rewards is not None:
        counts = [
            (rewards.failures, "reward of 0", "rewards of 0", rewards.leader),
            (rewards.successes, "reward of 1", "rewards of 1", rewards.rival),
        ]
        fewer = [f"{n:,} further {_plural(n, one, more)} of {arm}" for n, one, more, arm in counts if n]
        none = not fewer
        if fewer:
            ways.append(f"in this context behind {', or '.join(fewer)}")
    sentences = (
        [f"the policy's most probable arm would have been another one {'; or '.join(ways)}"] if ways else []
    )
    if rewards is not None and none:
        sentences.append(f"not even {rewards.most:,} further rewards in this context would have changed it")
    return sentences


def _plural(n: int | None, one: str, more: str) -> str:
    return one if n == 1 else more


def _count(rewards: int, *, staged: bool) -> str:
    return f"{rewards:,} {_plural(rewards, 'reward', 'rewards')} of its {'strategy' if staged else 'own'}"


def interval_text(view: ArmView) -> str:
    """An arm's expected reward and its interval."""
    if view.low is None or view.high is None:
        return f"{view.mean:.3f}"
    return f"{view.mean:.3f} ({view.low:.3f} to {view.high:.3f})"


def spelled_value(value: ParameterValue | None) -> str:
    """A value as people write it."""
    if value is None:
        return "?"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
