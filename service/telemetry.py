"""Decisions and rewards told to OpenTelemetry, where the process has set it up.

A span around each call, under whatever span is current; an event ``feature_flag.evaluation`` for each
decision, and ``gen_ai.evaluation.result`` for each score of an outcome and for the reward itself. No context
is told: features may hold what nobody else is to see.

Nothing is imported for this: whoever has set up a provider has imported the interface already. Where nobody
has, a call costs a look into a dictionary.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from .. import __version__
from ..bandit import Decision, Receipt
from ..errors import NyxError
from . import telemetry_names as names

__all__ = ["carried", "configured", "continued", "told_decisions", "told_receipts"]

_Result = TypeVar("_Result")


def configured() -> bool:
    """Whether the process has a provider of spans or of events."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    logs = sys.modules.get("opentelemetry._logs")
    return _is_set_up(trace.get_tracer_provider()) or (
        logs is not None and _is_set_up(logs.get_logger_provider())
    )


def _is_set_up(provider: object) -> bool:
    # The interface's own providers (proxies, no-ops) do nothing.
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry._logs"))


def carried() -> dict[str, str]:
    """Headers that let another process go on with the current trace; none where there is none."""
    headers: dict[str, str] = {}
    if configured():
        import_module("opentelemetry.propagate").inject(headers)
    return headers


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """Go on with the trace that headers tell of, unless a span is current already."""
    trace = sys.modules["opentelemetry.trace"]
    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    context = import_module("opentelemetry.context")
    token = context.attach(import_module("opentelemetry.propagate").extract(headers))
    try:
        yield
    finally:
        context.detach(token)


async def told_decisions(bandit: str, deciding: Awaitable[_Result], *, many: bool = False) -> _Result:
    """Await a decision, or a list of them, inside a span; then tell of each."""
    name = names.SPAN_SELECT_MANY if many else names.SPAN_SELECT

    def tell(found: Any, span: Any) -> None:
        decisions: Sequence[Decision] = found if many else [found]
        if not many:
            span.set_attributes(_decision_attributes(decisions[0]))
        for decision in decisions:
            _emit(names.FLAG, _flag_attributes(decision))

    return await _spanned(name, bandit, deciding, tell)


async def told_receipts(bandit: str, reporting: Awaitable[_Result], *, many: bool = False) -> _Result:
    """Await a receipt, or a list of receipts and errors, inside a span; then tell of what was applied."""
    name = names.SPAN_UPDATE_MANY if many else names.SPAN_UPDATE

    def tell(found: Any, span: Any) -> None:
        receipts: Sequence[Receipt | NyxError] = found if many else [found]
        for receipt in receipts:
            if isinstance(receipt, NyxError):
                continue
            if not many:
                span.set_attributes(_receipt_attributes(receipt))
            if receipt.applied:
                _tell_scores(bandit, receipt)

    return await _spanned(name, bandit, reporting, tell)


async def _spanned(
    name: str, bandit: str, work: Awaitable[_Result], tell: Callable[[Any, Any], None]
) -> _Result:
    trace = sys.modules["opentelemetry.trace"]
    tracer = trace.get_tracer(names.SCOPE, __version__)
    attributes = {names.BANDIT: bandit}
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            found = await work
        except Exception as error:
            kind = error.code if isinstance(error, NyxError) else type(error).__name__
            span.set_attribute(names.ERROR_TYPE, kind)
            # No message: it may hold a value of the context.
            span.set_status(trace.Status(trace.StatusCode.ERROR))
            raise
        tell(found, span)
        return found


def _decision_attributes(decision: Decision) -> dict[str, Any]:
    return {
        names.DECISION_ID: decision.decision_id,
        names.ARM: decision.arm_id,
        names.PROPENSITY: decision.propensity,
        names.REASON: decision.reason,
        names.MODE: decision.mode,
        names.STATE_SEQ: decision.state_seq,
    }


def _flag_attributes(decision: Decision) -> dict[str, Any]:
    return {
        names.FLAG_KEY: decision.bandit,
        names.FLAG_PROVIDER: names.PROVIDER,
        names.FLAG_VARIANT: decision.arm_id,
        names.FLAG_REASON: names.REASONS.get(decision.reason.partition(":")[0], "unknown"),
        names.FLAG_CONTEXT: decision.decision_id,
        names.FLAG_VERSION: decision.spec_hash,
        names.PROPENSITY: decision.propensity,
        names.REASON: decision.reason,
        names.MODE: decision.mode,
        names.STATE_SEQ: decision.state_seq,
    }


def _receipt_attributes(receipt: Receipt) -> dict[str, Any]:
    return {names.DECISION_ID: receipt.decision_id, names.STATE: receipt.state, names.STATE_SEQ: receipt.seq}


def _tell_scores(bandit: str, receipt: Receipt) -> None:
    scores = dict(receipt.components)
    if receipt.reward is not None:
        scores["reward"] = receipt.reward
    for name, value in scores.items():
        _emit(
            names.EVALUATION,
            {
                names.EVALUATION_NAME: name,
                names.EVALUATION_VALUE: float(value),
                names.BANDIT: bandit,
                **_receipt_attributes(receipt),
            },
        )


def _emit(event: str, attributes: dict[str, Any]) -> None:
    logs = sys.modules.get("opentelemetry._logs")
    if logs is None:
        return
    logger = logs.get_logger(names.SCOPE, __version__)
    logger.emit(
        logs.LogRecord(event_name=event, severity_number=logs.SeverityNumber.INFO, attributes=attributes)
    )
