"""gittins: one sparse linear model over all arms, ε-greedy; a decision and its reward."""

from __future__ import annotations

from collections.abc import Callable

import gittins  # type: ignore[import-not-found, unused-ignore]

from .traffic import ARMS, CONTEXTS, MANY_ARMS, REWARDS, SEEN

PACKAGES = ["gittins"]

Run = Callable[[int], None]
HOUR = 3600.0


def entries() -> list[tuple[str, str, str, Callable[[], Run]]]:
    """What is measured."""
    plain, linear = "ε-greedy: no bonus is computed", "another class: ε-greedy on an O(d) model"
    return [
        ("online ucb1 10", "decide + learn", plain, lambda: _online(ARMS, 8, contextual=False)),
        ("online linucb 10", "decide + learn", linear, lambda: _online(ARMS, 12, contextual=True)),
        ("online linucb 1000", "decide + learn", linear, lambda: _online(MANY_ARMS, 18, contextual=True)),
    ]


def _online(count: int, bits: int, *, contextual: bool) -> Run:
    state = gittins.create(bits=bits, horizon=HOUR)
    candidates: list[tuple[str, dict[str, float]]] = [(f"a{i}", {}) for i in range(count)]
    contexts = [{f"x{j}": x for j, x in enumerate(row)} if contextual else {} for row in CONTEXTS]
    clock = [0.0]

    def run(n: int) -> None:
        for i in range(n):
            clock[0] += 1.0
            record = gittins.decide(state, contexts[i & 255], candidates, clock[0], "bench")
            gittins.learn(state, record.decision_id, REWARDS[i & 255], clock[0])

    run(min(SEEN * count, 300))
    return run
