"""The checks of coverage are checked: intervals that are too narrow fail them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nyx_learning.simulation.offpolicy import IntervalSpec, ips
from nyx_learning.simulation.validation import coverage as module
from nyx_learning.simulation.validation.check import Effort
from nyx_learning.simulation.validation.coverage import Coverage, coverage


def test_intervals_that_are_too_narrow_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    effort = Effort(400, 400)
    for name in ("ips normal", "ips betting"):
        assert Coverage(name, "uniform", 200, effort).run(full=False).status == "pass"

    def narrow(logs: module.Logs, r: int) -> bool:
        found = ips(logs.reward[r], logs.weight[r], IntervalSpec(confidence=0.85)).interval
        return found.low <= logs.value <= found.high

    for name in ("ips normal", "ips betting"):
        monkeypatch.setitem(module._RULES, name, replace(module._RULES[name], covers=narrow))
        assert Coverage(name, "uniform", 200, effort).run(full=False).status == "fail"


def test_outside_its_region_an_interval_is_shown_to_miss() -> None:
    found = Coverage("ips normal", "thin", 300, Effort(300, 300), within=False).run(full=False)
    assert found.status == "pass"
    assert found.measured is not None
    assert found.measured < 0.8
    assert "outside the region" in found.note


def test_every_interval_is_checked_on_fixed_logs_and_guaranteed_ones_on_learning_ones_too() -> None:
    titles = [check.title for check in coverage()]
    assert len(set(titles)) == len(titles)
    for name in module._RULES:
        assert any(f"coverage {name} uniform" in title for title in titles)
    assert sum("learning" in title for title in titles) == 6
