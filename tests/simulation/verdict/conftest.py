"""Logs made by hand and by key."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from nyx_learning.simulation.interchange import LoggedChoice

Logs = Callable[..., list[LoggedChoice]]
ARMS = ("a", "b", "c")


@pytest.fixture
def logged() -> Logs:
    """n rows: contexts x and y by turns, success rates by context and arm, a pmf that is always the same."""

    def build(
        n: int,
        rates: Mapping[str, Sequence[float]],
        pmf: Sequence[float] = (0.5, 0.3, 0.2),
        *,
        seed: int = 1,
        whole: bool = True,
        composite: bool = False,
    ) -> list[LoggedChoice]:
        chance = random.Random(seed)  # noqa: S311 (a seeded simulation)
        rows = []
        for i in range(n):
            x = "xy"[i % 2]
            arm = chance.choices(range(3), pmf)[0]
            success = chance.random() < rates[x][arm]
            reward = (0.5 + 0.5 * chance.random()) * success if composite else float(success)
            rows.append(
                LoggedChoice(
                    i + 1,
                    f"d{i}",
                    float(i),
                    {"kind": x},
                    ARMS[arm],
                    pmf[arm],
                    reward,
                    success=success,
                    pmf=dict(zip(ARMS, pmf, strict=True)) if whole else None,
                )
            )
        return rows

    return build
