"""How often each arm is drawn under guardrails, against the logged pmfs: with the right variance.

Rows have pmfs of their own, so the counts of a block of rows are not multinomial. X = Σ (e_A − p) over rows
has mean 0 and covariance V = Σ (diag(p) − p pᵀ), row by row; Xᵀ V⁻¹ X, one arm left out, is χ² with K − 1
degrees of freedom. Rows of mass 1 add nothing to either and are left out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import chi2, kstest

from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.bandit.choice import TOTAL, Keyed
from nyx_learning.bandit.events import GUARDRAIL, EventRow
from nyx_learning.bandit.guardrails import Guardrails, Service

WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}
ARMS = ("a", "b", "c", "d")
BLOCKS, ROWS = 80, 64


def guarded(order: tuple[str, Any] | str, **told: Any) -> Bandit:
    """A bandit that has learned a little, under one rule."""
    rails = Guardrails(service=Service(shares=(0.3, 0.9))) if order == "service" else None
    policy = PolicySpec("thompson_beta", floor=0.05)
    spec = BanditSpec(
        "frequent", [Strategy(n) for n in ARMS], policy=policy, baseline_arm="a", seed=9, guardrails=rails
    )
    bandit = Bandit(spec)
    bandit.learn_history([({}, ARMS[i % 4], 0.35 + 0.1 * (i % 4)) for i in range(24)])
    if order == "half open":
        does = {"guardrail": {"act": "trip", "until": 0.0, "share": 0.05}}
        event = EventRow("frequent", 25, GUARDRAIL, "breaker", "d", 0, {}, does, spec.spec_hash)
        bandit.learner.begin(event)
    elif isinstance(order, tuple):
        rule, arms = order
        bandit.override(rule, arms, **told, **WHO)
    return bandit


@pytest.fixture(scope="module")
def drawn() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Hits and pmfs, (blocks, rows, arms), of decisions under eight guardrails in turn."""
    bandits = [
        guarded(("cap", ["c", "d"]), share=0.1),
        guarded(("exclude", "d")),
        guarded(("pin", ["b", "c"])),
        guarded(("ramp", "d"), share=0.05, rows=20),
        guarded("half open"),
        guarded("service"),
        guarded(("cap", "a"), share=0.01),
        guarded(("kill_switch", ())),
    ]
    keyed, hits, pmfs = Keyed(9, "frequent"), list[Any](), list[Any]()
    for i in range(BLOCKS * ROWS):
        decision = bandits[i % len(bandits)].learner.decide({}, f"id-{i}", time=1.0)
        # arm = F⁻¹(u; pmf)
        u = keyed.uniform(f"id-{i}", "arm")
        assert decision.arm == int(np.searchsorted(np.cumsum(decision.pmf), u, side="right"))
        hits.append(np.arange(4) == decision.arm)
        pmfs.append(decision.pmf)
    shape = (BLOCKS, ROWS, 4)
    return np.array(hits, np.float64).reshape(shape), np.array(pmfs, np.float64).reshape(shape) / TOTAL


def covariance(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.diag(p.sum(axis=0)) - p.T @ p
    return found


def statistic(x: npt.NDArray[np.float64], v: npt.NDArray[np.float64]) -> float:
    return float(x[:3] @ np.linalg.solve(v[:3, :3], x[:3]))


def test_frequencies_are_the_pmfs_with_the_covariance_of_their_rows(drawn: Any) -> None:
    hits, pmfs = drawn
    found = []
    for hit, p in zip(hits, pmfs, strict=True):
        free = p.max(axis=1) < 1.0
        assert (hit[~free] == p[~free]).all()
        assert free.sum() == ROWS * 7 // 8
        found.append(statistic((hit[free] - p[free]).sum(axis=0), covariance(p[free])))
    assert kstest(chi2.sf(found, 3), "uniform").pvalue > 1e-3
    assert chi2.sf(sum(found), 3 * BLOCKS) > 1e-5


def test_the_covariance_of_a_multinomial_would_be_the_wrong_one(drawn: Any) -> None:
    """n (diag(p̄) − p̄ p̄ᵀ) is larger: with it, frequencies that are wrong would be taken for right ones."""
    hits, pmfs = drawn
    wrong = []
    for hit, p in zip(hits, pmfs, strict=True):
        mean = p.mean(axis=0)
        v = ROWS * (np.diag(mean) - np.outer(mean, mean))
        assert np.linalg.eigvalsh(v - covariance(p)).min() > -1e-9
        wrong.append(statistic((hit - p).sum(axis=0), v))
    assert kstest(chi2.sf(wrong, 3), "uniform").pvalue < 1e-3


def test_the_test_sees_draws_that_do_not_follow_the_guarded_pmf(drawn: Any) -> None:
    """Of the draws of one arm, a seventh is another's: that is found in these rows."""
    hits, pmfs = drawn
    p, hit = pmfs.reshape(-1, 4), hits.reshape(-1, 4).copy()
    free = p.max(axis=1) < 1.0
    moved = np.flatnonzero(free & (hit[:, 1] == 1.0) & (p[:, 2] > 0.0))[::7]
    hit[moved] = [0.0, 0.0, 1.0, 0.0]
    x = (hit[free] - p[free]).sum(axis=0)
    assert chi2.sf(statistic(x, covariance(p[free])), 3) < 1e-6
