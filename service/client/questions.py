"""Questions about the log and orders of people as requests, for clients that send them either way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from ...bandit.adapting import AdaptationRecommendation, AdaptationStakes
from ...bandit.advice_record import ActionRecord, AdaptationRecord
from ...bandit.guardrails import Override
from ...bandit.prediction import Expected, PerformancePrediction
from ...features.monitors import PerformanceMetrics
from ...rewards import Outcome
from .answers import ServedDecision, ServedReceipt
from .calls import Call, segment

__all__ = [
    "about",
    "adaptation",
    "adaptation_record",
    "ask",
    "decisions",
    "evaluations",
    "evidence",
    "execution",
    "optimize",
    "order",
    "order_list",
    "outcomes",
    "predict",
    "recommend",
    "refresh",
    "revocation",
]

Document = Mapping[str, Any]


def ask(bandit: str, what: str, **query: Any) -> Call[Document]:
    """A question by name; parameters that are None are left to the server."""
    told = {name: value for name, value in query.items() if value is not None}
    return Call("GET", f"/v1/bandits/{segment(bandit)}/{what}", dict, query=told)


def about(
    bandit: str, decision: ServedDecision | str, what: str, body: Document | None = None
) -> Call[Document]:
    """A question, or an order, about one decision."""
    key = decision.decision_id if isinstance(decision, ServedDecision) else decision
    path = f"/v1/decisions/{segment(key)}/{what}"
    return Call("GET" if body is None else "POST", path, dict, body, {"bandit": bandit})


def _post(bandit: str, what: str, body: Document, read: Callable[[Any], Any] = dict) -> Call[Any]:
    return Call("POST", f"/v1/bandits/{segment(bandit)}/{what}", read, body)


def decisions(bandit: str, requests: Iterable[Document], *, durable: bool) -> Call[list[ServedDecision]]:
    """Several choices; each without an id gets one here."""
    listed = [{**request, "decision_id": request.get("decision_id") or uuid4().hex} for request in requests]
    return _post(
        bandit,
        "decisions/batch",
        {"requests": listed, "durable": durable},
        lambda told: [ServedDecision.read(each) for each in told["decisions"]],
    )


def outcomes(bandit: str, reports: Iterable[Document]) -> Call[list[ServedReceipt | Document]]:
    """Several reports."""
    listed = []
    for report in reports:
        outcome = report.get("outcome")
        told = {**report, "outcome": outcome.to_dict()} if isinstance(outcome, Outcome) else dict(report)
        listed.append(told)
    return _post(bandit, "outcomes/batch", {"reports": listed}, _receipts)


def evaluations(
    bandit: str,
    events: Iterable[Document],
    fields: Mapping[str, str] | None,
    scales: Mapping[str, tuple[float, float]] | None,
) -> Call[list[ServedReceipt | Document]]:
    """Events ``gen_ai.evaluation.result`` as reports."""
    body = {
        "evaluations": [dict(event) for event in events],
        "fields": dict(fields or {}),
        "scales": {name: list(scale) for name, scale in (scales or {}).items()},
    }
    return _post(bandit, "evaluations", body, _receipts)


def _receipts(told: Any) -> list[ServedReceipt | Document]:
    return [each["error"] if "error" in each else ServedReceipt.read(each) for each in told["receipts"]]


def predict(bandit: str, context: Document, arm: str) -> Call[PerformancePrediction]:
    """What an execution is expected to do."""
    return _post(bandit, "predictions", {"context": dict(context), "arm": arm}, _prediction)


def _prediction(told: Any) -> PerformancePrediction:
    known: dict[str, Any] = {name: told[name] for name in PerformancePrediction.__dataclass_fields__}
    for name in ("success", "duration_s", "cost"):
        known[name] = Expected(**known[name])
    return PerformancePrediction(**{**known, "notes": tuple(known["notes"])})


def adaptation(
    bandit: str,
    current: PerformanceMetrics,
    expected: PerformanceMetrics | None,
    decision: ServedDecision | str,
    stakes: AdaptationStakes | None,
    limit_s: float | None,
    alternatives: Sequence[str],
    *,
    retries: bool,
) -> Call[AdaptationRecommendation]:
    """Whether a running execution is worth waiting for."""
    body = {
        "decision_id": decision.decision_id if isinstance(decision, ServedDecision) else decision,
        "current": current.reported(),
        "expected": None if expected is None else expected.reported(),
        "stakes": None
        if stakes is None
        else {name: value for name, value in asdict(stakes).items() if value is not None},
        "limit_s": limit_s,
        "retries": retries,
        "alternatives": list(alternatives),
    }
    return _post(bandit, "adaptation", body, _advice)


def _advice(told: Any) -> AdaptationRecommendation:
    known = {name: told[name] for name in AdaptationRecommendation.__dataclass_fields__}
    return AdaptationRecommendation(**{**known, "reasons": tuple(told["reasons"])})


def adaptation_record(bandit: str, time_window_s: float | None) -> Call[AdaptationRecord]:
    """How advice has done."""
    return Call(
        "GET",
        f"/v1/bandits/{segment(bandit)}/adaptation",
        lambda told: AdaptationRecord(tuple(ActionRecord(**one) for one in told["actions"]), told["advised"]),
        query={} if time_window_s is None else {"time_window_s": time_window_s},
    )


def refresh(bandit: str, body: Document) -> Call[Document]:
    """Patterns to find anew and store."""
    return _post(bandit, "patterns/stored", body, lambda told: told["patterns"])


def evidence(bandit: str, opportunity: Document) -> Call[Sequence[Document]]:
    """The executions behind one of the opportunities."""
    body = {"evidence": opportunity["evidence"], "limit": 100_000}
    return _post(bandit, "evidence", body, lambda told: told["executions"])


def order(
    bandit: str,
    rule: str,
    arms: Iterable[str] | str,
    *,
    reason: str,
    share: float | None,
    rows: int | None,
    until: float | None,
) -> Call[Override]:
    """A guardrail to order."""
    named = [arms] if isinstance(arms, str) else list(arms)
    body = {"rule": rule, "arms": named, "reason": reason, "share": share, "rows": rows, "until": until}
    return _post(bandit, "overrides", body, _override)


def revocation(bandit: str, seq: int, reason: str) -> Call[Override]:
    """The end of an override."""
    return _post(bandit, f"overrides/{int(seq)}/revocation", {"reason": reason}, _override)


def order_list(bandit: str, *, expired: bool) -> Call[list[Override]]:
    """The overrides in force."""
    path = f"/v1/bandits/{segment(bandit)}/overrides"
    return Call(
        "GET",
        path,
        lambda told: [_override(each) for each in told["overrides"]],
        query={"expired": str(expired).lower()},
    )


def _override(told: Any) -> Override:
    known = {name: told[name] for name in Override.__dataclass_fields__}
    return Override(**{**known, "arms": tuple(told["arms"])})


def execution(
    bandit: str,
    agent_id: str,
    result: Any,
    metrics: PerformanceMetrics | Mapping[str, float] | None,
    *,
    agent_type: str | None,
    execution_id: str | None,
    decision_id: str | None,
) -> Call[Document]:
    """What an agent did; one that is no decision's and has no id gets one here."""
    measured = metrics.reported() if isinstance(metrics, PerformanceMetrics) else metrics
    body = {
        "agent_id": agent_id,
        "result": dict(result) if isinstance(result, Mapping) else result.to_dict(),
        "metrics": None if measured is None else dict(measured),
        "agent_type": agent_type,
        "execution_id": uuid4().hex if execution_id is None and decision_id is None else execution_id,
        "decision_id": decision_id,
    }
    return _post(bandit, "executions", body)


def recommend(
    bandit: str,
    context: Document,
    *,
    eligible: Iterable[str] | None,
    exclude: Iterable[str] | None,
    alternatives: int,
    predict: bool,
) -> Call[Document]:
    """Which arm to run in a context."""
    body = {
        "context": dict(context),
        "eligible": None if eligible is None else list(eligible),
        "exclude": None if exclude is None else list(exclude),
        "alternatives": alternatives,
        "predict": predict,
    }
    return _post(bandit, "recommendation", body)


def optimize(
    bandit: str,
    current: Document,
    context: Document | None,
    strategy: str | None,
    limits: Mapping[str, float],
) -> Call[Document]:
    """Which parameters to run a strategy with."""
    body = {
        "current": dict(current),
        "context": None if context is None else dict(context),
        "strategy": strategy,
    }
    return _post(bandit, "parameters", {**body, **limits})
