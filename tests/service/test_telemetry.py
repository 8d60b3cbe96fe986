"""What OpenTelemetry is told, with the real SDK; and nothing where it is not set up."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import feature_flag_attributes as flags
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from nyx_learning import AsyncNyxClient, BanditSpec, Outcome
from nyx_learning.errors import DecisionConflict
from nyx_learning.service import telemetry, telemetry_names
from nyx_learning.service.bulk import ArmRequest, RewardReport
from nyx_learning.service.http.app import create_app
from nyx_learning.service.http.options import ServeOptions

from .conftest import OpenEngine

SECRET = 7.25


class Told:
    """Spans and events so far."""

    def __init__(self) -> None:
        self._spans, self._events = InMemorySpanExporter(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.tracing, self.logging = TracerProvider(), LoggerProvider()
        self.tracing.add_span_processor(SimpleSpanProcessor(self._spans))
        self.logging.add_log_record_processor(SimpleLogRecordProcessor(self._events))

    def spans(self, name: str) -> list[Any]:
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def events(self, name: str) -> list[Any]:
        found = (each.log_record for each in self._events.get_finished_logs())
        return [record for record in found if record.event_name == name]

    def text(self) -> str:
        spans = [dict(span.attributes or {}) for span in self._spans.get_finished_spans()]
        events = [dict(each.log_record.attributes or {}) for each in self._events.get_finished_logs()]
        return json.dumps([spans, events])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Providers of the SDK, for this test alone: the interface lets them be set once in a process."""
    made = Told()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made.tracing)
    monkeypatch.setattr(_logs._internal, "_LOGGER_PROVIDER", made.logging)
    yield made
    made.tracing.shutdown()
    made.logging.shutdown()


async def test_decisions_and_scores_are_told_by_their_conventional_names(
    open_engine: OpenEngine, spec: BanditSpec, told: Told
) -> None:
    assert telemetry.configured()
    engine = await open_engine(spec)
    with trace.get_tracer("caller").start_as_current_span("workflow") as parent:
        decision = await engine.select_arm({"task": "code", "size": SECRET}, "wf-1")
        receipt = await engine.update_reward(decision, Outcome(success=True, quality=0.5))
    await engine.update_reward(decision, Outcome(success=True, quality=0.5))
    (selected,) = told.spans(telemetry_names.SPAN_SELECT)
    assert selected.parent.span_id == parent.get_span_context().span_id
    assert selected.attributes["nyx.decision.id"] == "wf-1"
    (flag,) = told.events("feature_flag.evaluation")
    assert flag.attributes[flags.FEATURE_FLAG_KEY] == spec.name
    assert flag.attributes[flags.FEATURE_FLAG_RESULT_VARIANT] == decision.arm_id
    assert flag.attributes[flags.FEATURE_FLAG_RESULT_REASON] == "split"
    assert flag.attributes[flags.FEATURE_FLAG_CONTEXT_ID] == "wf-1"
    assert flag.attributes[flags.FEATURE_FLAG_VERSION] == spec.spec_hash
    assert flag.attributes["nyx.propensity"] == decision.propensity
    assert flag.span_id == selected.context.span_id
    scores = {
        event.attributes[gen_ai.GEN_AI_EVALUATION_NAME]: event.attributes[
            gen_ai.GEN_AI_EVALUATION_SCORE_VALUE
        ]
        for event in told.events("gen_ai.evaluation.result")
    }
    assert scores == {**receipt.components, "reward": receipt.reward}  # once: the second one applied nothing
    assert len(told.spans(telemetry_names.SPAN_UPDATE)) == 2
    assert str(SECRET) not in told.text()


async def test_errors_and_batches_are_told_without_their_contexts(
    open_engine: OpenEngine, spec: BanditSpec, told: Told
) -> None:
    engine = await open_engine(spec)
    asked = [ArmRequest({"task": "code", "size": SECRET}, f"b{i}") for i in range(3)]
    await engine.select_arms(asked)
    answers = await engine.update_rewards(
        [RewardReport("b0", reward=1.0), RewardReport("none", reward=1.0)], errors="return"
    )
    assert len(answers) == 2
    assert len(told.events("feature_flag.evaluation")) == 3
    assert len(told.events("gen_ai.evaluation.result")) == 1
    assert len(told.spans(telemetry_names.SPAN_SELECT_MANY)) == 1
    with pytest.raises(DecisionConflict):
        await engine.select_arm({"task": "text", "size": SECRET}, "b0")
    (failed,) = told.spans(telemetry_names.SPAN_SELECT)
    assert failed.attributes["error.type"] == "decision_conflict"
    assert not failed.status.is_ok
    assert not failed.events
    assert str(SECRET) not in told.text()


async def test_a_trace_goes_on_behind_the_server(
    database_dsn: str, tmp_path: Any, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]], told: Told
) -> None:
    app = create_app(ServeOptions(dsn=database_dsn, keys=str(tmp_path / "none"), deadline_s=60.0))
    async with app.router.lifespan_context(app):
        (await app.state.bandits.put(spec.to_dict())).spec  # noqa: B018 - opened
        transport = httpx.ASGITransport(app)
        async with AsyncNyxClient("http://localhost", spec.name, transport=transport) as client:
            with trace.get_tracer("caller").start_as_current_span("workflow") as parent:
                headers = telemetry.carried()
                await client.select_arm(contexts(0), "wf-1", deadline_s=60)
        assert headers["traceparent"].split("-")[1] == f"{parent.get_span_context().trace_id:032x}"
        (selected,) = told.spans(telemetry_names.SPAN_SELECT)
        assert selected.context.trace_id == parent.get_span_context().trace_id
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as foreign:
            sent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
            body = {"context": contexts(1), "decision_id": "wf-2"}
            path = f"/v1/bandits/{spec.name}/decisions"
            assert (await foreign.post(path, json=body, headers=sent)).status_code == 200
        second = told.spans(telemetry_names.SPAN_SELECT)[1]
        assert f"{second.context.trace_id:032x}" == "ab" * 16


def test_nothing_is_imported_where_nobody_has_set_it_up() -> None:
    code = (
        "import sys; from nyx_learning.service import telemetry; import nyx_learning.service.engine; "
        "assert not telemetry.configured() and telemetry.carried() == {}; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_interface_alone_is_no_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(_logs._internal, "_LOGGER_PROVIDER", None)
    assert not telemetry.configured()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert not telemetry.configured()
