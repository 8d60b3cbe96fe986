"""The blocking client."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from ...bandit import BanditSpec
from ...errors import DatabaseUnavailable, NyxError, Overloaded
from ...rewards import Outcome
from ..telemetry import carried
from . import calls
from .answers import ServedDecision, ServedReceipt, error_of, unreachable
from .asking_blocking import Questions
from .calls import Attempts, Call

__all__ = ["NyxClient"]

_Result = TypeVar("_Result")
_PATIENCE_S = 10.0


class NyxClient(Questions):
    """The calls of ``LearningEngine`` for one bandit of a server, blocking.

    Parameters
    ----------
    url : of the server, such as ``http://127.0.0.1:8321``.
    bandit : whose decisions these are.
    key : what ``nyx-learning key create`` printed; None for a server without keys.
    deadline_s : for so long ``select_arm`` is tried.
    patience_s : for so long every other call is tried.
    fallback : arm id that ``select_arm`` answers with where no server answers within the deadline; None
        raises ``DatabaseUnavailable`` instead. Nothing learns from such a decision.
    transport : of httpx; for tests and proxies.

    A call is tried again with the same ids, so that what the server did the first time is not done twice.
    """

    def __init__(
        self,
        url: str,
        bandit: str,
        *,
        key: str | None = None,
        deadline_s: float = 1.0,
        patience_s: float = _PATIENCE_S,
        fallback: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__()
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.bandit = bandit
        self._deadline_s, self._patience_s, self._fallback = deadline_s, patience_s, fallback
        self._http = httpx.Client(base_url=url, headers=headers, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def create_bandit(self, spec: BanditSpec) -> None:
        """Create the bandit, or go over to a changed spec of it; needs an admin's key.

        Raises
        ------
        SpecInvalid : the server cannot use it. InputInvalid : it is another bandit's.
        """
        calls.check_own(self.bandit, spec)
        self._send(calls.create_bandit(spec), self._patience_s)

    def select_arm(
        self,
        context: Mapping[str, Any],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        durable: bool = True,
        deadline_s: float | None = None,
    ) -> ServedDecision:
        """``LearningEngine.select_arm``; ``deadline_s`` is that of all tries together.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : bad input.
        DecisionConflict : the id was used with another context or eligibility.
        DatabaseUnavailable : no server answers, and there is no fallback.
        """
        call = calls.select(
            self.bandit, context, decision_id, eligible=eligible, exclude=exclude, durable=durable
        )
        try:
            return self._send(call, self._deadline_s if deadline_s is None else deadline_s)
        except (DatabaseUnavailable, Overloaded):
            if self._fallback is None:
                raise
            return calls.fallback(call, self.bandit, self._fallback)

    def update_reward(
        self,
        decision: ServedDecision | str,
        outcome: Outcome | None = None,
        *,
        reward: float | None = None,
        part: Mapping[str, Any] | None = None,
        source: str = "",
        identifier: str = "",
        corrects: int | None = None,
    ) -> ServedReceipt:
        """``LearningEngine.update_reward``; a fallback's outcome is not sent, and its receipt says so.

        Raises
        ------
        DecisionUnknown, OutcomeInvalid, RewardConflict, RewardTooLate : as the engine raises them.
        DatabaseUnavailable : no server answers; send the same report again.
        """
        if isinstance(decision, ServedDecision) and decision.fallback:
            return ServedReceipt.unsent(decision.decision_id)
        call = calls.report(
            self.bandit,
            decision,
            outcome,
            reward=reward,
            part=part,
            source=source,
            identifier=identifier,
            corrects=corrects,
        )
        return self._send(call, self._patience_s)

    def retract(self, decision: ServedDecision | str) -> ServedReceipt:
        """``LearningEngine.retract``.

        Raises
        ------
        DecisionUnknown : no such decision is stored.
        """
        return self._send(calls.retract(self.bandit, decision), self._patience_s)

    def abandon(self, decision: ServedDecision | str) -> None:
        """``LearningEngine.abandon``; of a fallback nothing is sent: no server knows it.

        Raises
        ------
        DecisionUnknown : no such decision is stored. RewardConflict : it has a reward, or was retracted.
        """
        if isinstance(decision, ServedDecision) and decision.fallback:
            return
        self._send(calls.abandon(self.bandit, decision), self._patience_s)

    def rewards(self, decision_id: str) -> Mapping[str, Any]:
        """A stored decision and where its reward stands, as the server tells it.

        Raises
        ------
        DecisionUnknown : no such decision is stored.
        """
        return self._send(calls.rewards(self.bandit, decision_id), self._patience_s)

    def beliefs(
        self, context: Mapping[str, Any], *, eligible: Iterable[str] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Mean, sd and probability of each arm in a context; changes nothing."""
        return self._send(calls.beliefs(self.bandit, context, eligible), self._patience_s)

    def health(self) -> Mapping[str, Any]:
        """Whether the server learns; where not, why."""
        return self._send(calls.health(), self._patience_s)

    def _send(self, call: Call[_Result], deadline_s: float) -> _Result:
        attempts = Attempts(deadline_s, clock.monotonic())
        while True:
            asked = None
            try:
                response = self._http.request(
                    call.method,
                    call.path,
                    json=call.body,
                    params=call.query,
                    headers=carried(),
                    timeout=attempts.left(clock.monotonic()),
                )
            except httpx.TransportError as found:
                error: NyxError = unreachable(found)
            else:
                if response.is_success or call.accepts(response.status_code):
                    return call.read(response.json())
                error, asked = error_of(response), response.headers.get("retry-after")
                if not attempts.passing(response.status_code, retryable=error.retryable):
                    raise error
            pause = attempts.pause(clock.monotonic(), asked)
            if pause is None:
                raise error
            clock.sleep(pause)
