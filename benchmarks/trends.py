"""Trends: forecasts beside simple ones, and what their intervals cover.

    python -m benchmarks trends
    python -m benchmarks.trends --data ../shared/data/nab [--plot docs/images/trends.png]

Every method sees the same past (100 buckets) and forecasts 12 buckets, again and again. MAE and interval
score are in units of the last value's; the interval score (Winkler) adds to an interval's width 2/α for each
unit by which it misses; coverage is stated .9. The simple methods' intervals are those of their textbook:
residual sd times √h (last value, drift) or constant (mean). Holt-Winters is River's (alpha .3, beta .1), with
the sd of its own errors times √h.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nyx_learning.features.trends import Forecast, Series, forecast, series_of

Floats = npt.NDArray[np.float64]
Method = Callable[[Floats], tuple[Floats, Floats, Floats]]

PAST, STEPS, Z90 = 100, 12, 1.6449


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Trends: forecasts and what their intervals cover.")
    parser.add_argument("--series", type=int, default=40, help="of each kind")
    parser.add_argument("--data", help="folder of the nab series: hourly means of them are forecast too")
    parser.add_argument("--plot", help="draw forecasts there")
    options = parser.parse_args()
    kinds = {name: [make(s) for s in range(options.series)] for name, make in KINDS.items()}
    print(f"{options.series} seeded series of each kind, {PAST} buckets, {STEPS} ahead")
    for name, listed in kinds.items():
        table(name, [(y[:PAST], y[PAST:]) for y in listed])
    print(f"claims of a trend in {options.series} series that have none, and in those that have one")
    for name, listed in kinds.items():
        claims = [_forecast(y[:PAST]).direction != "steady" for y in listed]
        print(f"  {name:12} {np.mean(claims):.3f}")
    if options.data:
        cases = nab(Path(options.data))
        table("nab, hourly", cases)
    if options.plot:
        draw(options.plot)


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0x7E])


def _autoregressive(seed: int) -> Floats:
    e, y = _rng(seed).normal(size=PAST + STEPS), np.zeros(PAST + STEPS)
    for t in range(1, len(y)):
        y[t] = 0.7 * y[t - 1] + e[t]
    return y


def _shifted(seed: int) -> Floats:
    return np.where(np.arange(PAST + STEPS) < 70, 0.0, 5.0) + _rng(seed).normal(size=PAST + STEPS)


KINDS: dict[str, Callable[[int], Floats]] = {
    "noise": lambda s: _rng(s).normal(size=PAST + STEPS),
    "heavy tails": lambda s: _rng(s).standard_t(3, size=PAST + STEPS),
    "AR(1) .7": _autoregressive,
    "random walk": lambda s: np.cumsum(_rng(s).normal(size=PAST + STEPS)),
    "level shift": _shifted,
    "line": lambda s: 0.05 * np.arange(PAST + STEPS) + _rng(s).normal(size=PAST + STEPS),
}


def _forecast(y: Floats) -> Forecast:
    found = forecast(Series(0.0, 3600.0, y, np.where(np.isnan(y), 0.0, 1.0)), STEPS)
    if found is None:
        message = "a series is too short to be forecast"
        raise ValueError(message)
    return found


def ours(y: Floats) -> tuple[Floats, Floats, Floats]:
    """``features.trends.forecast``."""
    found = _forecast(y)
    return found.mean, found.low, found.high


def last_value(y: Floats) -> tuple[Floats, Floats, Floats]:
    """The last value goes on."""
    return _around(np.full(STEPS, y[-1]), np.diff(y).std() * np.sqrt(np.arange(1, STEPS + 1)))


def mean(y: Floats) -> tuple[Floats, Floats, Floats]:
    """The mean of all."""
    return _around(np.full(STEPS, y.mean()), np.full(STEPS, y.std() * np.sqrt(1 + 1 / len(y))))


def drift(y: Floats) -> tuple[Floats, Floats, Floats]:
    """The line through the first and the last value."""
    h = np.arange(1, STEPS + 1)
    slope = (y[-1] - y[0]) / (len(y) - 1)
    return _around(y[-1] + slope * h, np.diff(y).std() * np.sqrt(h * (1 + h / (len(y) - 1))))


def holt_winters(y: Floats) -> tuple[Floats, Floats, Floats]:
    """River's."""
    from river.time_series import HoltWinters  # noqa: PLC0415 (slow to import)

    untyped: Any = HoltWinters
    model, errors = untyped(alpha=0.3, beta=0.1), []
    for t, value in enumerate(y):
        if t > 2:
            errors.append(value - model.forecast(horizon=1)[0])
        model.learn_one(float(value))
    return _around(np.array(model.forecast(horizon=STEPS)), np.std(errors) * np.sqrt(np.arange(1, STEPS + 1)))


def _around(middle: Floats, sd: Floats) -> tuple[Floats, Floats, Floats]:
    return middle, middle - Z90 * sd, middle + Z90 * sd


METHODS: dict[str, Method] = {
    "ours": ours,
    "last value": last_value,
    "mean": mean,
    "drift": drift,
    "Holt-Winters": holt_winters,
}


def table(name: str, cases: list[tuple[Floats, Floats]]) -> None:
    """One line for each method."""
    scores = {
        label: [_score(method(past), future) for past, future in cases] for label, method in METHODS.items()
    }
    base = np.mean([s[:2] for s in scores["last value"]], axis=0)
    print(f"  {name} ({len(cases)} forecasts)")
    for label, listed in scores.items():
        error, interval, covered, late = np.mean(listed, axis=0)
        print(
            f"    {label:13} MAE {error / base[0]:5.2f}  interval score {interval / base[1]:5.2f}"
            f"  covered {covered:.3f}, last step {late:.3f}"
        )


def _score(found: tuple[Floats, Floats, Floats], future: Floats) -> tuple[float, float, float, float]:
    middle, low, high = found
    missed = np.maximum(low - future, 0.0) + np.maximum(future - high, 0.0)
    inside = (low <= future) & (future <= high)
    return (
        float(np.abs(future - middle).mean()),
        float((high - low + 20.0 * missed).mean()),
        float(inside.mean()),
        float(inside[-1]),
    )


def nab(folder: Path) -> list[tuple[Floats, Floats]]:
    """Hourly means of each series, scaled by its spread: a forecast every 24 hours."""
    by_name: dict[str, tuple[list[float], list[float]]] = {}
    with gzip.open(folder / "series.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            times, values = by_name.setdefault(row["series"], ([], []))
            times.append(datetime.fromisoformat(row["timestamp"] + "+00:00").timestamp())
            values.append(float(row["value"]))
    cases = []
    for times, values in by_name.values():
        hourly = series_of(times, values, 3600.0).mean
        hourly = hourly[~np.isnan(hourly)]
        low, high = np.quantile(hourly, [0.1, 0.9])
        hourly = hourly / max(high - low, 1e-9)
        cases += [(hourly[t - PAST : t], hourly[t : t + STEPS]) for t in range(PAST, len(hourly) - STEPS, 24)]
    return cases


def draw(path: str) -> None:
    """Six series with their forecasts."""
    import matplotlib as mpl  # noqa: PLC0415 (an extra)

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, 3, figsize=(12, 6), constrained_layout=True)
    for axis, (name, make) in zip(axes.flat, KINDS.items(), strict=True):
        y = make(3)
        middle, low, high = ours(y[:PAST])
        steps = np.arange(PAST, PAST + STEPS)
        axis.plot(y[:PAST], color="0.4", linewidth=1, label="past")
        axis.plot(steps, y[PAST:], "o", color="tab:red", markersize=3, label="what came")
        axis.plot(steps, middle, color="tab:blue", label="forecast")
        axis.fill_between(steps, low, high, color="tab:blue", alpha=0.25, label="90 %")
        axis.set_title(name)
        axis.set_xlabel("bucket")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
