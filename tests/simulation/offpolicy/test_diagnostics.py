# mypy: disable-error-code="arg-type"
"""Diagnostics: they fire where they should, and are silent where they should."""

from __future__ import annotations

import csv
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from nyx_learning.errors import LogInvalid
from nyx_learning.simulation.offpolicy import (
    LoggedData,
    arm_ratio,
    calibration,
    diagnose,
    drift,
    ips,
    overlay,
    self_check,
)
from nyx_learning.simulation.offpolicy.diagnostics import pareto_shape

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "obd"
ARMS = ("a", "b", "c")


def sound(seed: int, n: int = 3000, *, pmfs: bool = True) -> LoggedData:
    rng = np.random.default_rng(seed)
    logging = rng.dirichlet(np.ones(3), n) * 0.7 + 0.1
    arm = np.minimum((logging.cumsum(axis=1) <= rng.random((n, 1))).sum(axis=1), 2)
    reward = (rng.random(n) < np.array([0.3, 0.5, 0.6])[arm]).astype(float)
    return LoggedData(ARMS, arm, reward, logging[np.arange(n), arm], logging if pmfs else None)


def test_a_sound_log_has_no_warnings() -> None:
    log = sound(1)
    found = diagnose(overlay(log, np.array([0.2, 0.3, 0.5])))
    assert found.warnings == ()
    assert found.own_weights == 0
    assert abs(found.weights.mean - 1) < 4 * found.weights.standard_error
    assert sum(arm.rows for arm in found.arms) == len(log)
    assert found.arms[2].target_share == pytest.approx(0.5)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_logging_policy_weighs_exactly_1_on_its_own_log() -> None:
    log = sound(2)
    assert log.logging is not None
    assert (overlay(log, log.logging).weight == 1.0).all()
    assert self_check(log) == 0
    assert log.propensity is not None
    wrong = np.array(log.propensity)
    wrong[7] = np.nextafter(wrong[7], 0.0)
    assert self_check(LoggedData(ARMS, log.arm, log.reward, wrong, log.logging)) == 1
    with pytest.raises(LogInvalid, match="own pmfs"):
        self_check(sound(2, pmfs=False))


def test_the_ratio_of_arms_under_one_pmf_is_pearsons() -> None:
    p = np.array([0.2, 0.3, 0.5])
    arm = np.repeat([0, 1, 2], [230, 290, 480])
    log = LoggedData(ARMS, arm, np.zeros(1000), p[arm], p)
    theirs = chisquare([230, 290, 480], 1000 * p)
    found = arm_ratio(log)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.freedom == 2


@pytest.mark.parametrize("pmfs", [True, False])
def test_mismatched_arms_are_found_and_sound_ones_are_not(pmfs: bool) -> None:
    chances = [arm_ratio(sound(seed, 800, pmfs=pmfs)).p_value for seed in range(200)]
    assert np.mean(np.array(chances) < 0.05) == pytest.approx(0.05, abs=0.04)
    log = sound(3, pmfs=pmfs)
    assert log.propensity is not None
    # A tenth of the rows of one arm got lost on the way.
    kept = ~((log.arm == 1) & (np.random.default_rng(1).random(len(log)) < 0.25))
    assert arm_ratio(log.take(kept)).p_value < 1e-3
    assert any(
        "do not come as often" in w for w in diagnose(overlay(log.take(kept), np.full(3, 1 / 3))).warnings
    )


def test_drift_inside_the_log_is_found() -> None:
    rng = np.random.default_rng(4)
    n = 2000
    arm = rng.integers(2, size=n)
    for slope, low, high in ((0.0, 0.01, 1.0), (0.4, 0.0, 1e-6)):
        reward = (rng.random(n) < 0.3 + slope * np.arange(n) / n).astype(float)
        found = drift(LoggedData(("a", "b"), arm, reward, np.full(n, 0.5)))
        assert found.freedom == 9
        assert low <= found.p_value <= high
    tiny = drift(LoggedData(("a", "b"), [0, 1], [0.0, 1.0], [0.5, 0.5]))
    assert tiny.freedom == 0
    assert math.isnan(tiny.p_value)


def test_drift_says_nothing_too_often() -> None:
    chances = [drift(sound(seed, 600)).p_value for seed in range(200)]
    assert np.mean(np.array(chances) < 0.05) < 0.1


def test_calibration_in_bins() -> None:
    rng = np.random.default_rng(6)
    p = rng.random(20_000)
    bins = calibration(p, rng.random(20_000) < p)
    assert [b.count for b in bins] == [2000] * 10
    assert all(abs(b.observed - b.predicted) < 4.5 * b.standard_error for b in bins)
    assert all(
        abs(b.observed - b.predicted) > 4.5 * b.standard_error
        for b in calibration(p, rng.random(20_000) < p * p)[4:8]
    )
    one = calibration(np.array([0.5, 0.5]), np.array([0.0, 1.0]))
    assert len(one) == 1
    assert one[0].observed == 0.5
    with pytest.raises(LogInvalid):
        calibration(np.array([0.5]), np.array([0.0, 1.0]))


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_the_shape_of_a_pareto_tail_is_found(k: float) -> None:
    u = np.random.default_rng(3).random(20_000)
    assert pareto_shape(u**-k) == pytest.approx(k, abs=0.15)


def test_a_few_different_weights_have_no_tail() -> None:
    assert math.isnan(pareto_shape(np.array([1.0, 2.0] * 500)))
    assert math.isnan(pareto_shape(np.array([1.0, 2.0, 3.0])))


def clicks(name: str, arms: int) -> tuple[LoggedData, np.ndarray[Any, Any]]:
    if not DATA.exists():
        pytest.skip("the sample of the Open Bandit Dataset is not there")
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    log = LoggedData(
        tuple(str(a) for a in range(arms)),
        np.array([int(row["item_id"]) for row in rows]),
        np.array([float(row["click"]) for row in rows]),
        np.array([float(row["propensity"]) for row in rows]),
        cell=np.array([int(row["position"]) - 1 for row in rows]),
    )
    return log, np.full(arms, 1 / arms)


def test_thin_overlap_of_a_real_log_is_warned_of() -> None:
    men, uniform = clicks("men_bts", 34)
    found = ips(men.reward, overlay(men, uniform).weight)
    assert found.value == pytest.approx(0.00301, abs=5e-6)
    assert found.standard_error == pytest.approx(0.00077, abs=1e-5)
    assert found.ess == pytest.approx(656, abs=1)
    women, uniform = clicks("women_bts", 46)
    thin = diagnose(overlay(women, uniform))
    assert thin.weights.mean == pytest.approx(3.1, abs=0.05)
    assert thin.weights.ess == pytest.approx(2, abs=0.5)
    assert any("overlap is too thin" in warning for warning in thin.warnings)
    assert any("hardly overlap" in warning for warning in thin.warnings)
    random, uniform = clicks("men_random", 34)
    assert overlay(random, uniform).weight == pytest.approx(np.ones(len(random)), abs=1e-9)
    assert diagnose(overlay(random, uniform)).weights.ess == pytest.approx(len(random))
