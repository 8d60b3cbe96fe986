"""What the monitor of anomalies reaches on seeded streams; full tables: ``benchmarks.anomalies``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SEEDS = range(2000, 2010)  # streams that no setting was chosen on


@pytest.fixture(scope="module")
def figures() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parents[2])
        yield importlib.import_module("benchmarks.anomalies")


@pytest.mark.parametrize("name", ["plain", "rough"])
def test_alarms_are_right_and_most_anomalies_are_found(figures: Any, name: str) -> None:
    streams = [figures.STREAMS[name](seed) for seed in _SEEDS]
    own = figures.together([figures.tally(figures.alarms(stream), stream.episodes) for stream in streams])
    assert own.precision >= 0.95
    assert own.recall >= 0.55
    river = figures.best(streams[:3], figures.DETECTORS["OneClassSVM"])
    assert own.f1 > river.f1 + 0.1


def test_nothing_happens_where_nothing_is_odd(figures: Any) -> None:
    """10 streams with their anomalies' rows left out: 10,000 rows of six metrics."""
    wrong = 0
    for seed in _SEEDS:
        stream = figures.STREAMS["plain"](seed)
        usual = stream.episodes == 0
        metrics = [one for one, keep in zip(stream.metrics, usual, strict=True) if keep]
        wrong += len(figures.alarms(stream._replace(contexts=stream.contexts[usual], metrics=metrics)))
    assert wrong <= 6


def test_windows_of_nab_are_found(figures: Any) -> None:
    """At least the F1 of River's best detector, ``StandardAbsoluteDeviation`` at its best threshold: .484."""
    if not (figures.NAB / "series.csv.gz").exists():
        pytest.skip(f"no NAB series in {figures.NAB}")
    data = figures.nab(figures.NAB).values()
    counts = [figures.windows_found(figures.series_alarms(values), windows) for values, windows in data]
    assert figures.window_f1(counts) >= 0.484
