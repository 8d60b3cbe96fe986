"""Anomalies by hand, by law, and cut at every row; their precision and recall on generated streams."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Monitors,
    Outcome,
    PolicySpec,
    Strategy,
)
from nyx_learning.bandit.events import EventRow
from nyx_learning.bandit.log import RewardRow
from nyx_learning.bandit.watch import Watch
from nyx_learning.errors import DocumentInvalid, InputInvalid
from nyx_learning.features.monitors import (
    AlertBudget,
    Anomaly,
    AnomalyMonitor,
    BaselineMetrics,
    PerformanceMetrics,
    SeriesMonitor,
    detect_performance_anomalies,
    tails,
)
from nyx_learning.features.monitors.window import KEPT, MOST
from nyx_learning.rewards import Reward

ONE = 1 << 16


def test_student_tails_are_those_of_a_normal_that_is_as_rare() -> None:
    for nu in (3.0, 4.0, 6.0, 10.0):
        scale = stats.t.ppf(0.75, nu) / stats.norm.ppf(0.75)
        for value in (1.0, 3.0, 6.0, 10.0):
            z = stats.norm.isf(stats.t.sf(value, nu))
            assert tails.student_z(value, scale, 1.0 / nu) == pytest.approx(z, rel=0.02)
            assert tails.student_t(tails.student_z(value, scale, 1.0 / nu), scale, 1.0 / nu) == pytest.approx(
                value
            )


def test_counts_have_exact_tails() -> None:
    for count, mean, dispersion in ((4, 0.3, 1.2), (9, 2.0, 1.5), (1, 0.5, 2.0)):
        shape = mean / (dispersion - 1.0)
        exact = stats.norm.isf(stats.nbinom.sf(count - 1, shape, 1.0 / dispersion))
        assert tails.count_z(count, mean, dispersion) == pytest.approx(exact, abs=1e-3)
    for count, chance in ((6, 0.1), (9, 0.3)):
        exact = stats.norm.isf(stats.binom.sf(count - 1, 9, chance))
        assert tails.binomial_z(count, 9, chance) == pytest.approx(exact, abs=1e-3)


def test_degrees_of_freedom_are_found_from_the_good_tail() -> None:
    for nu in (3.0, 4.0, 6.0, 10.0):
        reach = 0.205 * stats.t.ppf(0.95, nu) + 0.1642 * stats.t.ppf(0.98, nu)
        found = tails.degrees(reach / stats.t.ppf(0.75, nu), 10**9, 0.15, 600.0)
        assert found == pytest.approx(1.0 / nu, abs=0.01)
    assert tails.degrees(1.0, 0, 0.15, 600.0) == pytest.approx(0.15)


def executions(rows: int, seed: int = 3) -> list[tuple[list[int], PerformanceMetrics]]:
    rng = np.random.default_rng(seed)
    found = []
    for i in range(rows):
        kind = i % 2
        metrics = PerformanceMetrics(
            duration_s=(10.0, 40.0)[kind] * math.exp(0.3 * rng.standard_normal()),
            tokens=round(3000 * math.exp(0.3 * rng.standard_normal())),
            quality=1.0 / (1.0 + math.exp(-1.5 - 0.5 * rng.standard_normal())),
            retries=int(rng.poisson(0.3)),
            errors=float(rng.random() < 0.1),
        )
        found.append(([ONE, ONE * (1 - kind), ONE * kind], metrics))
    return found


def test_each_kind_is_found_and_named() -> None:
    quiet = executions(300)
    for metric, value in (("duration_s", 400.0), ("tokens", 60_000.0), ("quality", 0.02), ("retries", 8)):
        monitor = AnomalyMonitor(3, 1)
        assert [monitor.add(i, 0, *row) for i, row in enumerate(quiet, 1)] == [None] * 300
        phi, metrics = executions(301)[300]
        odd = monitor.add(301, 0, phi, replace(metrics, **{metric: value}))
        assert odd is not None
        assert (odd.metric, odd.value, odd.severity) == (metric, value, "critical")
        assert not odd.expected.low <= value <= odd.expected.high
        assert odd.expected.low <= getattr(quiet[298][1], metric) <= odd.expected.high
        assert odd.text.startswith(f"{metric} {value:.4g}, expected ")
        assert Anomaly.from_dict(odd.to_dict()) == odd
        # The incident is told once, and again when it has been over for 20 rows.
        assert monitor.add(302, 0, phi, replace(metrics, **{metric: value})) is None
        for i, row in enumerate(executions(25, seed=9)):
            monitor.add(303 + i, 0, *row)
        assert monitor.add(400, 0, phi, replace(metrics, **{metric: value})) is not None


def test_a_burst_of_errors_is_one_incident() -> None:
    monitor = AnomalyMonitor(3, 1)
    rows = executions(400)
    rows[300:312] = [(phi, replace(metrics, errors=1.0)) for phi, metrics in rows[300:312]]
    found = [(i, odd) for i, row in enumerate(rows) if (odd := monitor.add(i + 1, 0, *row))]
    assert len(found) == 1
    at, odd = found[0]
    assert odd.metric == "errors"
    assert 303 <= at < 310
    assert odd.value >= 5 > odd.expected.high


def test_a_level_that_moves_is_followed() -> None:
    monitor, found = AnomalyMonitor(3, 1), []
    for i, (phi, metrics) in enumerate(executions(600)):
        longer = replace(metrics, duration_s=(metrics.duration_s or 0.0) * (1.8 if i >= 300 else 1.0))
        if odd := monitor.add(i + 1, 0, phi, longer):
            found.append((i, odd.metric))
    assert len(found) <= 1
    phi, metrics = executions(1)[0]
    odd = monitor.add(601, 0, phi, replace(metrics, duration_s=200.0))
    assert odd is not None
    assert 12.0 < odd.expected.middle < 25.0  # 10 s before, 18 s behind the shift


def test_what_many_executions_do_is_not_odd() -> None:
    monitor = AnomalyMonitor(1, 1)
    found = 0
    for i in range(1, 900):
        odd = monitor.add(i, 0, [ONE], PerformanceMetrics(quality=0.0 if i % 20 == 0 else 0.9))
        found += odd is not None and i > 300
    assert found == 0


def test_a_restart_at_any_row_finds_the_same() -> None:
    rows = executions(MOST + 200)
    for i in range(25, len(rows), 90):
        rows[i] = (rows[i][0], replace(rows[i][1], duration_s=900.0))
    walking = AnomalyMonitor(3, 1)
    found = {}
    for i, row in enumerate(rows, start=1):
        if i in (400, MOST + 1, MOST + 50):
            again = AnomalyMonitor(3, 1)
            first = walking.start or 1
            for j in range(first, i):
                again.add(j, 0, *rows[j - 1])
            if i == MOST + 1:
                continued = again
        found[i] = walking.add(i, 0, *row)
        if i == 400:
            assert again.add(i, 0, *row) == found[i]
        if i == MOST + 50:
            for j in range(i, i + 100):
                walked = found[j] if j == i else walking.add(j, 0, *rows[j - 1])
                assert again.add(j, 0, *rows[j - 1]) == walked
            break
    assert walking.start == MOST - KEPT + 1
    assert continued.start == 1
    assert sum(odd is not None for odd in found.values()) > 5


def test_bad_rows_are_refused_and_change_nothing() -> None:
    one, other = AnomalyMonitor(3, 2), AnomalyMonitor(3, 2)
    rows = executions(60)
    for i, row in enumerate(rows[:50], start=1):
        one.add(i, i % 2, *row)
        other.add(i, i % 2, *row)
    for bad in ((50, 0, [ONE] * 3), (51, 2, [ONE] * 3), (51, 0, [ONE])):
        with pytest.raises(InputInvalid, match="expected:"):
            one.add(*bad, PerformanceMetrics())
    odd = (rows[50][0], PerformanceMetrics(duration_s=1e6))
    assert one.add(51, 0, *odd) == other.add(51, 0, *odd) is not None


@pytest.mark.parametrize(
    "bad",
    [{"duration_s": math.nan}, {"tokens": math.inf}, {"cost": -1.0}, {"quality": 1.5}, {"retries": True}],
)
def test_unusable_metrics_are_refused_or_missing(bad: dict[str, float]) -> None:
    with pytest.raises(InputInvalid, match="fix:"):
        PerformanceMetrics(**bad)
    assert PerformanceMetrics.from_outcome(bad) == PerformanceMetrics()


def test_unknown_metrics_are_refused() -> None:
    with pytest.raises(InputInvalid, match="unknown"):
        PerformanceMetrics.from_dict({"duration": 3.0})
    assert PerformanceMetrics.from_dict({"duration_s": 3.0}).reported() == {"duration_s": 3.0}


def test_detecting_against_a_baseline() -> None:
    baseline = BaselineMetrics.from_history(metrics for _, metrics in executions(300))
    usual = PerformanceMetrics(duration_s=20.0, tokens=3000, quality=0.8, retries=0, errors=0)
    assert detect_performance_anomalies(usual, baseline) == []
    found = detect_performance_anomalies(replace(usual, tokens=90_000, retries=9, cost=1e9), baseline)
    assert {odd.metric for odd in found} == {"tokens", "retries"}  # nothing is known of costs
    assert [odd.z for odd in found] == sorted((odd.z for odd in found), reverse=True)
    thin = BaselineMetrics.from_history([usual] * 19)
    assert detect_performance_anomalies(replace(usual, tokens=90_000), thin) == []


def test_a_budget_holds_alerts_back_by_the_rows_own_time() -> None:
    budget = AlertBudget(2)
    assert [budget.take(time) for time in (0.0, 10.0, 20.0)] == [True, True, False]
    assert budget.take(None)
    assert budget.take(math.nan)
    assert budget.take(4e9)  # a clock gone mad uses up its own day only
    assert budget.take(90_000.0)
    assert AlertBudget(2, budget.sent).sent == budget.sent
    assert not AlertBudget(0).take(5.0)


SPEC = BanditSpec(
    "odd",
    [Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["a", "b"])),
    policy=PolicySpec("uniform"),
    monitors=Monitors(reward=False, duration=False, context=False, alerts_a_day=2),
    seed=3,
)


def worked(rows: int = 500) -> Bandit:
    bandit, rng = Bandit(SPEC), np.random.default_rng(4)
    for i in range(rows):
        context = {"task": "ab"[i % 2]}
        decision = bandit.select_arm(context, f"w-{i}", time=60.0 * i)
        seconds = (
            (10.0, 30.0)[i % 2] * math.exp(0.3 * rng.standard_normal()) * (40.0 if i % 90 == 89 else 1.0)
        )
        bandit.update_reward(decision, Outcome(success=True, duration_s=seconds, quality=0.8))
    return bandit


def test_alarms_are_rows_with_cause_evidence_and_consequence() -> None:
    bandit = worked()
    events = bandit.events
    assert len(events) == 5
    assert [event.consequence["alert"] for event in events] == ["sent"] * 2 + ["held back"] * 3
    for event in events:
        odd = Anomaly.from_dict(event.evidence)
        assert odd.metric == "duration_s"
        assert odd.value > odd.expected.high
        assert event.subject in ("parallel(workers=2)", "parallel(workers=4)")
        assert f"at row {event.cause}: {odd.text}" in event.describe()
    assert bandit.verify().ok
    assert Bandit.from_json(bandit.to_json()).events == events


def log_of(bandit: Bandit) -> list[RewardRow | EventRow]:
    """The rows of a bandit as a log has them, each with the time of its decision."""
    rows: list[RewardRow | EventRow] = list(bandit.events)
    for receipt in bandit.receipts.values():
        decision, outcome = bandit.decisions[receipt.decision_id], bandit.outcomes[receipt.decision_id]
        price = Reward(receipt.reward or 0.0, {}, (), "v")
        row = RewardRow.of(decision, bandit.spec.encoding, price, outcome, decision.time)
        rows.append(row.numbered(receipt.seq))
    return sorted(rows, key=lambda row: row.seq)


def test_a_watch_that_is_cut_off_anywhere_continues_alike() -> None:
    bandit = worked()
    rows = log_of(bandit)
    cut, found = Watch(SPEC), []
    for i, row in enumerate(rows):
        if i % 97 == 96:
            progress = json.loads(json.dumps(cut.progress()))
            cut = Watch(SPEC)
            for earlier in rows[cut.restore(progress) - 1 : i]:
                cut.recall(earlier)
            assert cut.progress() == progress
        found += cut.absorb(row)
    assert len(found) == 5
    assert all(event.same(own) for event, own in zip(found, bandit.events, strict=True))
    with pytest.raises(DocumentInvalid):
        Watch(SPEC).restore({**cut.progress(), "alerts": ["x"]})


def test_behind_dropped_rows_the_budget_is_what_the_events_tell() -> None:
    bandit = worked()
    watch = Watch(SPEC)
    watch.begin_at(bandit.seq, bandit.events)
    times = [event.evidence["time"] for event in bandit.events]
    assert watch.progress()["alerts"] == times[:2]


def test_an_older_spec_keeps_its_hash_and_finds_no_anomalies() -> None:
    older = {"reward": True, "duration": True, "context": True, "evidence": 6.0}
    assert Monitors.from_dict(older).to_dict() == older
    assert not Monitors.from_dict(older).anomaly
    assert Monitors.from_dict(Monitors().to_dict()) == Monitors()


def test_a_series_is_told_once_an_incident_and_continues_from_its_last_values() -> None:
    rng = np.random.default_rng(2)
    values = [float(v) for v in 20.0 * np.exp(0.1 * rng.standard_normal(1200))]
    for i in (700, 705, 1100):
        values[i] = 900.0
    monitor = SeriesMonitor()
    found = {i: told for i, value in enumerate(values) if (told := monitor.add(value))}
    assert list(found) == [700, 1100]
    assert all(told.low < 20.0 < told.high < 40.0 for told in found.values())
    again = SeriesMonitor()
    for value in values[-500:]:
        again.add(value)
    assert again.score(30.0) == monitor.score(30.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, True, "3"])
def test_a_series_refuses_what_is_no_value(bad: float) -> None:
    monitor = SeriesMonitor()
    for i in range(200):
        monitor.add(10.0 + i % 3)
    before = monitor.score(11.0)
    with pytest.raises(InputInvalid, match="fix:"):
        monitor.add(bad)
    with pytest.raises(InputInvalid, match="fix:"):
        SeriesMonitor(floor=bad)
    assert monitor.score(11.0) == before
