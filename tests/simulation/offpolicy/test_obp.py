"""Agreement with Open Bandit Pipeline: with its pinned outputs, and live where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from nyx_learning.simulation.offpolicy import (
    IntervalSpec,
    LoggedData,
    clipped_ips,
    diagnose,
    dm,
    dr,
    dr_shrunk,
    ips,
    overlay,
    snips,
    switch_dr,
)

HERE = Path(__file__).parent
PINNED = json.loads((HERE / "obp_pinned.json").read_text(encoding="utf-8"))


def interpreter() -> Path | None:
    """Of Open Bandit Pipeline, as ``python -m benchmarks.peers --install`` makes it."""
    folder = os.environ.get("NYX_PEERS")
    peers = Path(folder) if folder else platformdirs.user_cache_path("nyx-learning") / "peers"
    python = peers / "obp" / "bin" / "python"
    return python if python.exists() else None


def ask(*arguments: str, given: Any = None) -> Any:
    python = interpreter()
    if python is None:
        pytest.skip("obp is not installed: python -m benchmarks.peers --install, or name it in NYX_PEERS")
    done = subprocess.run(
        [str(python), str(HERE / "obp_reference.py"), *arguments],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={"PATH": os.environ["PATH"]},
    )
    return json.loads(done.stdout)


def ours(given: dict[str, Any]) -> dict[str, float]:
    reward, propensity = (np.array(given[name], float) for name in ("reward", "propensity"))
    arm = np.array(given["arm"])
    target, q = np.array(given["target"]), np.array(given["q"])
    weight = target[np.arange(len(arm)), arm] / propensity
    found = [
        ips(reward, weight),
        clipped_ips(reward, weight, given["clip"]),
        snips(reward, weight),
        dm(target, q, weight),
        dr(reward, weight, arm, target, q),
        switch_dr(reward, weight, arm, target, q, given["switch"]),
        dr_shrunk(reward, weight, arm, target, q, given["shrinkage"]),
    ]
    return {one.estimator: one.value for one in found}


def drawn(seed: int, n: int, arms: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    logging = rng.dirichlet(np.full(arms, 0.7), n) * 0.95 + 0.05 / arms
    arm = (logging.cumsum(axis=1) > rng.random((n, 1)) * logging.sum(axis=1, keepdims=True)).argmax(axis=1)
    return {
        "reward": rng.random(n).tolist(),
        "arm": arm.tolist(),
        "propensity": logging[np.arange(n), arm].tolist(),
        "target": rng.dirichlet(np.full(arms, 0.5), n).tolist(),
        "q": rng.random((n, arms)).tolist(),
        "clip": 2.0,
        "switch": 1.5,
        "shrinkage": 3.0,
    }


def test_values_are_those_that_it_gave() -> None:
    found = ours(PINNED["arrays"])
    assert found.keys() == PINNED["values"].keys()
    assert found == pytest.approx(PINNED["values"], abs=1e-9, rel=0)
    # The arrays tell the estimators apart: agreement is not a matter of special cases.
    assert len({round(value, 6) for value in found.values()}) == len(found)


@pytest.mark.parametrize(("seed", "n", "arms"), [(1, 500, 4), (2, 2000, 10)])
def test_values_are_those_that_it_gives(seed: int, n: int, arms: int) -> None:
    given = drawn(seed, n, arms)
    assert ours(given) == pytest.approx(ask("estimates", given=given), abs=1e-9, rel=0)


def test_what_is_pinned_is_what_it_says() -> None:
    assert ask("estimates", given=PINNED["arrays"]) == pytest.approx(PINNED["values"], abs=1e-12, rel=0)
    assert ask("example") == PINNED["example"]


def example() -> tuple[LoggedData, np.ndarray[Any, Any]]:
    """Its published example, from counts: 80 items at 3 positions, both uniform."""
    given = PINNED["example"]
    rows, clicks = np.array(given["rows"]), np.array(given["clicks"])
    policy = (np.array(given["policy"]) / given["draws"]).reshape(80, 3)
    place = np.repeat(np.arange(240), rows)
    clicked = np.concatenate([np.arange(n) < c for n, c in zip(rows, clicks, strict=True)]).astype(float)
    (propensity,) = given["propensity"]
    item, position = np.divmod(place, 3)
    log = LoggedData(
        tuple(f"item{i:02}" for i in range(80)),
        item,
        clicked,
        np.full(len(place), propensity),
        cell=position,
        success=clicked,
    )
    return log, policy.T[position]


def test_the_published_example_is_reproduced_and_is_not_significant() -> None:
    log, target = example()
    over = overlay(log, target)
    found = ips(log.reward, over.weight)
    assert len(log) == 10_000
    assert found.value == pytest.approx(0.004552880, abs=5e-10)
    assert found.value / log.reward.mean() == pytest.approx(1.198, abs=5e-4)
    # The famous "+20 %" has a standard error of .55 of the logged rate.
    assert found.standard_error / log.reward.mean() == pytest.approx(0.55, abs=0.02)
    assert found.interval.low < log.reward.mean() < found.interval.high
    anytime = ips(log.reward, over.weight, IntervalSpec("betting"))
    assert anytime.interval.low < log.reward.mean() < anytime.interval.high


def test_the_example_is_warned_of() -> None:
    log, target = example()
    warnings = " ".join(diagnose(overlay(log, target)).warnings)
    assert "1 % of the rows" in warnings or "tail is heavy" in warnings
