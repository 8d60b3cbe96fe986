"""A recommendation in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...bandit.explaining.wording import spelled_value
from .recommendation import StrategyRecommendation

if TYPE_CHECKING:
    from ..patterns import StrategyPattern

__all__ = ["reasons_of"]

_NOTABLE = 0.0005
_THIN = 10


def reasons_of(
    found: StrategyRecommendation, patterns: Sequence[StrategyPattern], *, staged: bool
) -> tuple[str, ...]:
    """Why this arm, in sentences, the most important first."""
    return (
        *_worth(found, staged=staged),
        *_features(found),
        *_patterns(found, patterns),
        *_guardrails(found),
        *_exploring(found),
    )


def _worth(found: StrategyRecommendation, *, staged: bool) -> Iterable[str]:
    whose = "of its strategy" if staged else "of its own"
    count = f"{found.rewards:,} reward{'' if found.rewards == 1 else 's'} {whose}"
    if found.arms == 1:
        yield "no other arm may be chosen"
    if found.expected_reward is None:
        yield f"the policy holds no belief about its expected reward; it rests on {count}"
        return
    interval = "" if found.low is None else f" ({found.low:.3f} to {found.high:.3f})"
    yield f"its expected reward here is {found.expected_reward:.3f}{interval}, from {count}"
    behind = found.alternatives[0].behind if found.alternatives else None
    if behind is not None:
        best = ""
        if found.probability_best is not None:
            best = f"; it is the best of {found.arms} with probability {found.probability_best:.1%}"
        word = "above" if behind >= 0 else "below"
        yield f"that is {abs(behind):.3f} {word} {found.alternatives[0].arm_id}{best}"
    if found.gain is not None and found.gain_low is not None and found.gain != 0.0:
        yield f"above the baseline arm: {found.gain:+.3f} ({found.gain_low:+.3f} to {found.gain_high:+.3f})"
    if found.rewards < _THIN:
        yield "that is little evidence: what other arms taught speaks for it too"


def _features(found: StrategyRecommendation) -> Iterable[str]:
    speaking = []
    for feature in found.features[:3]:
        weight = feature.effect if feature.margin is None else feature.margin
        if abs(weight) >= _NOTABLE:
            side = "for" if weight > 0 else "against"
            value = spelled_value(feature.value)
            speaking.append(f"{feature.feature}={value} speaks {side} it ({weight:+.3f})")
    if speaking:
        against = "" if found.rival is None else f", against {found.rival}"
        yield f"beside the average context{against}: {', '.join(speaking)}"


def _patterns(found: StrategyRecommendation, patterns: Sequence[StrategyPattern]) -> Iterable[str]:
    for pattern in patterns:
        here = all(str(found.context.get(name)) == str(value) for name, value in pattern.cell)
        success = pattern.metric("success")
        if pattern.strategy != found.strategy or not here or success is None:
            continue
        where = ", ".join(f"{name} {value}" for name, value in pattern.cell) or "all contexts"
        finding = "" if success.finding is None else f", {success.finding} than the others"
        yield (
            f"in {pattern.n:,} recorded executions of {found.strategy} ({where}) "
            f"{success.value:.1%} succeeded ({success.low:.1%} to {success.high:.1%}){finding}"
        )


def _guardrails(found: StrategyRecommendation) -> Iterable[str]:
    for rail in found.guardrails:
        if rail.acted:
            of = f" of {', '.join(rail.arms)}" if rail.arms else ""
            who = (
                f" ({rail.author}: {rail.reason})"
                if rail.author
                else f" ({rail.reason})"
                if rail.reason
                else ""
            )
            yield f"guardrail '{rail.rule}'{of} acts{who}"


def _exploring(found: StrategyRecommendation) -> Iterable[str]:
    if found.arms > 1:
        yield (
            f"select_arm would choose it with probability {found.probability:.1%}: "
            f"{found.floor:.1%} of decisions explore evenly"
        )
