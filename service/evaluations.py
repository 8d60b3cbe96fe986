"""Events ``gen_ai.evaluation.result`` of OpenTelemetry as reports: what a judge says of an execution teaches.

An event names the decision it is about (``nyx.decision.id``, or ``feature_flag.context.id``) and its metric
(``gen_ai.evaluation.name``). Each becomes a part of the decision's outcome, reported by a source of its own,
so that the same event again changes nothing, and another score of the same evaluator is a conflict. Parts
count once ``success`` is among them, as the spec's ``aggregate`` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InputInvalid, OutcomeInvalid, shown
from . import telemetry_names as names
from .bulk import RewardReport

__all__ = ["FIELDS", "reports_of_evaluations"]

FIELDS = (
    "quality",
    "usefulness",
    "format_compliance",
    "goal_achievement",
    "goal_alignment",
    "user_feedback",
    "business_impact",
    "success",
)
"""Fields of an outcome that an evaluation can be: all are in [0, 1], and success is yes or no."""

_PASSED = {"pass": True, "passed": True, "success": True, "true": True, "yes": True}
_FAILED = {"fail": False, "failed": False, "failure": False, "false": False, "no": False}
_LABELS = {**_PASSED, **_FAILED}
_MAX_TEXT = 180


def reports_of_evaluations(
    events: Iterable[Mapping[str, Any]],
    *,
    fields: Mapping[str, str] | None = None,
    scales: Mapping[str, tuple[float, float]] | None = None,
) -> list[RewardReport]:
    """Reports for ``LearningEngine.update_rewards``, one for each event.

    Parameters
    ----------
    events : attributes of ``gen_ai.evaluation.result``, by their names.
    fields : evaluation's name → field of the outcome, such as ``{"Relevance": "quality"}``; a name that is a
        field's own needs none.
    scales : evaluation's name → (lowest, highest) score, where they are not 0 and 1.

    >>> (report,) = reports_of_evaluations(
    ...     [{"nyx.decision.id": "wf-1", "gen_ai.evaluation.name": "Relevance",
    ...       "gen_ai.evaluation.score.value": 4}],
    ...     fields={"Relevance": "quality"}, scales={"Relevance": (1, 5)})
    >>> report.decision, dict(report.part), report.source
    ('wf-1', {'quality': 0.75}, 'gen_ai.evaluation/Relevance')

    Raises
    ------
    OutcomeInvalid : an event that names no decision or no metric, without a usable score.
    InputInvalid : ``fields`` or ``scales`` that cannot be meant.
    """
    fields, scales = fields or {}, scales or {}
    for name, field in fields.items():
        if field not in FIELDS:
            raise _unusable(f"'{name}' is to be a field that no evaluation can be", ", ".join(FIELDS), field)
    for name, (low, high) in scales.items():
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise _unusable(f"'{name}' has an unusable scale", "a lowest and a higher number", (low, high))
    return [_report(i, event, fields, scales) for i, event in enumerate(events)]


def _report(
    i: int,
    event: Mapping[str, Any],
    fields: Mapping[str, str],
    scales: Mapping[str, tuple[float, float]],
) -> RewardReport:
    key = event.get(names.DECISION_ID, event.get(names.FLAG_CONTEXT))
    name = event.get(names.EVALUATION_NAME)
    if not isinstance(key, str) or not key:
        raise _odd(i, f"the decision's id as {names.DECISION_ID}", key)
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_TEXT:
        raise _odd(i, f"{names.EVALUATION_NAME}, 1 to {_MAX_TEXT} characters", name)
    field = fields.get(name, name.lower())
    if field not in FIELDS:
        raise _odd(i, f"a name among {', '.join(FIELDS)}, or a field for it", name)
    value = _success(i, event) if field == "success" else _score(i, event, scales.get(name, (0.0, 1.0)))
    response = event.get(names.EVALUATION_RESPONSE, "")
    if not isinstance(response, str) or len(response) > _MAX_TEXT:
        raise _odd(i, f"{names.EVALUATION_RESPONSE}, at most {_MAX_TEXT} characters", response)
    return RewardReport(key, None, None, {field: value}, f"gen_ai.evaluation/{name}", response, None)


def _success(i: int, event: Mapping[str, Any]) -> bool:
    label, value = event.get(names.EVALUATION_LABEL), event.get(names.EVALUATION_VALUE)
    if isinstance(label, str) and label.lower() in _LABELS:
        return _LABELS[label.lower()]
    if value in (0, 1):
        return bool(value)
    raise _odd(
        i, f"{names.EVALUATION_LABEL} pass or fail, or a value 0 or 1", label if value is None else value
    )


def _score(i: int, event: Mapping[str, Any], scale: tuple[float, float]) -> float:
    value, (low, high) = event.get(names.EVALUATION_VALUE), scale
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise _odd(i, f"{names.EVALUATION_VALUE} from {low:g} to {high:g}", value)
    return (float(value) - low) / (high - low)


def _odd(i: int, expected: str, found: object) -> OutcomeInvalid:
    return OutcomeInvalid(
        f"item {i}: the evaluation cannot be a report",
        expected=expected,
        found=shown(found),
        fix="see docs/how-to/observe.md",
    )


def _unusable(what: str, expected: str, found: object) -> InputInvalid:
    return InputInvalid(what, expected=expected, found=shown(found), fix="correct fields or scales")
