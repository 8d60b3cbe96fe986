"""What monitors reach, by seeded simulation; the full tables are those of ``benchmarks.drift``.

Limits are those that were asked for; what was measured stands in docs/how-to/watch-for-drift.md. Here is what
``validate --quick``, which the pipeline runs as well, leaves out or measures by the simulator alone.
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
    """4 streams of 10,000: at most 6 alarms, where 3 or 4 are expected; ``validate`` looks at 120."""
    assert drift.false_alarms(0.8, 4) <= 1.5


def test_shifts_are_found_soon(drift: Any) -> None:
    for after, most, streams in ((0.4, 35, 60), (0.6, 80, 200)):
        median, early = drift.delay(0.8, after, streams)
        assert median <= most
        assert early <= 0.03


def test_regret_where_nothing_changes(drift: Any) -> None:
    """The three worlds that change are those of ``validate``: 100 replications and more."""
    means, length = drift.WORLDS["nothing changes"]
    mean, error, _ = drift.regret(means, length, drift.THOMPSON, 60, watched=True)
    assert mean <= 30, (mean, error)


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
