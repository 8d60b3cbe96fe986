"""The third level: agents that find a misspelt product by methods that cost and know different things."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from world import CATALOGUES, Document

from nyx_learning import Decision, LearningEngine, Outcome
from nyx_learning.errors import RewardConflict


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What an agent found; ``quality`` is what a judge thinks of it."""

    answer: str
    quality: float


class BaseAgent(ABC):
    """Runs a task and reports how it went, to the bandit that chose it.

    An agent answers for its own work alone: its seconds are not those of the fetch before it, and a step that
    never reached it says nothing of it.
    """

    def __init__(self, agent_id: str, engine: LearningEngine) -> None:
        self.agent_id, self.engine = agent_id, engine

    async def execute(self, document: Document, text: str, decision: Decision) -> AgentResult:
        """Perform the task under a decision that chose this agent."""
        started = time.perf_counter()
        try:
            result = await self._perform_task(text, CATALOGUES[document.length])
        except asyncio.CancelledError:
            self.engine.abandon_soon(decision)
            raise
        except Exception as error:
            await self._update_performance_scores(
                decision,
                Outcome(
                    success=False,
                    duration_s=time.perf_counter() - started,
                    error_codes=(type(error).__name__,),
                ),
            )
            raise
        right = float(result.answer == document.product)
        await self._update_performance_scores(
            decision, Outcome(success=bool(right), duration_s=time.perf_counter() - started, quality=right)
        )
        return AgentResult(result.answer, right)

    @abstractmethod
    async def _perform_task(self, text: str, names: list[str]) -> AgentResult:
        """Find the name that the text means."""

    async def _update_performance_scores(self, decision: Decision, outcome: Outcome) -> None:
        with suppress(RewardConflict):  # of a workflow that is run again, the first report of a step stands
            await self.engine.record_execution(
                self.agent_id, outcome, agent_type=type(self).__name__, decision_id=decision.decision_id
            )


class ExactAgent(BaseAgent):
    """Looks the text up as it stands: free, and helpless against a typo."""

    async def _perform_task(self, text: str, names: list[str]) -> AgentResult:
        return AgentResult(text if text in names else "", 0.0)


class PrefixAgent(BaseAgent):
    """Takes the name that begins alike for longest: free, and lost where names begin alike."""

    async def _perform_task(self, text: str, names: list[str]) -> AgentResult:
        return AgentResult(max(names, key=lambda name: alike(text, name)), 0.0)


class TrigramAgent(BaseAgent):
    """Counts shared triples of letters: quick; of a short name too few survive a typo."""

    async def _perform_task(self, text: str, names: list[str]) -> AgentResult:
        wanted = triples(text)
        return AgentResult(max(names, key=lambda name: len(wanted & triples(name))), 0.0)


class EditAgent(BaseAgent):
    """Computes the edit distance to every name: right most often, and slow where names are long."""

    async def _perform_task(self, text: str, names: list[str]) -> AgentResult:
        best, least = "", len(text) + 1
        for name in names:
            found = distance(text, name)
            if found < least:
                best, least = name, found
            await asyncio.sleep(0)  # others may go on, and a cancelled agent stops
        return AgentResult(best, 0.0)


AGENTS: dict[str, type[BaseAgent]] = {
    "exact": ExactAgent,
    "prefix": PrefixAgent,
    "trigram": TrigramAgent,
    "edit": EditAgent,
}


def alike(one: str, other: str) -> int:
    """Letters until the first difference."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def triples(text: str) -> set[str]:
    """All runs of three letters."""
    return {text[place : place + 3] for place in range(len(text) - 2)}


def distance(one: str, other: str) -> int:
    """Letters to insert, remove or change, at least (Levenshtein)."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, row[0] = row[0], place
        for column, wanted in enumerate(other, 1):
            above, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, above + (letter != wanted)),
            )
    return row[-1]
