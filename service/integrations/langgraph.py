"""LangGraph: a conditional edge that chooses the next node, and nodes whose outcome is learned from.

The decision's id is thread, place and step of the chosen node: a node that is tried again, resumed behind an
interrupt, or run again from a checkpoint is the same decision and gets one reward. Without a checkpointer a
graph counts its steps anew at each call: give each call a ``thread_id`` of its own then.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.types import RetryPolicy

from ...errors import InputInvalid
from ..execution import Execution
from ..learners import AsyncLearner
from ..noting import Ending

__all__ = ["LearnedNode", "LearnedRouter"]

_REMEMBERED_MAX = 10_000

NodeFunction = Callable[[Any, Execution[Any, Any]], Awaitable[Any]]


class LearnedNode(Protocol):
    """What ``StateGraph.add_node`` takes."""

    def __call__(self, state: Any, config: RunnableConfig) -> Awaitable[Any]:
        """Run the node; the update of the state."""


@dataclass(slots=True)
class _Asked:
    """What was asked for a decision, and how often its node has failed here."""

    context: Mapping[str, Any]
    failures: int = 0


class LearnedRouter:
    """Chooses among nodes; for graphs that are run by ``ainvoke`` or ``astream``.

    ``graph.add_conditional_edges("plan", router.route, router.nodes)`` chooses, and
    ``graph.add_node("parallel", router.node(parallel))`` runs what was chosen, times it, and reports.

    Parameters
    ----------
    learner : engine or asynchronous client.
    context : what the learner is told of a state.
    nodes : the node of each strategy or arm id; a list stands for nodes named like the strategies. Only
        these are eligible.
    name : tells routers of the same step apart.
    """

    def __init__(
        self,
        learner: AsyncLearner[Any, Any],
        *,
        context: Callable[[Any], Mapping[str, Any]],
        nodes: Mapping[str, str] | Iterable[str],
        name: str = "route",
    ) -> None:
        self._learner, self._context, self._name = learner, context, name
        self._nodes = dict(nodes) if isinstance(nodes, Mapping) else {node: node for node in nodes}
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._lock = threading.Lock()  # graphs may run on the loops of several threads

    @property
    def nodes(self) -> list[str]:
        """The nodes that may come next, each once."""
        return list(dict.fromkeys(self._nodes.values()))

    def decision_id(self, config: RunnableConfig, *, ahead: int = 0) -> str:
        """Id of the decision for the step that runs, or for one ``ahead``.

        Raises
        ------
        InputInvalid : the configuration names no thread.
        """
        thread = config.get("configurable", {}).get("thread_id")
        if not thread:
            raise InputInvalid(
                "the graph's configuration names no thread",
                expected="config={'configurable': {'thread_id': …}}",
                found="no thread_id",
                fix="pass one: a retry under the same id is the same decision",
            )
        metadata = config.get("metadata", {})
        # Of a graph within a graph: where it stands. What follows the last bar is the running node's own.
        place, _, _ = str(metadata.get("langgraph_checkpoint_ns", "")).rpartition("|")
        step = int(metadata.get("langgraph_step", 0)) + ahead
        return "/".join(part for part in (str(thread), place, str(step), self._name) if part)

    async def route(self, state: Any, config: RunnableConfig) -> str:
        """The conditional edge: the next node."""
        key = self.decision_id(config, ahead=1)
        asked = self._remember(key, dict(self._context(state)))
        decision = await self._learner.select_arm(asked.context, key, eligible=tuple(self._nodes))
        return self._nodes.get(decision.arm_id) or self._nodes[decision.strategy]

    def node(
        self,
        function: NodeFunction,
        *,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    ) -> LearnedNode:
        """A node that runs what was chosen: ``function(state, run)`` returns the update of the state.

        ``run.decision.parameters`` are the chosen ones; ``run.report(quality=.9)`` says more of the outcome.
        Its return is a success; what it raises is a failure; an interrupt, or a failure that
        ``retry_policy`` (the one that the node has in the graph) tries again, is not the end yet.
        """
        policies = (
            ()
            if retry_policy is None
            else (retry_policy,)
            if isinstance(retry_policy, RetryPolicy)
            else tuple(retry_policy)
        )

        async def learned(state: Any, config: RunnableConfig) -> Any:
            key = self.decision_id(config)
            # Another process routed, or this one before it was started anew: the state says the same.
            asked = self._remember(key, None) or self._remember(key, dict(self._context(state)))

            def ending(error: BaseException) -> Ending:
                if isinstance(error, GraphBubbleUp):
                    return "open"
                if isinstance(error, asyncio.CancelledError):
                    return "abandoned"
                if not isinstance(error, Exception):
                    return "open"
                asked.failures += 1
                tried_again = next((policy for policy in policies if _covers(policy, error)), None)
                return "open" if tried_again and asked.failures < tried_again.max_attempts else "failed"

            async with Execution(
                self._learner,
                asked.context,
                key,
                eligible=tuple(self._nodes),
                attempt=asked.failures + 1,
                ending=ending,
            ) as run:
                update = await function(state, run)
            with self._lock:
                self._asked.pop(key, None)
            return update

        learned.__name__ = getattr(function, "__name__", "learned")
        return learned

    def _remember(self, key: str, context: Mapping[str, Any] | None) -> Any:
        """What was asked under an id; or, with a context, that this is asked now."""
        with self._lock:
            if context is None or key in self._asked:
                return self._asked.get(key)
            while len(self._asked) >= _REMEMBERED_MAX:
                self._asked.popitem(last=False)
            asked = self._asked[key] = _Asked(context)
            return asked


def _covers(policy: RetryPolicy, error: Exception) -> bool:
    """Whether a policy tries again behind this error."""
    kinds = policy.retry_on
    if isinstance(kinds, type):
        return isinstance(error, kinds)
    if callable(kinds):
        return kinds(error)
    return isinstance(error, tuple(kinds))
