"""The checks of the verdict's error rates are checked: methods that claim too much fail them."""

from __future__ import annotations

import numpy as np
import pytest

from nyx_learning.simulation.validation import verdicts as module
from nyx_learning.simulation.validation.check import Effort
from nyx_learning.simulation.validation.verdict_scenes import FACTOR, Against, Scene, Simulated, simulated
from nyx_learning.simulation.validation.verdicts import (
    FalseClaims,
    FamilyClaims,
    HoldoutRows,
    Power,
    verdicts,
)
from nyx_learning.simulation.verdict import betting, kernels

INCUMBENT = Scene("80% incumbent", "logged")
IMPROVING = Scene("improving", "logged")
SEQUENCE = "empirical_bernstein_sequence"


def z_of_snips(log: Simulated) -> bool:
    """A normal interval on the self-normalised estimate, against the logged mean."""
    weight = log.target[log.context, log.arm] / log.pmf[np.arange(len(log.arm)), log.arm]
    if weight.sum() == 0.0:
        return False
    value = float(weight @ log.value / weight.sum())
    error = float(np.sqrt((weight**2 * (log.value - value) ** 2).sum()) / weight.sum())
    return bool(value - 1.645 * error > FACTOR * float(log.value.mean()))


@pytest.mark.parametrize(
    ("method", "scene", "rows", "size"),
    [
        ("mover_wilson", INCUMBENT, 100, 150),
        ("mover_wilson", Scene("uniform", "arm", contexts=3), 300, 100),
        ("betting", Scene("uniform", "arm", composite=0.5), 300, 100),
        (SEQUENCE, Scene("thompson, drift", "arm"), 300, 60),
        (SEQUENCE, IMPROVING, 300, 100),
    ],
)
def test_the_methods_hold_their_level(method: str, scene: Scene, rows: int, size: int) -> None:
    found = FalseClaims(method, scene, rows, Effort(size, size)).run(full=False)
    assert (found.status, found.size) == ("pass", size)
    assert found.measured is not None
    assert found.measured <= 0.08


def test_a_z_interval_on_snips_claims_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.CLAIMS, "z of snips", z_of_snips)
    found = FalseClaims("z of snips", INCUMBENT, 100, Effort(200, 200)).run(full=False)
    assert found.status == "fail"
    assert found.measured is not None
    assert found.measured > 0.15


def test_betting_on_a_logging_policy_that_improves_claims_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    # Null at every step is false in the first half of these logs, though true on average: the best plan of a
    # bettor for that half pays, and what was won is not lost again.
    def planned(log: Simulated) -> bool:
        one = log.contrasts
        return betting.shows(one.d, one.floor, 0.05)

    monkeypatch.setitem(module.CLAIMS, "betting, peeked", planned)
    scene = Scene("improving", "logged", composite=0.0)
    found = FalseClaims("betting, peeked", scene, 3000, Effort(100, 100)).run(full=False)
    assert found.status == "fail"
    assert FalseClaims(SEQUENCE, scene, 3000, Effort(100, 100)).run(full=False).status == "pass"


@pytest.mark.parametrize("name", ["improving", "declining", "thompson", "thompson, drift", "uniform"])
@pytest.mark.parametrize("against", ["arm", "logged"])
def test_the_true_ratio_is_exactly_what_is_asked(name: str, against: Against) -> None:
    if (name.startswith("thompson") and against == "logged") or (name.endswith("ing") and against == "arm"):
        against = "arm" if against == "logged" else "logged"
    contexts = 1 if name.endswith("ing") else 3
    log = simulated(Scene(name, against, contexts=contexts), 400, 0)
    assert float(log.truth.mean()) == pytest.approx(0.0, abs=2e-3)
    running = np.cumsum(log.truth) / np.arange(1, 401)
    if name in {"declining", "thompson, drift"}:
        assert (running <= 1e-9).all()
    if name == "improving":
        assert running[10] > 0.05


def test_a_drawn_log_follows_its_pmf_and_means() -> None:
    log = simulated(Scene("80% incumbent", "arm", contexts=3, composite=0.5, ratio=1.35), 20_000, 1)
    counts = np.bincount(log.arm, minlength=6) / 20_000
    assert counts == pytest.approx(log.pmf[0], abs=0.01)
    assert np.bincount(log.context, minlength=3) / 20_000 == pytest.approx(np.full(3, 1 / 3), abs=0.015)
    early, _ = Scene("80% incumbent", "arm", contexts=3, composite=0.5, ratio=1.35).means()
    for x in range(3):
        assert log.value[(log.context == x) & (log.arm == 0)].mean() == pytest.approx(early[x, 0], abs=0.02)
    thompson = simulated(Scene("thompson", "arm", ratio=1.35), 2000, 0)
    assert thompson.pmf[-1, 1] > 0.5 > thompson.pmf[0, 1]
    assert thompson.pmf.min() >= 0.05 / 6 - 1e-12


def test_power_is_counted_and_a_weak_method_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.CLAIMS, "never", lambda _: False)
    scene = Scene("uniform", "logged", ratio=1.35, level=0.6)
    assert Power("mover_wilson", scene, 1000, 0.85, Effort(100, 100)).run(full=False).status == "pass"
    assert Power("never", scene, 1000, 0.85, Effort(20, 20)).run(full=False).status == "fail"
    reported = Power("never", scene, 100, 0.0, Effort(5, 5)).run(full=False)
    assert (reported.status, reported.measured, reported.judged) == ("pass", 0.0, "reported only")


def test_candidates_that_do_not_share_the_error_claim_too_much() -> None:
    shared = FamilyClaims(600, 0.2, Effort(120, 120)).run(full=False)
    assert shared.status == "pass"
    each = FamilyClaims(600, 1.0, Effort(120, 120)).run(full=False)
    assert each.status == "fail"
    assert each.measured is not None
    assert each.measured > 0.12


def test_the_holdouts_need_is_reported() -> None:
    found = HoldoutRows(1.6, 4000, Effort(30, 30)).run(full=False)
    assert found.measured is not None
    assert 300 < found.measured < 4000
    assert HoldoutRows(1.25, 500, Effort(5, 5)).run(full=False).measured is None


def test_every_demand_has_its_check() -> None:
    titles = [check.title for check in verdicts()]
    assert len(titles) == len(set(titles))
    for rows in (100, 300, 1000, 10_000):
        for words in (
            "uniform log",
            "80% incumbent log",
            "thompson log",
            "thompson, drift log",
            "improving log",
        ):
            assert any(words in title and title.endswith(f"n={rows}") for title in titles)
    assert {"36x3" in title for title in titles} == {True, False}
    assert kernels.PRIOR_ROWS == 2.0
