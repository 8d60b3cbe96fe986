"""What a round costs under each policy: one selection and one update, in µs.

``kernels``: a row is added to the sums, the changed arm is read, the policy computes its pmf, which is
rounded and drawn from. ``Bandit``: the same through ``select_arm`` and ``update_reward``: context checked and
encoded, keyed draw, decision and ledger. φ has 16 columns; every arm has seen some rewards before.

Figures are processor time, medians over blocks of rounds, with the best block beside them: other work on the
machine only ever adds. Limits: linucb K=10 kernels 15 µs, K=1000 Bandit 200 µs; lints K=10 kernels 50 µs.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

import numpy as np

from nyx_learning.bandit import ArmTable, Bandit, BanditSpec, PolicySpec, Strategy, kernels
from nyx_learning.bandit.policies import CATALOG, Setting, build
from nyx_learning.bandit.policies.catalog import example_parameters
from nyx_learning.bandit.sums import Sums
from nyx_learning.features import ONE, ContextSchema, Numeric

COLUMNS = 16
BLOCKS = 15
CASES = [(name, 10) for name in CATALOG] + [("ucb1", 1000), ("linucb", 1000)]


def make_spec(policy: str, arms: int, columns: int = COLUMNS) -> BanditSpec:
    """A bandit with ``arms`` strategies and numeric features for ``columns`` elements of φ."""
    return BanditSpec(
        "bench",
        [Strategy(f"s{i}") for i in range(arms)],
        context=ContextSchema(**{f"x{i}": Numeric(-1, 1) for i in range(columns - 1)}),
        policy=PolicySpec(policy, **example_parameters(policy)),
        baseline_arm="s0",
    )


def kernel_round(spec: BanditSpec) -> Callable[[int], None]:
    """One round on arrays: what stands between the log row and the next arm."""
    rng = np.random.default_rng(1)
    table = ArmTable(spec.strategies)
    arms, columns = len(table), spec.context.dimension
    setting = Setting(table, tuple(range(columns - 1)), spec.baseline, spec.policy.parameters)
    policy = build(spec.policy.name, setting)
    sums = Sums(arms, columns, spec.bucket_rows, len(CATALOG[spec.policy.name].statistics))
    encoded = [[ONE, *rng.integers(-ONE, ONE, columns - 1).tolist()] for _ in range(256)]
    phis = [np.array(phi) / ONE for phi in encoded]
    rewards = rng.integers(0, ONE, 256).tolist()
    draws = rng.integers(0, 1 << 32, 256).tolist()
    everything = np.ones(arms, np.bool_)
    pmf, units = np.zeros(arms), np.zeros(arms, np.int64)
    for i in range(3 * arms):
        sums.absorb(i % arms, 0, i + 1, encoded[i % 256], rewards[i % 256])
    state = [0]

    def run(i: int) -> None:
        j = i & 255
        further = policy.increments(0.1, rewards[j], i + 1)
        sums.absorb(state[0], 0, 1, encoded[j], rewards[j], further=further)
        policy.refresh(sums.reading, sums.refresh())
        policy.pmf(phis[j], everything, pmf)
        kernels.choice.quantise(pmf, everything, spec.policy.floor, units)
        state[0] = kernels.choice.draw(units, draws[j])

    return run


def bandit_round(spec: BanditSpec) -> Callable[[int], None]:
    """One round through the front door."""
    rng = np.random.default_rng(1)
    bandit = Bandit(spec)
    columns = spec.context.dimension
    contexts = [
        {f"x{i}": x for i, x in enumerate(row)} for row in rng.uniform(-1, 1, (256, columns - 1)).tolist()
    ]
    rewards = rng.random(256).tolist()
    for i in range(3 * len(spec.arms)):
        arm = spec.arms.units[i % len(spec.arms)]
        bandit.update_reward(bandit.select_arm(contexts[i % 256], eligible=[arm]), reward=rewards[i % 256])

    def run(i: int) -> None:
        j = i & 255
        bandit.update_reward(bandit.select_arm(contexts[j]), reward=rewards[j])

    return run


def microseconds(run: Callable[[int], None], rounds: int) -> tuple[float, float]:
    """Median and best block, per round."""
    for i in range(min(rounds, 20)):
        run(i)
    taken = []
    for block in range(BLOCKS):
        gc.collect()
        gc.disable()
        began = time.thread_time()
        for i in range(rounds):
            run(block * rounds + i)
        taken.append((time.thread_time() - began) / rounds * 1e6)
        gc.enable()
    return statistics.median(taken), min(taken)


def main() -> None:
    """Print the table."""
    print(f"{'':18}{'arms':>6}{'kernels':>18}{'Bandit':>18}   µs: median (best)")
    for name, arms in CASES:
        spec = make_spec(name, arms)
        rounds = 300 if arms <= 10 else 60
        cells = [microseconds(make(spec), rounds) for make in (kernel_round, bandit_round)]
        shown = "".join(f"{median:10.1f} ({best:5.1f})" for median, best in cells)
        print(f"{name:18}{arms:6}{shown}")


if __name__ == "__main__":
    main()
