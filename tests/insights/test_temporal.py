"""Times: planted hours, weekdays and load are found, the mix of what was run is not, chance is not."""

from __future__ import annotations

import json
import math

import numpy as np

from nyx_learning.insights.executed import Executed
from nyx_learning.insights.temporal import TemporalPattern, analyze_temporal_patterns

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 4 * DAY


def runs(
    seed: int, *, hour: float = 0.0, weekend: float = 0.0, mix: float = 0.0, n: int = 3000
) -> list[Executed]:
    """Five weeks; rewards fall at night and at weekends; with ``mix`` hard tasks come by night."""
    rng = np.random.default_rng([seed, 0x71])
    found = []
    for i, time in enumerate(np.sort(MONDAY + rng.random(n) * 35 * DAY).tolist()):
        night = time % DAY < 6 * HOUR
        late = int((time - MONDAY) // DAY) % 7 >= 5
        hard = rng.random() < (0.5 + (mix if night else -mix))
        mean = 0.6 - hour * night - weekend * late - 0.3 * hard
        found.append(
            Executed(
                f"e{i}",
                "direct",
                context={"task": "hard" if hard else "easy"},
                reward=float(mean + rng.normal(0, 0.1)),
                time=time,
            )
        )
    return found


def told(rows: list[Executed], by: list[str]) -> dict[str, TemporalPattern]:
    return {p.by: p for p in analyze_temporal_patterns(rows, by).patterns if p.metric == "reward"}


def test_a_planted_hour_and_a_planted_weekend() -> None:
    found = told(runs(1, hour=0.1), ["task"])
    assert found["hour"].found
    night = [e.effect for e in found["hour"].effects if int(e.when[:2]) < 6]
    day = [e.effect for e in found["hour"].effects if int(e.when[:2]) >= 6]
    assert math.isclose(np.mean(day) - np.mean(night), 0.1, abs_tol=0.02)
    assert found["weekday"].found is False
    found = told(runs(1, weekend=0.1), ["task"])
    assert found["weekday"].found
    assert {e.when for e in found["weekday"].effects if e.effect < -0.03} == {"Saturday", "Sunday"}
    assert found["hour"].found is False


def test_what_was_run_is_taken_away() -> None:
    assert told(runs(2, mix=0.4), [])["hour"].found  # hard tasks come by night
    assert told(runs(2, mix=0.4), ["task"])["hour"].found is False


def test_load() -> None:
    rng = np.random.default_rng(5)
    rows = []
    for hour in range(200):
        busy = int(rng.poisson(3 if hour // 7 % 2 else 9))
        for k in range(busy):
            at = hour * HOUR + k
            rows.append(
                Executed(
                    f"{hour}-{k}", "s", duration_s=float(np.exp(0.1 * busy + rng.normal(0, 0.3))), time=at
                )
            )
    found = {p.by: p for p in analyze_temporal_patterns(rows).patterns if p.metric == "duration_s"}
    assert found["load"].found
    assert found["load"].correlation is not None
    assert found["load"].correlation > 0.5
    assert found["weekday"].found is None  # eight days


def test_nothing_by_chance() -> None:
    wrong = sum(
        any(p.found for p in analyze_temporal_patterns(runs(seed, n=500), ["task"]).patterns)
        for seed in range(30)
    )
    assert wrong <= 5  # 5 % of 30 is 1.5; above 5 comes with probability .003


def test_too_little_evidence() -> None:
    for few in ([], [Executed("e", "s", reward=0.5)] * 40, runs(1)[:10]):
        found = analyze_temporal_patterns(few)
        assert found.patterns == ()
        assert found.reason is not None
        assert found.reason.startswith("not enough evidence")
    short = analyze_temporal_patterns(runs(1)[:60])
    assert all(p.found is None for p in short.patterns)
    document = json.loads(json.dumps(short.to_dict(), allow_nan=False))
    assert document["patterns"][0]["reason"].startswith("not enough evidence")
    assert "depends on the hour" in analyze_temporal_patterns(runs(1, hour=0.2)).to_text()
