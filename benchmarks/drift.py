"""Drift: false alarms, delays, regret with and without monitors, and what they cost.

    python -m benchmarks.drift --replications 2000 [--bandits 40] [--cost]

The tables of docs/how-to/watch-for-drift.md. Streams and four-arm worlds are played by compiled loops around
the scan that ``Bandit`` uses; ``--bandits`` plays so many runs of each world with ``Bandit`` itself beside
them. ± is one standard error.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.drift_loops import KL_UCB, THOMPSON, alarms, play
from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.features.monitors import (
    AnomalyMonitor,
    ContextMonitor,
    DurationMonitor,
    Monitors,
    PerformanceMetrics,
    ShiftMonitor,
)
from nyx_learning.features.monitors.detectors import adwin
from nyx_learning.simulation.worlds.piecewise import PROBLEM_1, PROBLEM_2

NEEDED = Monitors().evidence
IDLE, BUCKET = 0.999, 25
FOUR = (0.8, 0.65, 0.6, 0.5)
WORLDS: dict[str, tuple[list[list[float]], int]] = {
    "nothing changes": ([[*FOUR]] * 5, 300),
    "best arm .8 → .4": ([[*FOUR]] * 2 + [[0.4, *FOUR[1:]]] * 3, 300),
    "best arm .8 → .55": ([[*FOUR]] * 2 + [[0.55, *FOUR[1:]]] * 3, 300),
    "worst arm .5 → .95": ([[*FOUR]] * 2 + [[*FOUR[:3], 0.95]] * 3, 300),
}
PROBLEMS = {"Pb1": PROBLEM_1, "Pb2": PROBLEM_2}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Drift: false alarms, delays, regret, cost.")
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--bandits", type=int, default=0)
    parser.add_argument("--cost", action="store_true", help="what monitors cost, and nothing else")
    options = parser.parse_args()
    if options.cost:
        _cost()
        return
    _false_alarms(options.replications)
    _delays(options.replications)
    _adwin(options.replications)
    _regret(options.replications, options.bandits)
    _cost()


def false_alarms(theta: float, replications: int, rows: int = 10_000) -> float:
    """False alarms in 10,000 stationary successes and failures."""
    return (
        1e4
        / rows
        * float(np.mean([len(alarms(_rng(s), theta, theta, 0, rows, NEEDED)) for s in range(replications)]))
    )


def delay(before: float, after: float, replications: int, change: int = 200) -> tuple[float, float]:
    """Median delay of the first alarm behind the change, and the share of runs with an earlier one."""
    delays, early = [], 0
    for seed in range(replications):
        found = alarms(_rng(seed), before, after, change, change + 1000, NEEDED)
        early += bool(len(found) and found[0] < change)
        late = found[found >= change]
        delays.append(late[0] - change + 1 if len(late) else np.inf)
    return float(np.median(delays)), early / replications


def regret(
    means: list[list[float]],
    length: int,
    policy: int,
    replications: int,
    *,
    watched: bool,
    idle: float = IDLE,
) -> tuple[float, float, float]:
    """Mean regret, its standard error, and alarms a run."""
    needed = NEEDED if watched else 0.0
    table = np.array(means)
    setting = table, length, policy, needed, idle, BUCKET
    runs = np.array([play(_rng(seed), *setting) for seed in range(replications)])
    return float(runs[:, 0].mean()), float(runs[:, 0].std() / np.sqrt(replications)), float(runs[:, 1].mean())


def bandit_regret(means: list[list[float]], length: int, policy: PolicySpec, seed: int) -> float:
    """Regret of one run of ``Bandit`` with the same setting."""
    table = np.array(means)
    rng = np.random.default_rng(seed)
    arms = [Strategy(f"arm{a}") for a in range(table.shape[1])]
    bandit = Bandit(
        BanditSpec("drift", arms, policy=policy, seed=seed, bucket_rows=BUCKET, monitors=Monitors())
    )
    total = 0.0
    for t in range(len(table) * length):
        mean = table[t // length]
        decision = bandit.select_arm({})
        total += mean.max() - mean[decision.arm]
        bandit.update_reward(decision, reward=float(rng.random() < mean[decision.arm]))
    return total


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _false_alarms(replications: int) -> None:
    print("false alarms in 10,000 stationary rewards")
    for theta in (0.3, 0.5, 0.8, 0.95, 0.99):
        print(f"  θ = {theta:4}: {false_alarms(theta, replications):.2f}")


def _delays(replications: int) -> None:
    print("median delay behind 200 rewards, and runs with an earlier alarm")
    for before, after in ((0.8, 0.4), (0.8, 0.6), (0.5, 0.8), (0.95, 0.8)):
        median, early = delay(before, after, replications)
        print(f"  {before} → {after}: {median:.0f}, {early:.1%}")


def adwin_figures(replications: int, rows: int = 10_000) -> tuple[float, float, float]:
    """What River's ADWIN does on such streams: false alarms in 10,000, and delays for .8 → .4 and .8 → .6."""
    false, late = 0, []
    for seed in range(min(replications, 50)):
        detector = adwin()
        false += sum(detector.update(float(r)) for r in _rng(seed).random(rows) < 0.8)
    for after in (0.4, 0.6):
        delays = []
        for seed in range(replications):
            detector, draws = adwin(), _rng(seed).random(1200)
            found = [t for t in range(1200) if detector.update(float(draws[t] < (0.8 if t < 200 else after)))]
            behind = [t for t in found if t >= 200]
            delays.append(behind[0] - 199 if behind else np.inf)
        late.append(float(np.median(delays)))
    return 1e4 / rows * false / min(replications, 50), late[0], late[1]


def _adwin(replications: int) -> None:
    false, large, small = adwin_figures(replications)
    print(f"River's ADWIN(δ=.3, clock=1): {false:.2f} false alarms at .8, delays {large:.0f} and {small:.0f}")


def _regret(replications: int, bandits: int) -> None:
    print(f"regret of Thompson sampling on four arms, 1,500 rounds, change at 600; idle_discount={IDLE}")
    for name, (means, length) in WORLDS.items():
        plain, _, _ = regret(means, length, THOMPSON, replications, watched=False, idle=1.0)
        mean, error, raised = regret(means, length, THOMPSON, replications, watched=True)
        line = f"  {name:20} plain {plain:6.1f}, watched {mean:6.1f} ± {error:.1f}, {raised:.2f} alarms"
        if bandits:
            policy = PolicySpec("thompson_beta", floor=0.0, idle_discount=IDLE)
            runs = [bandit_regret(means, length, policy, seed) for seed in range(bandits)]
            line += f", Bandit {np.mean(runs):.1f} ± {np.std(runs) / np.sqrt(bandits):.1f}"
        print(line, flush=True)
    print("regret of kl-UCB on piecewise stationary problems")
    for name, world in PROBLEMS.items():
        means, length = [list(row) for row in world.means], world.length
        plain, _, _ = regret(means, length, KL_UCB, replications, watched=False, idle=1.0)
        mean, error, raised = regret(means, length, KL_UCB, replications, watched=True)
        told = f"{mean:.1f} ± {error:.1f} ({mean / plain:.0%})"
        print(f"  {name}: plain {plain:.1f}, watched {told}, {raised:.1f} alarms")


def _cost() -> None:
    rng = np.random.default_rng(0)
    one = 1 << 16
    print("µs for each reward (median)")
    for dimension in (1, 8, 16, 32, 64):
        shift, context = (
            ShiftMonitor(dimension, 1, 50.0),
            ContextMonitor(["1", *map(str, range(1, dimension))]),
        )
        durations = DurationMonitor(dimension)
        rows = [[one, *map(int, rng.integers(-one, one, dimension - 1))] for _ in range(900)]

        def reward(i: int, phi: list[int], shift: ShiftMonitor = shift) -> None:
            shift.add(i, 0, phi, one * (i % 5 != 0))
            shift.judge()

        def duration(i: int, phi: list[int], durations: DurationMonitor = durations) -> None:
            durations.add(i, phi, 10.0 + i % 7, judge=False)

        def contexts(i: int, phi: list[int], context: ContextMonitor = context) -> None:  # noqa: ARG001
            context.add(phi)

        odd = AnomalyMonitor(dimension, 1)

        def anomaly(i: int, phi: list[int], odd: AnomalyMonitor = odd) -> None:
            metrics = PerformanceMetrics(
                10.0 + i % 7, 900.0 + i % 11, 0.1, 0.5 + i % 9 / 20, float(i % 3 == 0), 0.0
            )
            odd.add(i, 0, phi, metrics)

        parts: dict[str, Callable[[int, list[int]], None]] = {
            "reward": reward,
            "duration": duration,
            "context": contexts,
            "anomaly": anomaly,
        }
        medians = {name: _median_us(step, rows) for name, step in parts.items()}
        told = ", ".join(f"{name} {us:.1f}" for name, us in medians.items())
        print(f"  {dimension:3} columns: {told}; together {sum(medians.values()):.1f}")
    detector, value = adwin(), [float(rng.random() < 0.8) for _ in range(900)]
    began = time.perf_counter()
    for v in value:
        detector.update(v)
    print(f"  River's ADWIN: {(time.perf_counter() - began) / len(value) * 1e6:.1f}")


def _median_us(step: Callable[[int, list[int]], None], rows: list[list[int]]) -> float:
    taken = []
    for i, phi in enumerate(rows, start=1):
        began = time.perf_counter()
        step(i, phi)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e6


if __name__ == "__main__":
    main()
