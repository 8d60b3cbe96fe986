"""Vowpal Wabbit: ε-greedy over a linear cost model, examples as text."""

from __future__ import annotations

import random
from collections.abc import Callable

import vowpalwabbit  # type: ignore[import-not-found, unused-ignore]

from .traffic import ARMS, CONTEXTS, MANY_ARMS, REWARDS, SEEN

PACKAGES = ["vowpalwabbit"]

Run = Callable[[int], None]


def entries() -> list[tuple[str, str, str, Callable[[], Run]]]:
    """What is measured."""
    note = "another class: ε-greedy on an O(d) model; pmf included"
    return [
        ("online linucb 10", "cb_explore", note, lambda: _online(ARMS)),
        ("online linucb 1000", "cb_explore", note, lambda: _online(MANY_ARMS)),
    ]


def _online(count: int) -> Run:
    workspace = vowpalwabbit.Workspace(f"--cb_explore {count} --epsilon 0.1 --quiet --random_seed 1")
    # Names such as f0: bare integers would be taken as hashes, and collide.
    features = ["| " + " ".join(f"f{j}:{x:.6f}" for j, x in enumerate(row)) for row in CONTEXTS]
    costs = [f"{-reward:.6f}" for reward in REWARDS]
    draw = random.Random(1).random  # noqa: S311

    for i in range(SEEN * count):
        workspace.learn(f"{i % count + 1}:{costs[i % 256]}:{1 / count} {features[i % 256]}")

    def run(n: int) -> None:
        for i in range(n):
            text = features[i & 255]
            pmf = workspace.predict(text)
            left = draw()
            arm = 0
            while left >= pmf[arm] and arm < count - 1:
                left -= pmf[arm]
                arm += 1
            workspace.learn(f"{arm + 1}:{costs[i & 255]}:{pmf[arm]:.6f} {text}")

    return run
