"""Open Bandit Pipeline: online policies, and its simulator over rounds drawn in a batch."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from obp.ope import (  # type: ignore[import-not-found, unused-ignore]
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)
from obp.policy import BernoulliTS, LinTS, LinUCB  # type: ignore[import-not-found, unused-ignore]
from obp.simulator import simulator  # type: ignore[import-not-found, unused-ignore]

from .logged import arrays
from .traffic import (
    ARMS,
    BOOTSTRAPS,
    COLUMNS,
    CONTEXTS,
    MANY_ARMS,
    REWARDS,
    SEEN,
    SUCCESSES,
    horizons,
)

PACKAGES = ["obp", "numpy"]

SAMPLED = "samples; no propensity"

Run = Callable[[int], None]

# Its progress bar is for people.
simulator.tqdm = lambda rounds: rounds


def entries() -> list[tuple[str, str, str, Callable[[], Run]]]:
    """What is measured."""
    return [
        ("online thompson_beta 10", "BernoulliTS", SAMPLED, _thompson),
        ("online linucb 10", "LinUCB", "", lambda: _contextual(_linucb(ARMS), ARMS)),
        ("online linucb 1000", "LinUCB", "", lambda: _contextual(_linucb(MANY_ARMS), MANY_ARMS)),
        ("online lints 10", "LinTS", SAMPLED, lambda: _contextual(_lints(ARMS), ARMS)),
        ("online lints 1000", "LinTS", SAMPLED, lambda: _contextual(_lints(MANY_ARMS), MANY_ARMS)),
        ("rounds thompson_sampled", "BanditPolicySimulator", "", lambda: _simulated(_bernoulli, 1)),
        ("rounds linucb", "BanditPolicySimulator", "", lambda: _simulated(lambda: _linucb(ARMS), COLUMNS)),
        *_off_policy(),
    ]


def _off_policy() -> list[tuple[str, str, str, Callable[[], Run]]]:
    made = {
        "ips": InverseProbabilityWeighting,
        "snips": SelfNormalizedInverseProbabilityWeighting,
        "dm": DirectMethod,
        "dr": DoublyRobust,
        "switch": lambda: SwitchDoublyRobust(lambda_=5.0),
        "shrunk": lambda: DoublyRobustWithShrinkage(lambda_=100.0),
    }
    found: list[tuple[str, str, str, Callable[[], Run]]] = []
    for name, make in made.items():
        found.append((f"ope value {name}", type(make()).__name__, "value alone", partial(_value, make)))
        if name in {"ips", "snips", "dr"}:
            found.append(
                (f"ope interval {name}", type(make()).__name__, "percentiles", partial(_interval, make))
            )
    return found


def _given() -> dict[str, Any]:
    log = arrays()
    return {
        "reward": log["reward"],
        "action": log["arm"],
        "pscore": log["propensity"],
        "action_dist": log["target"][:, :, None],
        "estimated_rewards_by_reg_model": log["q"][:, :, None],
        "position": np.zeros(len(log["arm"]), int),
    }


def _value(make: Callable[[], Any]) -> Run:
    estimator, given = make(), _given()

    def run(n: int) -> None:
        for _ in range(n):
            estimator.estimate_policy_value(**given)

    return run


def _interval(make: Callable[[], Any]) -> Run:
    estimator, given = make(), _given()

    def run(n: int) -> None:
        for _ in range(n):
            estimator.estimate_interval(n_bootstrap_samples=BOOTSTRAPS, random_state=1, **given)

    return run


def _bernoulli() -> Any:
    return BernoulliTS(n_actions=ARMS, random_state=1)


def _linucb(count: int) -> Any:
    return LinUCB(dim=COLUMNS, n_actions=count, epsilon=1.0, random_state=1)


def _lints(count: int) -> Any:
    return LinTS(dim=COLUMNS, n_actions=count, random_state=1)


def _thompson() -> Run:
    policy = _bernoulli()
    for i in range(SEEN * ARMS):
        policy.update_params(i % ARMS, SUCCESSES[i % 256])

    def run(n: int) -> None:
        for i in range(n):
            policy.update_params(int(policy.select_action()[0]), SUCCESSES[i & 255])

    return run


def _contextual(policy: Any, count: int) -> Run:
    contexts = [np.array([row]) for row in CONTEXTS]
    # Each update copies what all arms know. So, of many arms, only some have seen rewards.
    for i in range(SEEN * min(count, 100)):
        policy.update_params(i % count, REWARDS[i % 256], contexts[i % 256])

    def run(n: int) -> None:
        for i in range(n):
            context = contexts[i & 255]
            policy.update_params(int(policy.select_action(context)[0]), REWARDS[i & 255], context)

    return run


def _simulated(make: Callable[[], Any], columns: int) -> Run:
    seeds = random.Random(1)  # noqa: S311

    def run(n: int) -> None:
        for horizon in horizons(n):
            world = simulator.BanditEnvironmentSimulator(
                n_actions=ARMS, dim_context=columns, random_state=seeds.randrange(1 << 31)
            )
            played = simulator.BanditPolicySimulator(policy=make(), environment=world)
            played.steps(batch_bandit_rounds=world.next_bandit_round_batch(n_rounds=horizon))

    return run
