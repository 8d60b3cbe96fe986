"""From a stored decision to the document that a log has of it."""

from __future__ import annotations

from typing import Any

from ...bandit import BanditSpec, Decision
from ...bandit.choice import TOTAL
from ...bandit.decision import ARM_STAGE, IMPORTED
from ...bandit.reports import RewardStatus

__all__ = ["document_of"]


def document_of(decision: Decision, status: RewardStatus, spec: BanditSpec) -> dict[str, Any]:
    """A decision with its reward in force, as plain JSON; ``spec`` is the one that decided.

    The reward is the one that counts now: corrected, priced anew, a default; None where nothing counts. An
    outcome stands there only where the reward was made from it. What a decision that was imported had learned
    is not known: ``state_seq`` is None.
    """
    units = spec.arms.units
    outcome = None
    if status.reward is not None and status.outcome is not None:
        outcome = status.outcome.to_dict()
    imported = decision.mode == IMPORTED
    return {
        "decision_id": decision.decision_id,
        "time": decision.time,
        "context": dict(decision.context),
        "arm_id": decision.arm_id,
        "propensity": decision.propensity or None,
        "reward": status.reward,
        "outcome": outcome,
        "success": None if outcome is None else outcome["success"],
        "eligible": None if decision.eligible is None else [units[i] for i in decision.eligible],
        "pmf": _pmf(decision),
        "state_seq": None if imported else decision.state_seq,
        "mode": decision.mode,
        "reason": decision.reason,
        "state": status.state.value,
        "bandit": decision.bandit,
        "spec_hash": decision.spec_hash,
    }


def _pmf(decision: Decision) -> dict[str, float] | None:
    """Probabilities of the listed arms, exact; None where the arm was not drawn from a list of all."""
    if not decision.stages or decision.stages[-1].name != ARM_STAGE:
        return None
    stage = decision.stages[-1]
    return {name: mass / TOTAL for name, mass in zip(stage.names, stage.pmf, strict=True) if mass}
