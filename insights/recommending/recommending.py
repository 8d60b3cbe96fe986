"""``recommend_strategy``: which arm to run in a context, from the posterior in memory. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from ...bandit import Learner
from ...bandit.choice import TOTAL
from ...bandit.explaining.candidates import Candidate, candidates_of
from ...bandit.explaining.effects import feature_effects
from ...bandit.explaining.judging import COVERAGE, Judged, Z, judge
from ...bandit.explaining.rails import rails_in_force
from ...bandit.guardrails.acting import NO_RULES, Rules, guard
from ...bandit.prediction import WorkflowInput
from ...errors import EligibilityEmpty, InputInvalid, shown
from .recommendation import Alternative, StrategyRecommendation
from .wording import reasons_of

if TYPE_CHECKING:
    from ..patterns import StrategyPattern, StrategyPatterns

__all__ = ["recommend_strategy"]

_MOST_ALTERNATIVES = 1024


def recommend_strategy(
    learner: Learner,
    workflow_input: WorkflowInput,
    historical_patterns: StrategyPatterns | Sequence[StrategyPattern] | None = None,
    *,
    eligible: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    alternatives: int = 3,
    time: float | None = None,
) -> StrategyRecommendation:
    """Say which arm to run in a context, how sure that is, and why.

    Nothing is drawn and nothing is learned: the same question at the same row has the same answer. An arm
    that is run because it was recommended, and not because ``select_arm`` chose it, has no propensity.

    Parameters
    ----------
    workflow_input : a context of the spec's schema.
    historical_patterns : of ``analyze_strategy_patterns``; what they say of the arm's strategy in such
        contexts is told among the reasons, and changes no number: the posterior knows the same executions.
    eligible, exclude : arm ids or strategy names, as of ``select_arm``.
    alternatives : at most so many are told.
    time : now, in seconds since 1970: overrides may have expired. None: none has.

    Raises
    ------
    ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : bad input.
    """
    if type(alternatives) is not int or not 0 <= alternatives <= _MOST_ALTERNATIVES:
        raise InputInvalid(
            "so many alternatives cannot be told",
            expected=f"a whole number from 0 to {_MOST_ALTERNATIVES}",
            found=shown(alternatives),
            fix="leave it out for three",
        )
    patterns = checked_patterns(historical_patterns)
    context, phi = learner.encoder.encode(workflow_input)
    allowed = learner.arms.eligible(eligible, exclude)
    rules = NO_RULES if learner.guards.idle else learner.guards.rules(time, learner.sums.totals)
    kept, acted = rules.narrowed(allowed, len(learner.arms))
    kept = allowed if kept is None else kept
    if kept == ():
        raise _all_barred(rules)
    views = learner.views(phi, kept)
    inside = list(range(len(views)) if kept is None else kept)
    every = candidates_of(learner, views)
    known = [every[i] for i in inside]
    masses, guarded = _masses(learner, [view.probability for view in views], rules, set(inside))
    judged = judge(learner, phi, [candidate.arm for candidate in known])
    shares = [masses[i] for i in inside]
    order = _ranked(judged, shares)
    baseline = learner.spec.baseline
    if rules.served is not None and baseline in inside:
        order.sort(key=lambda i: known[i].unit != baseline)
    told = [
        _alternative(learner, known[i], judged, i, order[0], shares[i]) for i in order[: 1 + alternatives]
    ]
    first, best = told[0], known[order[0]].arm
    apart = [i for i in order if known[i].arm.strategy != best.strategy]
    rival = next((known[i].arm for i in (*apart, *order[1:])), None)
    gain, gain_low, gain_high = _gain(learner, phi, judged, known, order[0])
    found = StrategyRecommendation(
        bandit=learner.spec.name,
        state_seq=learner.sums.seq,
        spec_hash=learner.spec.spec_hash,
        context=context,
        arm_id=first.arm_id,
        strategy=first.strategy,
        parameters=first.parameters,
        expected_reward=first.expected_reward,
        low=first.low,
        high=first.high,
        coverage=COVERAGE,
        probability_best=first.probability_best,
        probability=first.probability,
        rewards=first.rewards,
        alternatives=tuple(told[1:]),
        arms=len(known),
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
        prediction=None,
        rival=None if rival is None else rival.arm_id,
        features=feature_effects(learner, context, phi, best, rival).features,
        guardrails=rails_in_force(learner, time, rules, {*acted, *guarded}),
        floor=learner.spec.policy.floor,
        reasons=(),
    )
    return replace(found, reasons=reasons_of(found, patterns, staged=learner.arms.staged))


def _masses(
    learner: Learner, policy: Sequence[float], rules: Rules, inside: set[int]
) -> tuple[list[float], set[str]]:
    """Probability with which each row of the sums is chosen now, and which rules changed it."""
    count, baseline, acted = len(policy), learner.spec.baseline, set[str]()
    units = [round(share * TOTAL) for share in policy]
    serves = baseline in inside
    if rules.served is not None and serves:
        units, acted = [TOTAL * (unit == baseline) for unit in range(count)], {rules.served}
    elif rules is not NO_RULES and len(inside) > 1:
        guarded = guard(units, rules, [unit in inside for unit in range(count)], baseline)
        if guarded != units:
            acted = {cap.rule for cap in rules.caps} | ({"service"} if rules.share is not None else set())
        units = guarded
    holdout = learner.spec.holdout if serves else 0.0
    masses = [(1.0 - holdout) * mass / TOTAL for mass in units]
    if holdout:
        masses[baseline] += holdout
    return masses, acted


def _ranked(judged: Judged, masses: Sequence[float]) -> list[int]:
    """Places of the arms: by expected reward, and behind those without one by probability."""

    def key(i: int) -> tuple[bool, float, float]:
        mean = float(judged.mean[i])
        return (not isfinite(mean), -mean if isfinite(mean) else 0.0, -masses[i])

    return sorted(range(len(masses)), key=key)


def _alternative(
    learner: Learner, candidate: Candidate, judged: Judged, i: int, best: int, probability: float
) -> Alternative:
    mean, low, high = judged.interval(i)
    share = float(judged.best[i])
    top = float(judged.mean[best])
    return Alternative(
        arm_id=candidate.arm.arm_id,
        strategy=candidate.arm.strategy,
        parameters=dict(candidate.arm.parameters),
        expected_reward=mean,
        low=low,
        high=high,
        probability_best=share if isfinite(share) else None,
        probability=probability,
        rewards=int(learner.sums.totals[candidate.unit, 0]),
        behind=None if mean is None or not isfinite(top) else top - mean,
    )


def _gain(
    learner: Learner, phi: Sequence[int], judged: Judged, known: Sequence[Candidate], best: int
) -> tuple[float | None, float | None, float | None]:
    """What the arm is worth above the baseline arm, with an interval; None where that cannot be told."""
    spec = learner.spec
    if spec.baseline_arm is None:
        return None, None, None
    baseline = learner.arms.locate(
        spec.arms.units[spec.baseline] if not spec.arms.staged else spec.baseline_arm
    )[1]
    arm = known[best].arm
    if baseline.arm_id == arm.arm_id:
        return 0.0, 0.0, 0.0
    place = next((i for i, other in enumerate(known) if other.arm.arm_id == baseline.arm_id), None)
    if place is not None:
        mean, sd = judged.gain(best, place)
    else:
        mean, sd = judge(learner, phi, [arm, baseline]).gain(0, 1)
    if not isfinite(mean) or not isfinite(sd):
        return None, None, None
    return mean, mean - Z * sd, mean + Z * sd


def checked_patterns(
    patterns: StrategyPatterns | Sequence[StrategyPattern] | None,
) -> tuple[StrategyPattern, ...]:
    """Patterns as a tuple; ``InputInvalid`` for anything else."""
    if patterns is None:
        return ()
    from ..patterns import StrategyPattern, StrategyPatterns  # noqa: PLC0415 - loads scipy

    found = patterns.patterns if isinstance(patterns, StrategyPatterns) else patterns
    if isinstance(found, Sequence) and all(isinstance(pattern, StrategyPattern) for pattern in found):
        return tuple(found)
    raise InputInvalid(
        "the historical patterns are none",
        expected="what analyze_strategy_patterns returned, or a list of StrategyPattern",
        found=shown(patterns),
        fix="leave them out, or pass await engine.analyze_strategy_patterns()",
    )


def _all_barred(rules: Rules) -> EligibilityEmpty:
    return EligibilityEmpty(
        "guardrails leave no arm to recommend",
        expected="at least one eligible arm that is neither excluded, paused nor retired",
        found=f"all of them taken out by: {', '.join(rules.barred_by)}",
        fix="widen eligible, or look at overrides() and revoke one",
    )
