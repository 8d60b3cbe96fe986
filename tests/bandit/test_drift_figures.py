"""What monitors reach, by seeded simulation; the full tables are those of ``benchmarks.drift``.

Limits are those that were asked for; what was measured stands in docs/how-to/watch-for-drift.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import PolicySpec


@pytest.fixture(scope="module")
def drift() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parents[2])
        yield importlib.import_module("benchmarks.drift")


def test_false_alarms_are_rare(drift: Any) -> None:
    """12 streams of 10,000: at most 18 alarms, where 8 to 13 are expected."""
    assert drift.false_alarms(0.8, 12) <= 1.5


def test_shifts_are_found_soon(drift: Any) -> None:
    for after, most in ((0.4, 35), (0.6, 80)):
        median, early = drift.delay(0.8, after, 200)
        assert median <= most
        assert early <= 0.03


def test_regret_with_one_setting(drift: Any) -> None:
    for name, most in (
        ("nothing changes", 30),
        ("best arm .8 → .4", 54),
        ("best arm .8 → .55", 56),
        ("worst arm .5 → .95", 85),
    ):
        means, length = drift.WORLDS[name]
        mean, error, _ = drift.regret(means, length, drift.THOMPSON, 60, watched=True)
        assert mean <= most, (name, mean, error)


def test_kl_ucb_with_monitors_on_problem_1(drift: Any) -> None:
    means, length = [list(row) for row in drift.PROBLEMS["Pb1"].means], drift.PROBLEMS["Pb1"].length
    plain, _, _ = drift.regret(means, length, drift.KL_UCB, 10, watched=False, idle=1.0)
    watched, _, _ = drift.regret(means, length, drift.KL_UCB, 10, watched=True)
    assert watched <= 0.6 * plain


def test_the_bandit_itself_does_as_the_compiled_loops(drift: Any) -> None:
    means, length = drift.WORLDS["best arm .8 → .4"]
    policy = PolicySpec("thompson_beta", floor=0.0, idle_discount=drift.IDLE)
    runs = [drift.bandit_regret(means, length, policy, seed) for seed in range(4)]
    assert 25 < sum(runs) / 4 < 80
