"""Each call as a request and a way to read its answer, for clients that send it either way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import uuid4

from ...bandit import BanditSpec
from ...errors import InputInvalid, shown
from ...rewards import Outcome
from .answers import FALLBACK, ServedDecision, ServedReceipt

__all__ = [
    "Attempts",
    "Call",
    "abandon",
    "beliefs",
    "check_own",
    "create_bandit",
    "fallback",
    "health",
    "report",
    "retract",
    "rewards",
    "segment",
    "select",
]

_Result = TypeVar("_Result")
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
_PASSING = {429, 502, 503, 504}


class Call(NamedTuple, Generic[_Result]):
    """A request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Any], _Result]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] | None = None
    answers: tuple[int, ...] = ()

    def accepts(self, status: int) -> bool:
        """Whether a status that is no success is an answer all the same."""
        return status in self.answers


class Attempts:
    """How long a call is tried: the same request, with the same id, until a deadline."""

    def __init__(self, deadline_s: float, now: float) -> None:
        self._end, self._wait = now + deadline_s, _FIRST_WAIT_S

    def left(self, now: float) -> float:
        """Seconds until the deadline, at least a millisecond."""
        return max(0.001, self._end - now)

    def pause(self, now: float, asked: str | None = None) -> float | None:
        """Seconds to wait before the next try; None where it would come too late. ``asked`` : Retry-After."""
        wait, self._wait = self._wait, min(2.0 * self._wait, _LONGEST_WAIT_S)
        if asked is not None and asked.isdigit():
            wait = max(wait, float(asked))
        return wait if now + wait < self._end else None

    @staticmethod
    def passing(status: int, *, retryable: bool) -> bool:
        """Whether the same request may succeed later."""
        return status in _PASSING or retryable


def create_bandit(spec: BanditSpec) -> Call[None]:
    """``POST /v1/bandits``."""
    return Call("POST", "/v1/bandits", lambda _: None, spec.to_dict())


def select(
    bandit: str,
    context: Mapping[str, Any],
    decision_id: str | None,
    *,
    eligible: Iterable[str] | None,
    exclude: Iterable[str] | None,
    durable: bool,
) -> Call[ServedDecision]:
    """A choice; without an id it gets one here, so that a second try is the same decision."""
    body = {
        "context": dict(context),
        "decision_id": uuid4().hex if decision_id is None else decision_id,
        "eligible": None if eligible is None else list(eligible),
        "exclude": None if exclude is None else list(exclude),
        "durable": durable,
    }
    return Call("POST", f"/v1/bandits/{segment(bandit)}/decisions", ServedDecision.read, body)


def report(
    bandit: str,
    decision: ServedDecision | str,
    outcome: Outcome | None,
    *,
    reward: float | None,
    part: Mapping[str, Any] | None,
    source: str,
    identifier: str,
    corrects: int | None,
) -> Call[ServedReceipt]:
    """What a decision was worth."""
    body = {
        "outcome": None if outcome is None else outcome.to_dict(),
        "reward": reward,
        "part": None if part is None else dict(part),
        "source": source,
        "identifier": identifier,
        "corrects": corrects,
    }
    return _about(bandit, decision, body)


def retract(bandit: str, decision: ServedDecision | str) -> Call[ServedReceipt]:
    """Forget a decision."""
    return _about(bandit, decision, {"retract": True})


def abandon(bandit: str, decision: ServedDecision | str) -> Call[ServedReceipt]:
    """An execution that was cancelled."""
    return _about(bandit, decision, {"abandon": True})


def rewards(bandit: str, decision_id: str) -> Call[Mapping[str, Any]]:
    """A decision and where its reward stands, as the server tells it."""
    return Call("GET", f"/v1/decisions/{segment(decision_id)}", dict, query={"bandit": bandit})


def beliefs(
    bandit: str, context: Mapping[str, Any], eligible: Iterable[str] | None
) -> Call[Sequence[Mapping[str, Any]]]:
    """What is believed of each arm, as the server tells it."""
    body = {"context": dict(context), "eligible": None if eligible is None else list(eligible)}
    return Call("POST", f"/v1/bandits/{segment(bandit)}/beliefs", lambda told: told["beliefs"], body)


def health() -> Call[Mapping[str, Any]]:
    """Whether the server learns, and where not, why."""
    return Call("GET", "/health/learning", dict, answers=(503,))


def check_own(bandit: str, spec: BanditSpec) -> None:
    """Refuse a spec of another bandit than the client's.

    Raises
    ------
    InputInvalid : it is.
    """
    if spec.name != bandit:
        raise InputInvalid(
            "the spec is another bandit's",
            expected=f"a spec of '{bandit}'",
            found=f"one of '{spec.name}'",
            fix="make a client for that bandit",
        )


def fallback(call: Call[ServedDecision], bandit: str, arm_id: str) -> ServedDecision:
    """What the client decides by itself; its parameters are those of the arm's id."""
    body = call.body or {}
    strategy, parameters = _read_arm(arm_id)
    return ServedDecision(
        bandit,
        body["decision_id"],
        strategy,
        parameters,
        arm_id,
        None,
        FALLBACK,
        FALLBACK,
        context=body["context"],
    )


def _read_arm(arm_id: str) -> tuple[str, dict[str, Any]]:
    name, bracket, inner = arm_id.partition("(")
    if not bracket:
        return name, {}
    parameters: dict[str, Any] = {}
    for pair in inner.removesuffix(")").split(","):
        key, _, value = pair.partition("=")
        try:
            parameters[key] = json.loads(value)
        except ValueError:
            parameters[key] = value
    return name, parameters


def _about(bandit: str, decision: ServedDecision | str, body: Mapping[str, Any]) -> Call[ServedReceipt]:
    key = decision.decision_id if isinstance(decision, ServedDecision) else decision
    path = f"/v1/decisions/{segment(key)}/outcome"
    return Call("POST", path, ServedReceipt.read, body, {"bandit": bandit})


def segment(name: object) -> str:
    """A name as one segment of a path."""
    if not isinstance(name, str) or not name:
        raise InputInvalid(
            "a bandit's name or a decision's id is unusable",
            expected="a string that is not empty",
            found=shown(name),
            fix="pass the name or id that the server knows",
        )
    return quote(name, safe="", errors="replace")
