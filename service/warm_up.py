"""Load (or, the first time, compile) every kernel, so that no request waits for it."""

from __future__ import annotations

from ..bandit import Bandit, BanditSpec, PolicySpec, Strategy
from ..bandit.policies import CATALOG
from ..bandit.policies.catalog import example_parameters
from ..features import ContextSchema, Flag

__all__ = ["warm_up"]


def warm_up() -> None:
    """Run every policy once: a fraction of a second from the cache, half a minute when it is empty."""
    for policy in CATALOG:
        bandit = Bandit(
            BanditSpec(
                name="warm-up",
                strategies=[Strategy("a"), Strategy("b", {"n": [1, 2]})],
                context=ContextSchema(flag=Flag()),
                policy=PolicySpec(policy, **example_parameters(policy)),
                baseline_arm="a",
            )
        )
        for step in range(2):
            bandit.update_reward(bandit.select_arm({"flag": step == 0}), reward=0.5)
        bandit.beliefs({"flag": True})
