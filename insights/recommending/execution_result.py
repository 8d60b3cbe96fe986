"""``ExecutionResult``: what one execution was, and what came of it, as agents report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any

from ...bandit.learner import checked_id, checked_time
from ...bandit.parameters import ParameterValue
from ...canonical import canonical_json
from ...errors import InputInvalid, OutcomeInvalid, shown
from ...features import Value
from ...features.kinds import UNSTORABLE
from ...features.monitors.performance import PerformanceMetrics
from ...rewards import Outcome

__all__ = ["MOST_BYTES", "ExecutionResult"]

MOST_BYTES = 32_768
"""Of a result as JSON."""

_MOST_ENTRIES = 64
_MOST_TEXT = 1000
_LARGEST = 1 << 63
_OUTCOME = ("success", "duration_s", "quality", "usefulness", "cost", "tokens", "retries", "timed_out")


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """One execution; only ``success`` must be known. Fields as in ``Outcome``, and

    reward : in [0, 1], where it is known; it is not computed here.
    strategy, parameters : what was executed. context : what was known before.
    agent_type : of the agent that executed it. time : of the report, in seconds since 1970.
    execution_id : which execution; its report is kept once. decision_id : the decision that led to it.

    >>> ExecutionResult(success=True, duration_s=12.5, parameters={"workers": 4}).to_dict()
    {'success': True, 'duration_s': 12.5, 'parameters': {'workers': 4}}

    Raises
    ------
    OutcomeInvalid, InputInvalid : a field out of its domain, or more than ``MOST_BYTES`` in all.
    """

    success: bool
    duration_s: float | None = None
    quality: float | None = None
    usefulness: float | None = None
    cost: float | None = None
    tokens: int | None = None
    retries: int | None = None
    timed_out: bool = False
    error_codes: tuple[str, ...] = ()
    reward: float | None = None
    strategy: str | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    context: Mapping[str, Value] = field(default_factory=dict)
    agent_type: str | None = None
    execution_id: str | None = None
    decision_id: str | None = None
    time: float | None = None

    def __post_init__(self) -> None:
        codes = self.error_codes
        object.__setattr__(self, "error_codes", tuple(codes) if isinstance(codes, list) else codes)
        _ = self.outcome  # refuses what is no outcome
        reward = self.reward
        number = isinstance(reward, (int, float)) and not isinstance(reward, bool)
        if reward is not None and not (number and 0.0 <= reward <= 1.0):
            raise _unusable("reward", "a number in [0, 1], or None", reward)
        for name in ("strategy", "agent_type"):
            text = getattr(self, name)
            if text is not None and not (isinstance(text, str) and _is_text(text)):
                raise _unusable(name, "a printable text of at most 1,000 characters, or None", text)
        for name in ("parameters", "context"):
            object.__setattr__(self, name, _mapping(name, getattr(self, name)))
        for name in ("execution_id", "decision_id"):
            if getattr(self, name) is not None:
                checked_id(getattr(self, name))
        object.__setattr__(self, "time", checked_time(self.time))
        size = len(canonical_json(self.to_dict()).encode())
        if size > MOST_BYTES:
            raise InputInvalid(
                "the execution's result is too long",
                expected=f"at most {MOST_BYTES:,} bytes as JSON",
                found=f"{size:,} bytes",
                fix="leave out what nobody will look for, or shorten texts",
            )

    @property
    def outcome(self) -> Outcome:
        """What a decision's reward is computed from.

        Raises
        ------
        OutcomeInvalid : a field out of its domain.
        """
        told = {name: getattr(self, name) for name in (*_OUTCOME, "error_codes", "agent_type")}
        return Outcome(**told)

    def with_metrics(self, metrics: PerformanceMetrics) -> ExecutionResult:
        """The result with what the metrics tell and it does not.

        Raises
        ------
        InputInvalid : both tell a metric, and differ.
        """
        told: dict[str, Any] = {}
        for name in ("duration_s", "cost", "quality", "tokens", "retries"):
            value, own = getattr(metrics, name), getattr(self, name)
            if value is None:
                continue
            if own is not None and own != value:
                raise InputInvalid(
                    f"the result and the metrics of an execution contradict each other: {name}",
                    expected=f"{own!r}, as in the result, or none in one of them",
                    found=f"{value!r} in the metrics",
                    fix="report it once",
                )
            told[name] = int(value) if name in ("tokens", "retries") and value == int(value) else value
        return ExecutionResult(**{**{f.name: getattr(self, f.name) for f in fields(self)}, **told})

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, without what was not told."""
        found: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None or (name != "success" and (value is False or value in ((), {}))):
                continue
            found[name] = dict(value) if isinstance(value, Mapping) else value
        return {**found, "error_codes": list(self.error_codes)} if self.error_codes else found

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> ExecutionResult:
        """The result of a mapping, such as parsed JSON.

        Raises
        ------
        OutcomeInvalid, InputInvalid : no mapping, an unknown field, or one out of its domain.
        """
        known = [f.name for f in fields(cls)]
        unknown = (
            sorted(set(map(str, document)) - set(known))
            if isinstance(document, Mapping)
            else [shown(document)]
        )
        if unknown or "success" not in document:
            raise OutcomeInvalid(
                "this is no result of an execution",
                expected=f"a mapping with 'success', and some of {', '.join(known[1:])}",
                found=f"{unknown!r:.160}" if unknown else "no 'success'",
                fix="correct the names",
            )
        return cls(**document)


def _mapping(name: str, value: object) -> dict[str, Any]:
    good = isinstance(value, Mapping) and len(value) <= _MOST_ENTRIES
    if good and isinstance(value, Mapping):
        good = all(isinstance(key, str) and _is_text(key) and _is_plain(item) for key, item in value.items())
    if not good:
        raise _unusable(name, f"at most {_MOST_ENTRIES} names with texts, finite numbers or booleans", value)
    return dict(value)  # type: ignore[call-overload, no-any-return]


def _is_text(text: str) -> bool:
    return len(text) <= _MOST_TEXT and not UNSTORABLE.search(text)


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return _is_text(value)
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < _LARGEST)


def _unusable(name: str, expected: str, found: object) -> InputInvalid:
    return InputInvalid(
        f"'{name}' of the execution's result is unusable",
        expected=expected,
        found=shown(found),
        fix="correct it, or leave it out",
    )
