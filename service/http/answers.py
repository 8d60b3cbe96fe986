"""Values of the engine as the plain JSON that goes out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ...bandit import Beliefs, Decision, Receipt
from ...bandit.reports import RewardStatus
from ..engine import LearningEngine

__all__ = [
    "bandit_document",
    "belief_document",
    "decision_document",
    "finite",
    "json_answer",
    "receipt_document",
    "reward_document",
]

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def json_answer(document: Any, status: int = 200) -> Response:
    """JSON in ASCII: whatever text came in can go out again. NaN is a fault, not an answer."""
    return Response(_ENCODER.encode(document), status, media_type="application/json")


def finite(document: Any) -> Any:
    """The same document with null for numbers that JSON does not have; tuples become lists."""
    if isinstance(document, float):
        return document if math.isfinite(document) else None
    if isinstance(document, Mapping):
        return {str(name): finite(value) for name, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [finite(value) for value in document]
    return document


def decision_document(decision: Decision) -> dict[str, Any]:
    """``DecisionAnswer``."""
    return {
        "bandit": decision.bandit,
        "decision_id": decision.decision_id,
        "context": dict(decision.context),
        "strategy": decision.strategy,
        "parameters": dict(decision.parameters),
        "arm_id": decision.arm_id,
        "propensity": decision.propensity,
        "pmf": decision.pmf,
        "stages": [
            {"name": stage.name, "names": list(stage.names), "pmf": stage.pmf, "chosen": stage.chosen}
            for stage in decision.stages
        ],
        "eligible": decision.eligible,
        "epoch": decision.epoch,
        "reason": decision.reason,
        "mode": decision.mode,
        "spec_hash": decision.spec_hash,
        "state_seq": decision.state_seq,
        "time": decision.time,
    }


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """``ReceiptAnswer``."""
    return {
        "decision_id": receipt.decision_id,
        "seq": receipt.seq,
        "reward": receipt.reward,
        "applied": receipt.applied,
        "components": dict(receipt.components),
        "missing": list(receipt.missing),
        "state": receipt.state,
        "revision": receipt.revision,
    }


def reward_document(decision: Decision, status: RewardStatus) -> dict[str, Any]:
    """``RewardAnswer``."""
    return {
        "decision": decision_document(decision),
        "state": str(status.state),
        "reward": status.reward,
        "outcome": None if status.outcome is None else status.outcome.to_dict(),
        "components": dict(status.components),
        "missing": list(status.missing),
        "reports": len(status.rows),
    }


def belief_document(belief: Beliefs) -> dict[str, Any]:
    """``BeliefAnswer``."""
    return {
        "arm_id": belief.arm_id,
        "mean": None if math.isnan(belief.mean) else belief.mean,
        "sd": None if math.isnan(belief.sd) else belief.sd,
        "probability": belief.probability,
        "rewards": belief.rewards,
    }


def bandit_document(engine: LearningEngine) -> dict[str, Any]:
    """``BanditAnswer``."""
    spec = engine.spec
    return {
        "name": spec.name,
        "spec_hash": spec.spec_hash,
        "state_seq": engine.state_seq,
        "arms": None if spec.arms.staged else list(spec.arms.units),
        "spec": spec.to_dict(),
    }
