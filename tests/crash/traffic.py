"""What the writers do: which workflows there are, and what is reported of each.

Workflow ``n`` has one context and one right outcome, whoever reports it; so several writers send the same
thing again and again, and whoever sends anything else contradicts.
"""

from __future__ import annotations

from random import Random
from typing import Any

from nyx_learning import BanditSpec, Categorical, ContextSchema, Numeric, Outcome, PolicySpec, Strategy

__all__ = ["SPEC", "context", "fork_of", "number_of", "outcome", "workflow"]

SPEC = BanditSpec(
    name="crash",
    seed=11,
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 10)),
    policy=PolicySpec("ucb1", floor=0.3),
    baseline_arm="direct",
    bucket_rows=64,
)


def workflow(number: int) -> str:
    """The decision id of a workflow."""
    return f"w-{number}"


def number_of(decision_id: str) -> int:
    """The workflow of a decision id."""
    return int(decision_id.removeprefix("w-"))


def context(number: int) -> dict[str, Any]:
    """The context of a workflow."""
    return {"task": ("code", "text", "else")[number % 3], "size": number % 11 + 0.25}


def outcome(number: int, variant: int = 0) -> dict[str, Any]:
    """Arguments of ``update_reward``: the right report (0), a contradicting one (1), a correction (2)."""
    value = (number * 37 + variant * 29) % 101 / 100
    if number % 2:
        return {"reward": value}
    return {"outcome": Outcome(success=(number + variant) % 3 > 0, quality=value)}


def fork_of(seed: int, *parts: int) -> Random:
    """A generator of its own for one writer's life."""
    return Random("/".join(map(str, (seed, *parts))))  # noqa: S311 (chance that can be repeated)
