"""Many policies and bootstraps, cut up and run anywhere: the bits of one process."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid, NoOverlap
from nyx_learning.simulation.offpolicy import IntervalSpec, LoggedData, evaluate, evaluate_many, overlay
from nyx_learning.simulation.tasks import run_tasks

NAMES = ("ips", "snips", "dm", "dr", "mrdr", "replay")
HOW = IntervalSpec("bootstrap", replicates=101, seed=5)


@pytest.fixture(scope="module")
def log() -> LoggedData:
    rng = np.random.default_rng(3)
    pmf = np.array([0.6, 0.3, 0.1])
    arm, cell = rng.choice(3, 701, p=pmf), rng.integers(2, size=701)
    reward = (rng.random(701) < np.array([0.3, 0.5, 0.7])[arm]).astype(float)
    return LoggedData(("a", "b", "c"), arm, reward, pmf[arm], cell=cell, cells=("x", "y"))


TARGETS = {"cautious": np.array([0.7, 0.2, 0.1]), "bold": np.array([0.1, 0.2, 0.7])}


@pytest.mark.parametrize("parts", [1, 2, 7, 101])
def test_parts_change_no_bit(log: LoggedData, parts: int) -> None:
    expected = {name: evaluate(overlay(log, pmf), NAMES, HOW) for name, pmf in TARGETS.items()}
    assert evaluate_many(log, TARGETS, NAMES, HOW, parts=parts) == expected


def test_other_intervals_come_through(log: LoggedData) -> None:
    how = IntervalSpec("normal")
    expected = {name: evaluate(overlay(log, pmf), NAMES, how) for name, pmf in TARGETS.items()}
    assert evaluate_many(log, TARGETS, NAMES, how, parts=3) == expected


def test_processes_change_no_bit(log: LoggedData) -> None:
    one = evaluate_many(log, TARGETS, ("ips", "dr"), HOW)
    assert evaluate_many(log, TARGETS, ("ips", "dr"), HOW, parts=2, workers=2) == one


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="the extra 'dask' is missing")
@pytest.mark.filterwarnings("ignore")  # distributed's own, on starting and closing a cluster
def test_a_dask_cluster_changes_no_bit_and_is_left_as_it_was(log: LoggedData) -> None:
    from distributed import Client, LocalCluster

    one = evaluate_many(log, TARGETS, ("ips", "snips", "dr"), HOW)
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        found = evaluate_many(
            log, TARGETS, ("ips", "snips", "dr"), HOW, parts=3, backend="dask", scheduler=address
        )
        assert found == one
        with pytest.raises(NoOverlap):
            run_tasks(_refuse, None, [1, 2], backend="dask", scheduler=address)
        with Client(address, set_as_default=False) as client:
            assert len(client.scheduler_info()["workers"]) == 1
            assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0


def _refuse(_: object, task: int) -> int:
    raise NoOverlap(f"task {task}", expected="e", found="f", fix="x")


@pytest.mark.parametrize(
    "options",
    [
        {"parts": 0},
        {"parts": 102},
        {"workers": 0},
        {"backend": "cloud"},
        {"backend": "dask"},
        {"scheduler": "tcp://127.0.0.1:1"},
    ],
)
def test_what_cannot_run_is_refused(log: LoggedData, options: dict[str, object]) -> None:
    with pytest.raises(InputInvalid):
        evaluate_many(log, TARGETS, ("ips",), HOW, **options)  # type: ignore[arg-type]
