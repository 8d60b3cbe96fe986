"""A write that was handed to the group commit, and whoever waits for what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from ..bandit import Decision
from ..bandit.decision import DecisionText
from ..bandit.log import RewardRow, RowText

__all__ = ["Handed", "Written"]


class Written(NamedTuple):
    """What became of one write: the canonical decision, and the row and whether it is new."""

    decision: Decision | None
    row: RewardRow | None
    applied: bool


class Handed:
    """A write that was handed in. Each who waits for it has a future of their own, which they may give up."""

    __slots__ = (
        "_listening",
        "_result",
        "abandoned_at",
        "carry",
        "decision",
        "decision_text",
        "key",
        "reward",
        "text",
        "then",
    )

    def __init__(
        self,
        decision: Decision,
        reward: RewardRow | None,
        abandoned_at: float | None,
        *,
        carry: bool,
        text: DecisionText | None,
    ) -> None:
        self.key = decision.decision_id
        self.decision, self.reward, self.abandoned_at, self.carry = decision, reward, abandoned_at, carry
        # Spelled here, and not for the whole batch: so it is done while another batch is in flight.
        self.text: RowText | None = None if reward is None else reward.spelled()
        self.decision_text: DecisionText | None = (text or decision.spelled()) if carry else None
        self.then: Callable[[Handed], object] | None = None
        """Called as soon as it is known what became of it."""
        self._listening: list[asyncio.Future[Any]] = []
        self._result: Written | Exception | None = None

    @property
    def ended(self) -> bool:
        """True where it is known what became of it."""
        return self._result is not None

    def listen(self) -> asyncio.Future[Any]:
        """A future that gets what becomes of it, ``Written`` or an error; others may listen too."""
        future = asyncio.get_running_loop().create_future()
        if self._result is None:
            self._listening.append(future)
        else:
            _resolve(future, self._result)
        return future

    def end(self, result: Written | Exception) -> None:
        """Tell all who listen, once."""
        if self._result is not None:
            return
        self._result = result
        for future in self._listening:
            if not future.done():
                _resolve(future, result)
        self._listening.clear()
        if self.then is not None:
            self.then(self)


def _resolve(future: asyncio.Future[Any], result: Written | Exception) -> None:
    if isinstance(result, Written):
        future.set_result(result)
    else:
        future.set_exception(result)
