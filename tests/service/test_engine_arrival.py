"""The database answers, and its schema is not there yet: no call meets that, and each may be sent again."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, PerformanceMetrics
from nyx_learning.bandit.guardrails.settings import Budget, Guardrails
from nyx_learning.errors import DatabaseUnavailable
from nyx_learning.persistence import database
from nyx_learning.persistence.store import Store
from nyx_learning.rewards import ReferenceTimes, RewardSpec
from nyx_learning.service import arrival
from nyx_learning.service.bulk import ArmRequest, RewardReport

CONTEXT: dict[str, Any] = {"task": "code", "size": 4.0}

Call = Callable[[LearningEngine, Any], Awaitable[Any]]

NEED_THE_DATABASE: dict[str, Call] = {
    "adaptation_record": lambda e, _: e.adaptation_record(),
    "adopt_references": lambda e, _: e.adopt_references(ReferenceTimes(by=("task",))),
    "analyze_agent_performance_by_type": lambda e, _: e.analyze_agent_performance_by_type("coder"),
    "analyze_performance_trends": lambda e, _: e.analyze_performance_trends(),
    "analyze_resource_patterns": lambda e, _: e.analyze_resource_patterns(),
    "analyze_strategy_patterns": lambda e, _: e.analyze_strategy_patterns(),
    "analyze_temporal_patterns": lambda e, _: e.analyze_temporal_patterns(),
    "anomalies": lambda e, _: e.anomalies(),
    "budgets": lambda e, _: e.budgets(),
    "counts": lambda e, _: e.counts(),
    "decision": lambda e, _: e.decision("another"),
    "detect_failure_patterns": lambda e, _: e.detect_failure_patterns(),
    "detect_performance_anomalies": lambda e, _: e.detect_performance_anomalies(PerformanceMetrics()),
    "expire": lambda e, _: e.expire(1e9),
    "explain": lambda e, _: e.explain("another"),
    "export_log": lambda e, d: e.export_log(d["folder"] / "log.jsonl"),
    "flush": lambda e, _: e.flush(),
    "identify_optimization_opportunities": lambda e, _: e.identify_optimization_opportunities(),
    "import_log": lambda e, d: e.import_log(d["file"]),
    "override": lambda e, _: e.override("freeze", author="a", reason="b"),
    "overrides": lambda e, _: e.overrides(),
    "pattern_evolution": lambda e, _: e.pattern_evolution(),
    "patterns": lambda e, _: e.patterns(),
    "performance_baseline": lambda e, _: e.performance_baseline(),
    "predict_workflow_performance": lambda e, _: e.predict_workflow_performance(CONTEXT, "direct"),
    "propose_expected_references": lambda e, _: e.propose_expected_references(),
    "propose_references": lambda e, _: e.propose_references(),
    "record_execution": lambda e, _: e.record_execution("a-1", {"success": True}),
    "refresh_patterns": lambda e, _: e.refresh_patterns(),
    "report": lambda e, _: e.report(),
    "reprice": lambda e, _: e.reprice(RewardSpec()),
    "reserve": lambda e, d: e.reserve(d["decision"], cost=1.0),
    "retain": lambda e, _: e.retain(86_400.0),
    "retract": lambda e, _: e.retract("another"),
    "revoke": lambda e, _: e.revoke(1, author="a", reason="b"),
    "rewards": lambda e, _: e.rewards("another"),
    "settle": lambda e, d: e.settle(d["decision"], cost=1.0),
    "should_adapt_workflow": lambda e, d: e.should_adapt_workflow(
        PerformanceMetrics(duration_s=5.0), decision=d["decision"]
    ),
    "unlearned": lambda e, _: e.unlearned(),
    "verify": lambda e, _: e.verify(),
}

ANSWER_WITHOUT: dict[str, Call] = {
    "abandon": lambda e, d: e.abandon(d["decision"]),
    "monitoring": lambda e, _: e.monitoring(),  # the spec has no monitors
    "optimize_parameters": lambda e, _: e.optimize_parameters({"workers": 4}, strategy="parallel"),
    "recommend_strategy": lambda e, _: e.recommend_strategy(CONTEXT, predict=True),
    "select_arm": lambda e, _: e.select_arm(CONTEXT),
    "select_arms": lambda e, _: e.select_arms([ArmRequest(CONTEXT)]),
    "update_reward": lambda e, d: e.update_reward(d["decision"], Outcome(success=True)),
    "update_rewards": lambda e, d: e.update_rewards([RewardReport(d["decision"], reward=0.5)]),
}
NOT_TRIED = {
    "update_thought_tree_scores",  # queues for a table of the caller's own
    "evidence",  # of what another call has found
    "open",
    "close",
}


@pytest.fixture
def database_dsn(empty_dsn: str) -> str:
    """Without the schema, which is made when the database is there."""
    return empty_dsn


def test_every_call_is_tried() -> None:
    calls = {
        name
        for name, call in inspect.getmembers(LearningEngine, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert calls == NEED_THE_DATABASE.keys() | ANSWER_WITHOUT.keys() | NOT_TRIED


async def test_no_call_meets_a_database_that_is_not_ready(
    open_engine: Any, spec: BanditSpec, sql: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rails = Guardrails(budgets=(Budget("money", "cost", 10.0, 3600.0, hard=True),))
    own = replace(spec, reward=RewardSpec(window_s=60.0), guardrails=rails)
    file = tmp_path / "history.jsonl"
    file.write_text('{"decision_id": "old", "context": {"task": "code", "size": 1.0}, "arm_id": "direct"}\n')
    with monkeypatch.context() as patched:
        for module in (database, arrival):
            patched.setattr(module, "prepare", _away)
        engine = await open_engine(own, patience_s=0.0, spool=tmp_path / "spool")
        assert not engine.health().ready
        decision = await engine.select_arm(CONTEXT, "running")
        assert decision.mode == "spooled"
        given = {"decision": decision, "folder": tmp_path, "file": file}
        met = {name: await _met(call(engine, given)) for name, call in NEED_THE_DATABASE.items()}
        assert {name: error for name, error in met.items() if error != "DatabaseUnavailable"} == {}
        tried = {name: await _met(call(engine, given)) for name, call in ANSWER_WITHOUT.items()}
        assert {name: error for name, error in tried.items() if error} == {}
        assert await sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'nyx'") == [(0,)]
    await engine.flush()
    assert engine.health().ready
    assert (await engine.retract("running")).applied
    assert (await engine.verify()).ok


async def test_the_first_bandit_of_a_schema_is_made_known_before_it_is_written_for(
    open_engine: Any, spec: BanditSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema is there, and this bandit's spec is not: its rows would lack what they refer to."""
    await open_engine(replace(spec, name="other"))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "register", _away)
        engine = await open_engine(spec, patience_s=0.0, spool=tmp_path)
        assert await _met(engine.record_execution("a-1", {"success": True})) == "DatabaseUnavailable"
        assert (await engine.select_arm(CONTEXT, "running")).mode == "spooled"
    await engine.flush()
    assert (await engine.record_execution("a-1", {"success": True})).applied


async def _away(*_: Any) -> None:
    raise database.unavailable("a test") from ConnectionRefusedError("a test")


async def _met(call: Awaitable[Any]) -> str:
    """The name of the error that a call ends with; empty where it ends with an answer."""
    try:
        await call
    except Exception as error:  # noqa: BLE001 (which it is, is the question)
        retryable = isinstance(error, DatabaseUnavailable) and error.retryable
        return type(error).__name__ if retryable else repr(error)
    return ""
