"""Our side: the same rounds as the other libraries', and timed by ``drivers/serve.py`` like theirs.

Online, each case twice. "kernels" is what stands between the sums and the next arm: a row is added, the
changed arm is read, the pmf is computed, rounded and drawn from. "Bandit" is the public class, and does more
than any of the other libraries: context checked and encoded, keyed draw, decision and reward kept for
idempotency and audit. Both compute the exact probability of every arm.

Simulated: ``simulate``, the public runner, with rewards, truth and regret at the checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.policies import bandit_round, kernel_round, make_spec
from nyx_learning.bandit import BanditSpec, PolicySpec
from nyx_learning.simulation.contender import Contender
from nyx_learning.simulation.offpolicy import (
    IntervalSpec,
    LoggedData,
    dm,
    dr,
    dr_shrunk,
    ips,
    overlay,
    snips,
    switch_dr,
)
from nyx_learning.simulation.runner import simulate
from nyx_learning.simulation.worlds.base import World
from nyx_learning.simulation.worlds.bernoulli import Bernoulli
from nyx_learning.simulation.worlds.linear import Linear

from .drivers import traffic
from .drivers.logged import arrays

__all__ = ["PACKAGES", "entries"]

PACKAGES = ["nyx-learning", "numpy", "numba"]

Run = Callable[[int], int | None]
Entry = tuple[str, str, str, Callable[[], Run]]

_ONLINE = [
    ("ucb1", traffic.ARMS, 1),
    ("thompson_beta", traffic.ARMS, 1),
    ("linucb", traffic.ARMS, traffic.COLUMNS),
    ("linucb", traffic.MANY_ARMS, traffic.COLUMNS),
    ("lints", traffic.ARMS, traffic.COLUMNS),
    ("lints", traffic.MANY_ARMS, traffic.COLUMNS),
]


def entries() -> list[Entry]:
    """What is measured."""
    found: list[Entry] = []
    for policy, arms, columns in _ONLINE:
        case = f"online {policy} {arms}"
        make = partial(_online, policy, arms, columns)
        found += [
            (case, "kernels", "exact pmf", partial(make, kernel_round)),
            (case, "Bandit", "exact pmf; checks, log", partial(make, bandit_round)),
        ]
    bernoulli = Bernoulli(traffic.MEANS)
    linear = Linear.drawn(traffic.ARMS, traffic.COLUMNS - 1, seed=1)
    thompson = PolicySpec("thompson_beta", floor=0.0)
    contenders: list[tuple[str, str, World, Contender]] = [
        ("rounds ucb1", "exact pmf", bernoulli, Contender("ucb1", PolicySpec("ucb1", floor=0.0))),
        ("rounds thompson_sampled", "samples", bernoulli, Contender("ts", thompson, sampled=True)),
        ("rounds thompson_exact", "exact pmf", bernoulli, Contender("ts", thompson)),
        ("rounds linucb", "exact pmf", linear, Contender("linucb", PolicySpec("linucb", floor=0.0))),
    ]
    found += _off_policy()
    return found + [
        (case, "simulate", note, partial(_simulated, world, contender))
        for case, note, world, contender in contenders
    ]


def _online(policy: str, arms: int, columns: int, make: Callable[[BanditSpec], Callable[[int], None]]) -> Run:
    play = make(make_spec(policy, arms, columns))

    def run(n: int) -> None:
        for i in range(n):
            play(i)

    return run


_POINT = IntervalSpec("none")
_BOOTSTRAP = IntervalSpec("bootstrap", replicates=traffic.BOOTSTRAPS)


def _off_policy() -> list[Entry]:
    """A log that is checked anew in each round, then one value, or one interval."""
    names = ("ips", "snips", "dm", "dr", "switch", "shrunk")
    found: list[Entry] = [
        (f"ope value {name}", "offpolicy", "checks, error, ESS", partial(_estimated, name, _POINT))
        for name in names
    ]
    return found + [
        (f"ope interval {name}", "offpolicy", "checks, ESS", partial(_estimated, name, _BOOTSTRAP))
        for name in ("ips", "snips", "dr")
    ]


def _estimated(name: str, how: IntervalSpec) -> Run:
    given = arrays()
    arms = tuple(f"arm{a}" for a in range(traffic.LOGGED_ARMS))
    reward, arm, target, q = given["reward"], given["arm"], given["target"], given["q"]

    def run(n: int) -> None:
        for _ in range(n):
            over = overlay(LoggedData(arms, arm, reward, given["propensity"]), target)
            if name == "ips":
                ips(reward, over.weight, how)
            elif name == "snips":
                snips(reward, over.weight, how)
            elif name == "dm":
                dm(target, q, over.weight, how)
            elif name == "dr":
                dr(reward, over.weight, arm, target, q, how)
            elif name == "switch":
                switch_dr(reward, over.weight, arm, target, q, 5.0, how)
            else:
                dr_shrunk(reward, over.weight, arm, target, q, 100.0, how)

    return run


def _simulated(world: World, contender: Contender) -> Run:
    def run(n: int) -> int:
        # Whole replications: the first rounds of one, where all arms still compete, can cost more.
        replications = max(1, round(n / traffic.HORIZON))
        simulate(world, [contender], horizon=traffic.HORIZON, replications=replications, seed=1)
        return replications * traffic.HORIZON

    return run
