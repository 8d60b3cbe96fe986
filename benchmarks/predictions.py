"""Predictions: error, log-loss and coverage beside River's models and the truth, by phase and behind shifts.

    python -m benchmarks.predictions [--seeds 12] [--plot docs/images/prediction-coverage.png]

The tables of docs/how-to/predict.md. Beside the models of ``features.expectations`` stands what River offers:
``BayesianLinearRegression(alpha=1, beta=6)`` on log-durations and ``LogisticRegression(AdaGrad(.1),
l2=.003)``, on the same columns, the arm, and (in worlds) arm × task type. Recorded runs are read where
``shared/data`` stands beside the repository.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.prediction_streams import RECORDED, SCHEMA, Execution, Scenario, recorded, stream
from nyx_learning import BanditSpec, Strategy
from nyx_learning.bandit.expecting import Expectations
from nyx_learning.bandit.log import RewardRow
from nyx_learning.features import Value
from nyx_learning.features.expectations import AmountModel, SuccessModel

Floats = npt.NDArray[np.float64]

PHASES = ((30, 100), (100, 300), (300, 1000))
SCENARIOS = (
    Scenario("all arms × 2", 2.0),
    Scenario("all arms × 3", 3.0),
    Scenario("all arms ÷ 2", 0.5),
    Scenario("one arm × 2", 2.0, arms=(0,)),
    Scenario("the arm with 85 % of the rows × 2", 2.0, arms=(0,), shares=(0.85, 0.05, 0.05, 0.05)),
    Scenario("heavy tails, all arms × 2", 2.0, heavy=True),
    Scenario("success falls by 1.5 logits", logit=-1.5),
)


class Scored(NamedTuple):
    """What was predicted of each execution, before it was known; NaN where nothing was.

    error : |log duration − predicted|. inside : held by its interval. width : of the interval, in logs.
    loss : log-loss of success. river_error, river_loss : of River's. own_error, own_loss : the truth's.
    held : the true probability lies in its interval. arm : whose execution it was.
    """

    error: Floats
    inside: Floats
    width: Floats
    loss: Floats
    river_error: Floats
    river_loss: Floats
    own_error: Floats
    own_loss: Floats
    held: Floats
    arm: Floats


def scored(executions: Sequence[Execution], arms: int, *, river: bool) -> Scored:
    """Predict and then learn each execution in turn."""
    dimension = len(executions[0].x)
    durations, successes = AmountModel(dimension, [()] * arms, 1e-3), SuccessModel(dimension, [()] * arms)
    others = _river() if river else None
    rows = []
    for e in executions:
        outlook, chance = durations.expect(e.arm, e.x), successes.expect(e.arm, e.x)
        error = inside = width = river_error = river_loss = own_error = own_loss = held = math.nan
        if outlook is not None:
            below, above = durations.scores.bounds
            low, high = outlook.middle + below * outlook.scale, outlook.middle + above * outlook.scale
            error, inside = abs(e.log_duration - outlook.middle), float(low <= e.log_duration <= high)
            width = high - low
        if others is not None:
            river_error, river_loss = others(e)
        if e.log_expected is not None and e.probability is not None:
            own_error, own_loss = abs(e.log_duration - e.log_expected), _loss(e.probability, e.success)
            held = float(chance.low <= e.probability <= chance.high)
        loss = _loss(chance.probability, e.success)
        rows.append(
            (error, inside, width, loss, river_error, river_loss, own_error, own_loss, held, float(e.arm))
        )
        durations.add(e.arm, e.x, math.exp(e.log_duration))
        successes.add(e.arm, e.x, e.success)
    return Scored(*np.array(rows).T)


def means(runs: Iterable[Scored], part: slice) -> dict[str, float]:
    """Means over a stretch of rows of all runs."""
    cut = [Scored(*(column[part] for column in run)) for run in runs]
    return {
        name: float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
        for name in Scored._fields
        for values in [np.concatenate([getattr(run, name) for run in cut])]
    }


def behind(runs: Iterable[Scored], scenario: Scenario, first: int, last: int) -> dict[str, float]:
    """Means over the first to last execution of the arms that a scenario shifts, behind its shift."""
    cut = []
    for run in runs:
        touched = np.flatnonzero(np.isin(run.arm, scenario.arms))
        touched = touched[touched >= scenario.at][first:last]
        cut.append(Scored(*(column[touched] for column in run)))
    return means(cut, slice(None))


def _loss(probability: float, success: bool) -> float:
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return -math.log(p if success else 1 - p)


def _river() -> Callable[[Execution], tuple[float, float]]:
    from river.linear_model import BayesianLinearRegression, LogisticRegression  # noqa: PLC0415 (seconds)
    from river.optim import AdaGrad  # noqa: PLC0415

    linear: Any = BayesianLinearRegression(alpha=1, beta=6)
    logistic: Any = LogisticRegression(AdaGrad(0.1), l2=0.003)

    def step(e: Execution) -> tuple[float, float]:
        row = {f"x{j}": float(v) for j, v in enumerate(e.x) if v}
        row |= {f"arm{e.arm}": 1.0, f"arm{e.arm}×{e.group}": 1.0}
        error = abs(e.log_duration - float(linear.predict_one(row)))
        loss = _loss(float(logistic.predict_proba_one(row).get(True, 0.5)), e.success)
        linear.learn_one(row, e.log_duration)
        logistic.learn_one(row, e.success)
        return error, loss

    return step


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Predictions: error, log-loss, coverage, cost.")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--plot", type=Path, help="write a plot of the coverage behind shifts")
    options = parser.parse_args()
    steady = [scored(stream(seed, 1000), 4, river=True) for seed in range(options.seeds)]
    print(f"{options.seeds} worlds in which nothing changes; phases in rows")
    _phases(steady, PHASES)
    shifted = {
        s.name: [scored(stream(100 + seed, 800, s), 4, river=False) for seed in range(options.seeds)]
        for s in SCENARIOS
    }
    _shifts(shifted)
    if options.plot is not None:
        plot(shifted, options.plot)
    _recorded()
    _cost()


def _phases(runs: Sequence[Scored], phases: Sequence[tuple[int, int]]) -> None:
    print("| rows | MAE | River | truth | log-loss | River | truth | coverage | width | of probability |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for first, last in phases:
        m = means(runs, slice(first, last))
        print(
            f"| {first}–{last} | {m['error']:.3f} | {m['river_error']:.3f} | {m['own_error']:.3f} | "
            f"{m['loss']:.3f} | {m['river_loss']:.3f} | {m['own_loss']:.3f} | {m['inside']:.3f} | "
            f"{m['width']:.2f} | {m['held']:.3f} |"
        )


def _shifts(shifted: dict[str, list[Scored]]) -> None:
    print("\nA shift behind row 500; behind it, executions of the arms that it concerns")
    print("| shift | coverage before | first 50 | next 100 | MAE before | first 50 | next 100 | log-loss over the truth: before | first 50 | next 100 |")  # fmt: skip # noqa: E501
    print("|---|---|---|---|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        runs = shifted[scenario.name]
        parts = (
            means(runs, slice(300, 500)),
            behind(runs, scenario, 0, 50),
            behind(runs, scenario, 50, 150),
        )
        cells = [f"{m['inside']:.3f}" for m in parts] + [f"{m['error']:.3f}" for m in parts]
        cells += [f"{m['loss'] - m['own_loss']:.3f}" for m in parts]
        print(f"| {scenario.name} | {' | '.join(cells)} |")


def plot(shifted: dict[str, list[Scored]], path: Path) -> None:
    """Share of the executions that were held, by their distance from the shift (means over 20 rows)."""
    import matplotlib as mpl  # noqa: PLC0415 (an extra)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for scenario in SCENARIOS[:-1]:
        held = np.array([run.inside for run in shifted[scenario.name]])
        rows = np.arange(300, 800, 20)
        share = [np.nanmean(held[:, row : row + 20]) for row in rows]
        axis.plot(rows + 10 - scenario.at, share, label=scenario.name, linewidth=1.4)
    axis.axhline(0.9, color="black", linewidth=0.8, linestyle="--")
    axis.axhspan(0.87, 0.93, color="black", alpha=0.08, linewidth=0)
    axis.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axis.set(
        xlabel="executions behind the shift",
        ylabel="share inside the interval",
        ylim=(0.5, 1.0),
        title="Coverage of the intervals of durations (nominal .90; band .87 to .93)",
    )
    axis.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"\nwrote {path.name}")


def _recorded() -> None:
    if not RECORDED.exists():
        print("\nrecorded runs: left out, because shared/data does not stand beside the repository")
        return
    for order in ("mixed", "batches"):
        executions, arms = recorded(RECORDED, order)
        run = scored(executions, arms, river=True)
        print(f"\n{len(executions):,} recorded runs of {arms} agents on 80 tasks, {order}")
        _phases([run], [(30, 300), (300, 1000), (1000, 2000), (2000, len(executions))])


def _cost() -> None:
    spec = BanditSpec("cost", [Strategy(f"arm-{i}") for i in range(4)], SCHEMA)
    known, times, asking = Expectations(spec), [], []
    context: dict[str, Value] = {
        "task_type": "coding",
        "complexity": "simple",
        "input_tokens": 900,
        "urgent": False,
    }
    for seq, e in enumerate(stream(1, 2000), start=1):
        phi = tuple(round(v * 65536) for v in e.x)
        outcome = {"success": e.success, "duration_s": math.exp(e.log_duration), "cost": 0.01}
        arm = f"arm-{e.arm}"
        row = RewardRow("cost", seq, f"d-{seq}", arm, 0, spec.encoding, phi, 0.25, 1, 0.1, outcome, {}, None)
        began = time.perf_counter()
        known.absorb(row)
        times.append(time.perf_counter() - began)
        if seq % 10 == 0:
            began = time.perf_counter()
            known.predict_workflow_performance(context, arm)
            asking.append(time.perf_counter() - began)
    print(
        f"\na row of success, duration and cost: median {1e6 * np.median(times[100:]):.0f} µs; "
        f"a prediction: {1e6 * np.median(asking):.0f} µs (4 arms, {len(SCHEMA)} features)"
    )


if __name__ == "__main__":
    main()
