"""Put an explanation together from the learner as it stood when the decision was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from ...errors import InputInvalid
from ..decision import GUARDED, Beliefs, Decision
from ..guardrails.acting import NO_RULES
from ..learner import Learner
from .candidates import Candidate, candidates_of, masses_of
from .effects import feature_effects
from .explanation import ArmView, Explanation
from .judging import COVERAGE, judge
from .rails import acted_by, rails_in_force
from .stages import stage_views
from .twin import twin_of
from .what_if import context_changes, rewards_to_change
from .wording import reasons_of

__all__ = ["explain_decision"]

_SHOWN_ARMS = 12


def explain_decision(learner: Learner, decision: Decision) -> Explanation:
    """Say why a decision came out as it did.

    Parameters
    ----------
    learner : of the spec that decided, at row ``decision.state_seq``; it is left as it is.
    decision : as it was made.

    Raises
    ------
    InputInvalid : the learner stands at another row, or has another spec.
    """
    spec, count, allowed = learner.spec, len(learner.arms), decision.eligible
    if (learner.sums.seq, spec.spec_hash) != (decision.state_seq, decision.spec_hash):
        raise InputInvalid(
            f"decision '{decision.decision_id}' was not made by this learner as it stands",
            expected=f"spec {decision.spec_hash} at row {decision.state_seq}",
            found=f"spec {spec.spec_hash} at row {learner.sums.seq}",
            fix="fold the log to that row, under the spec that decided",
        )
    context, phi = learner.encoder.encode(decision.context)
    rules = NO_RULES if learner.guards.idle else learner.guards.rules(decision.time, learner.sums.totals)
    kept = rules.narrowed(allowed, count)[0] or allowed
    views = learner.views(phi, kept)
    known = candidates_of(learner, views)
    stands = [candidate.arm for candidate in known]
    if decision.arm_id not in {candidate.name for candidate in known}:
        arm = learner.arms.locate(decision.arm_id)[1]
        known.append(Candidate(arm.arm_id, decision.arm, arm))
    chosen = next(i for i, candidate in enumerate(known) if candidate.name == decision.arm_id)
    told = _arm_views(learner, phi, decision, views, known, set(range(count) if kept is None else kept))
    others = [i for i, view in enumerate(told) if i != chosen and view.eligible and view.mean is not None]
    others.sort(key=lambda i: (-(told[i].mean or 0.0), i))
    apart = [i for i in others if known[i].arm.strategy != decision.strategy]
    rival = next(iter((*apart, *others)), None)
    rival_arm = None if rival is None else known[rival].arm
    effects = feature_effects(learner, context, phi, known[chosen].arm, rival_arm)
    again = learner.choose(
        context, phi, decision.decision_id, allowed, time=decision.time, mode=decision.mode
    )
    order = sorted(range(len(told)), key=lambda i: (i != chosen, -told[i].probability, i))
    compared = {chosen, *others[:1], *(() if rival is None else (rival,))}
    rest = [i for i in order if i not in compared][: _SHOWN_ARMS - len(compared)]
    shown = [i for i in order if i in compared or i in rest]
    found = Explanation(
        bandit=decision.bandit,
        decision_id=decision.decision_id,
        state_seq=decision.state_seq,
        spec_hash=decision.spec_hash,
        time=decision.time,
        mode=decision.mode,
        reason=decision.reason,
        kind=_kind(decision, masses_of(decision, count)),
        rederived=again == decision,
        context=dict(decision.context),
        arm_id=decision.arm_id,
        strategy=decision.strategy,
        parameters=dict(decision.parameters),
        propensity=decision.propensity,
        policy=spec.policy.name,
        floor=spec.policy.floor,
        coverage=COVERAGE,
        eligible=None if allowed is None else tuple(learner.arms.units[i] for i in allowed),
        arms=tuple(told[i] for i in shown),
        arms_left_out=max(0, len(told) - _SHOWN_ARMS),
        runner_up=told[others[0]].arm_id if others else None,
        rival=None if rival is None else told[rival].arm_id,
        average=effects.average,
        remainder=effects.remainder,
        features=effects.features,
        stages=stage_views(learner, decision, views, kept),
        guardrails=rails_in_force(learner, decision.time, rules, acted_by(decision.reason)),
        changes=context_changes(learner, context, kept),
        rewards_to_change=rewards_to_change(twin_of(learner), phi, kept, stands),
        reasons=(),
    )
    return replace(found, reasons=reasons_of(found, staged=learner.arms.staged))


def _arm_views(
    learner: Learner,
    phi: Sequence[int],
    decision: Decision,
    views: Sequence[Beliefs],
    known: Sequence[Candidate],
    eligible: set[int],
) -> list[ArmView]:
    judged = judge(learner, phi, [candidate.arm for candidate in known])
    inside = [i for i, candidate in enumerate(known) if candidate.unit in eligible]
    among = judge(learner, phi, [known[i].arm for i in inside]).best.tolist()
    best = dict(zip(inside, among, strict=True))
    masses, told = masses_of(decision, len(learner.arms)), []
    for i, (name, unit, _) in enumerate(known):
        mean, low, high = judged.interval(i)
        told.append(
            ArmView(
                arm_id=name,
                eligible=unit in eligible,
                rewards=int(learner.sums.totals[unit, 0]),
                mean=mean,
                low=low,
                high=high,
                best=_known(best.get(i, 0.0)) if low is not None else None,
                policy=views[unit].probability,
                probability=masses[unit],
            )
        )
    return told


def _known(share: float) -> float | None:
    return share if isfinite(share) else None


def _kind(decision: Decision, masses: Sequence[float]) -> str:
    head = decision.reason.partition(":")[0]
    if head not in ("policy", GUARDED):
        return head
    return "policy" if masses[decision.arm] >= max(masses) else "explored"
