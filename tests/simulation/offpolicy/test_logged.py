# mypy: disable-error-code="arg-type"
"""Logs that cannot be believed are refused, in four parts, before anything is computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid, LogInvalid, NoOverlap, NyxError
from nyx_learning.simulation.offpolicy import (
    LoggedData,
    calibration,
    estimate_propensities,
    evaluate,
    overlay,
    weight_limit,
)

ARMS = ("a", "b")
GOOD: dict[str, Any] = {
    "arms": ARMS,
    "arm": [0, 1, 1],
    "reward": [0.1, 0.2, 1.0],
    "propensity": [0.5, 0.25, 1.0],
}


def test_a_good_log_is_taken_and_cannot_be_changed() -> None:
    log = LoggedData(**GOOD)
    assert len(log) == 3
    with pytest.raises(ValueError, match="read-only"):
        log.reward[0] = 1.0
    part = log.take(np.array([False, True, True]))
    assert part.reward.tolist() == [0.2, 1.0]
    assert part.arms == ARMS
    assert log.with_reward(np.array([1.0, 0, 0])).reward.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"propensity": [0.5, 0.0, 1.0]}, "row 1 of the log has an unusable propensity"),
        ({"propensity": [0.5, 0.5, 1.7]}, "row 2 of the log has an unusable propensity"),
        ({"propensity": [-0.5, 0.5, 1.0]}, "unusable propensity"),
        ({"propensity": [0.5, math.nan, 1.0]}, "1 of 3 decisions have no propensity"),
        ({"propensity": [0.5, math.inf, 1.0]}, "unusable propensity"),
        ({"propensity": [0.5]}, "another shape"),
        ({"reward": [0.1, math.nan, 1.0]}, "row 1 of the log has an unusable reward"),
        ({"reward": [0.1, 1.01, 1.0]}, "unusable reward"),
        ({"reward": ["x", 0, 1]}, "not made of numbers"),
        ({"arm": [0, 1, 2]}, "row 2 of the log names no known arm"),
        ({"arm": [0, -1, 1]}, "names no known arm"),
        ({"arm": [0, 0.5, 1]}, "names no known arm"),
        ({"arm": [], "reward": [], "propensity": []}, "the log is empty"),
        ({"arms": ("a", "a")}, "the arms of the log are unusable"),
        ({"decision_ids": ("x", "y", "x")}, "decision 'x' is in the log twice"),
        ({"decision_ids": ("x", "y")}, "another shape"),
        ({"success": [0, 1, 0.5]}, "unusable success"),
        ({"order": [1, 3, 2]}, "row 2 of the log has an unusable order"),
        ({"cell": [0, 1, 5], "cells": ("p", "q")}, "names no known cell"),
        ({"features": [[0.0], [math.nan], [1.0]]}, "unusable features"),
        ({"features": [0.0, 1.0, 2.0]}, "another shape"),
        ({"logging": [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]}, "pmf of the logging policy at the chosen arm"),
        ({"logging": [[0.5, 0.6], [0.5, 0.5], [0.0, 1.0]]}, "sum of the pmf of the logging policy"),
    ],
)
def test_unusable_logs_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(LogInvalid, match=r"(?s)expected:.*found:.*fix:") as caught:
        LoggedData(**(GOOD | change))
    assert said in str(caught.value)
    assert isinstance(caught.value, InputInvalid)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ([0.5, 0.6], "sum of the pmf of the target policy"),
        ([1.5, -0.5], "unusable pmf of the target policy"),
        ([math.nan, 1.0], "unusable pmf of the target policy"),
        ([0.2, 0.3, 0.5], "another shape"),
        ([[0.5, 0.5]] * 2, "another shape"),
    ],
)
def test_unusable_targets_are_refused(target: Any, said: str) -> None:
    with pytest.raises(LogInvalid) as caught:
        overlay(LoggedData(**GOOD), np.array(target))
    assert said in str(caught.value)


def test_a_target_that_meets_no_row_is_refused_as_the_example_shows() -> None:
    log = LoggedData(("a", "b", "c"), [0, 1, 1], [0.1, 0.2, 1.0], [0.5, 0.5, 0.5])
    with pytest.raises(NoOverlap) as caught:
        overlay(log, np.array([0.0, 0.0, 1.0]))
    assert str(caught.value) == (
        "target policy gives weight 0 to all 3 logged decisions [no_overlap]\n"
        "  expected: at least one logged arm with target probability > 0\n"
        "  found:    logged arms ['a', 'b']; target arms ['c']\n"
        "  fix:      log with an exploration floor > 0, or evaluate on arms that were tried"
    )


def test_a_target_outside_the_support_is_refused_unless_told_how_much_of_it_may_be() -> None:
    log = LoggedData(("a", "b", "c"), [0, 1, 1], [0.1, 0.2, 1.0], [0.5, 0.5, 0.5])
    target = np.array([0.5, 0.4, 0.1])
    with pytest.raises(NoOverlap, match=r"10\.00% of the target policy's decisions lie outside"):
        overlay(log, target)
    over = overlay(log, target, outside_max=0.2)
    assert over.outside == pytest.approx(0.1)
    assert "never tried: ['c']" in over.notes[0]
    # With pmfs the question is what was possible, not what came by chance.
    pmf = np.array([[0.5, 0.25, 0.25]] * 3)
    possible = LoggedData(log.arms, log.arm, log.reward, [0.5, 0.25, 0.25], pmf)
    assert overlay(possible, target).outside == 0.0
    never = LoggedData(log.arms, log.arm, log.reward, [0.5, 0.5, 0.5], [[0.5, 0.5, 0.0]] * 3)
    with pytest.raises(NoOverlap, match=r"arms without support: \['c'\]"):
        overlay(never, target)
    assert weight_limit(possible, target) == 1.6


def test_logs_without_propensities_weigh_nothing_until_they_are_estimated() -> None:
    rng = np.random.default_rng(1)
    cell = rng.integers(2, size=600)
    truth = np.array([[0.8, 0.2], [0.3, 0.7]])
    arm = (rng.random(600) > truth[cell, 0]).astype(int)
    log = LoggedData(ARMS, arm, rng.random(600), cell=cell)
    assert log.source == "unknown"
    with pytest.raises(LogInvalid, match="600 of 600 decisions have no propensity"):
        overlay(log, np.array([0.5, 0.5]))
    modelled = estimate_propensities(log)
    assert modelled.source == "estimated"
    assert modelled.propensity is not None
    assert modelled.propensity == pytest.approx(truth[cell, arm], abs=0.07)


def test_known_and_unknown_propensities_are_never_mixed_silently() -> None:
    some = np.array([0.5, math.nan, 0.5, 0.5] * 20)
    rows: dict[str, Any] = {"arms": ARMS, "arm": [0, 1, 1, 0] * 20, "reward": [0.5] * 80}
    with pytest.raises(LogInvalid, match="20 of 80 decisions have no propensity"):
        LoggedData(**rows, propensity=some)
    told = LoggedData(**rows, propensity=some, partly_known=True)
    assert told.source == "unknown"
    for refused in (lambda: overlay(told, np.array([0.5, 0.5])), lambda: estimate_propensities(told)):
        with pytest.raises(LogInvalid):
            refused()
    kept = estimate_propensities(told, known="keep")
    assert kept.source == "mixed"
    assert kept.propensity is not None
    assert kept.propensity[0] == 0.5
    assert not np.isnan(kept.propensity).any()
    replaced = estimate_propensities(told, known="replace")
    assert replaced.source == "estimated"
    with pytest.raises(NyxError):
        estimate_propensities(told, known="drop")


def test_propensities_are_estimated_from_features_and_are_calibrated() -> None:
    rng = np.random.default_rng(3)
    n = 1500
    features = rng.standard_normal((n, 3))
    scores = features @ np.array([[1.0, -1.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]])
    truth = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    arm = np.minimum((truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), 2)
    log = LoggedData(("a", "b", "c", "never"), arm, rng.random(n), features=features)
    found = estimate_propensities(log)
    assert found.logging is not None
    assert found.logging[:, :3] == pytest.approx(truth, abs=0.12)
    assert (found.logging[:, 3] == 0.0).all()
    # Of each arm as many as came, and in every bin of predictions as many as predicted.
    assert found.logging.sum(axis=0)[:3] == pytest.approx(np.bincount(arm), rel=0.02)
    hit = (np.arange(4) == arm[:, None]).astype(float)
    bins = calibration(found.logging[:, :3], hit[:, :3], bins=5)
    assert all(abs(b.observed - b.predicted) < 4 * b.standard_error for b in bins)
    # What follows from it says so.
    assert (
        evaluate(overlay(found, np.array([0.2, 0.3, 0.5, 0.0])), ["ips"])["ips"].propensities == "estimated"
    )
