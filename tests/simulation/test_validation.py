"""The checks of ``nyx-learning validate`` are checked: policies that are broken on purpose fail them."""

from __future__ import annotations

import json
import math
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from nyx_learning.bandit import PolicySpec, kernels
from nyx_learning.bandit.policies import CATALOG
from nyx_learning.bandit.policies.base import Floats, Mask, Policy, Setting
from nyx_learning.bandit.policies.catalog import Entry
from nyx_learning.bandit.policies.kl_ucb import KlUcb
from nyx_learning.bandit.policies.thompson_beta import ThompsonBeta
from nyx_learning.bandit.policies.ucb1 import Ucb1
from nyx_learning.errors import InputInvalid
from nyx_learning.service.cli import main
from nyx_learning.simulation.contender import Contender
from nyx_learning.simulation.validation import (
    Finding,
    golden,
    run_checks,
    selected,
    suite,
    summary,
)
from nyx_learning.simulation.validation import bounds as formulas
from nyx_learning.simulation.validation.anchors import Anchor
from nyx_learning.simulation.validation.check import Effort
from nyx_learning.simulation.validation.definitions import DEFINITIONS
from nyx_learning.simulation.validation.judging import binomial_limit, misfit
from nyx_learning.simulation.validation.propensities import Calibration, Exactness
from nyx_learning.simulation.validation.quadrature import ClosedForm, Quadrature
from nyx_learning.simulation.validation.regret import without_floor
from nyx_learning.simulation.validation.regret_bounds import RegretBound
from nyx_learning.simulation.validation.slopes import Slope
from nyx_learning.simulation.validation.staged import StagedCalibration
from nyx_learning.simulation.validation.tail_bounds import TailBound, realised_regret, safety_loss
from nyx_learning.simulation.validation.worlds import WithBaseline
from nyx_learning.simulation.worlds import Bernoulli

FIVE = Bernoulli([0.6, 0.2, 0.55, 0.7, 0.5])
FAR = Bernoulli([0.7, 0.3])
CLOSE = Bernoulli([0.9, 0.8])
Register = Callable[[str, type[Policy]], None]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Enrol a policy in the catalog under another name, with the parameters of the one it derives from."""

    def enrol(name: str, policy: type[Policy]) -> None:
        origin = next(e for e in CATALOG.values() if e.cls == policy.__mro__[1].__name__)
        module = types.ModuleType(f"nyx_learning.bandit.policies.{name}")
        module.Broken = policy  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(CATALOG, name, Entry(name, "Broken", "broken on purpose", origin.parameters))

    return enrol


def bound_of_ucb1(contender: Contender, horizon: int = 10_000, replications: int = 200) -> RegretBound:
    bound = formulas.ucb1(FAR.means, horizon)
    effort = Effort(replications, replications)
    return RegretBound(contender, FAR, horizon, bound, 0.4 * horizon, effort, "Auer et al.")


def thesis(contender: Contender, value: float, error: float, replications: int) -> Anchor:
    return Anchor(contender, FIVE, 100, value, error, Effort(replications, replications), "thesis")


# --- broken policies


class UcbWithoutBonus(Ucb1):
    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._alpha = 0.0


class FrozenThompson(ThompsonBeta):
    """Its posterior is taken once, and never again."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._seen = False

    def refresh(self, reading: Floats, changed: Any) -> None:
        if not self._seen:
            super().refresh(reading, changed)
        self._seen = True


class SharpThompson(ThompsonBeta):
    """Logs and draws another pmf than that of its posterior."""

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:
        super().pmf(phi, eligible, out)
        out **= 1.1
        out /= out.sum()


class EagerKlUcb(KlUcb):
    """Its exploration level is three times too high."""

    def refresh(self, reading: Floats, changed: Any) -> None:
        super().refresh(reading / np.array([3.0, 3.0] + [1.0] * (reading.shape[1] - 2)), changed)


def test_ucb_without_its_bonus_exceeds_the_bound(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    # Greedy: stuck on .3 for ever at least if .7 loses first and .3 wins, .3·.3·.4·10⁴ = 360 > 186.
    sound, broken = bound_of_ucb1(without_floor("ucb1")), bound_of_ucb1(without_floor("ucb1", alpha=0.0))
    assert sound.run(full=False).status == "pass"
    found = broken.run(full=False)
    assert found.status == "fail"
    assert found.measured is not None
    assert found.measured > 360
    # The definition tells as well, at once.
    register("ucb_without_bonus", UcbWithoutBonus)
    monkeypatch.setitem(DEFINITIONS, "ucb_without_bonus", DEFINITIONS["ucb1"])
    assert Exactness("ucb_without_bonus", Effort(1, 1)).run(full=False).status == "fail"


def test_thompson_with_a_frozen_posterior_misses_the_anchor(register: Register) -> None:
    register("frozen_thompson", FrozenThompson)
    assert thesis(without_floor("thompson_beta"), 9.70, 0.07, 200).run(full=False).status == "pass"
    found = thesis(without_floor("frozen_thompson"), 9.70, 0.07, 40).run(full=False)
    assert found.status == "fail"
    assert found.measured == pytest.approx(19, abs=1)  # uniform for ever
    assert Slope(without_floor("frozen_thompson"), FAR, 400, Effort(5, 5)).run(full=False).status == "fail"
    assert Exactness("frozen_thompson", Effort(1000, 1000)).run(full=False).status == "fail"


def test_kl_ucb_with_a_wrong_level_misses_the_anchor(register: Register) -> None:
    right, wrong = without_floor("kl_ucb", level="ln t"), without_floor("kl_ucb")
    found = [
        Anchor(c, CLOSE, 5000, 12.78, 0.07, Effort(150, 150), "own").run(full=False) for c in (right, wrong)
    ]
    assert [finding.status for finding in found] == ["pass", "fail"]
    register("eager_kl_ucb", EagerKlUcb)
    eager = without_floor("eager_kl_ucb", level="ln t")
    assert thesis(eager, 9.58, 0.07, 60).run(full=False).status == "fail"


def test_a_pmf_that_is_not_what_is_drawn_fails_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Calibration("thompson_beta", Effort(1500, 1500))
    assert check.run(full=False).status == "pass"
    draw = kernels.choice.draw

    def tempered(pmf: Any, u: int) -> int:
        # A fifth of the draws is uniform, whatever the pmf that is logged says.
        allowed = np.flatnonzero(pmf)
        return int(allowed[u % len(allowed)]) if u % 5 == 0 else int(draw(pmf, u))

    monkeypatch.setattr(kernels.choice, "draw", tempered)
    assert check.run(full=False).status == "fail"


def test_a_stage_that_is_not_drawn_as_logged_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    check = StagedCalibration("hier_ts", Effort(150, 150))
    assert check.run(full=False).status == "pass"
    monkeypatch.setattr(kernels.choice, "draw", lambda pmf, _u: int(np.argmax(pmf)))
    assert check.run(full=False).status == "fail"


def test_a_pmf_that_is_not_the_posteriors_fails_the_definition(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("sharp_thompson", SharpThompson)
    monkeypatch.setitem(DEFINITIONS, "sharp_thompson", DEFINITIONS["thompson_beta"])
    sound = Exactness("thompson_beta", Effort(100_000, 0)).run(full=False)
    broken = Exactness("sharp_thompson", Effort(100_000, 0)).run(full=False)
    assert [sound.status, broken.status] == ["pass", "fail"]
    # Its draws follow what it logs: only the definition tells.
    assert Calibration("sharp_thompson", Effort(1500, 1500)).run(full=False).status == "pass"


def test_one_gauss_legendre_interval_is_not_enough() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(128)

    def single(family: str, mean: Floats, sd: Floats) -> Floats:
        assert family == "Gaussian"
        low, high = (mean - 7.4 * sd).max(), (mean + 7.4 * sd).max()
        y = low + (high - low) * (nodes + 1) / 2
        z = (y - mean[:, None]) / sd[:, None]
        density = np.exp(-0.5 * z * z) / (sd[:, None] * math.sqrt(2 * math.pi))
        below = np.array([[0.5 * math.erfc(-x / math.sqrt(2)) for x in row] for row in z])
        rest = [np.prod(np.delete(below, i, axis=0), axis=0) for i in range(len(mean))]
        return np.array((weights * density * rest).sum(axis=1) * (high - low) / 2)

    sound = Quadrature("Gaussian", 5, 1e-9, Effort(4, 4))
    assert sound.run(full=False).status == "pass"
    assert Quadrature("Gaussian", 5, 1e-9, Effort(4, 4), single).run(full=False).status == "fail"
    assert ClosedForm("Gaussian", Effort(10, 10), single).run(full=False).status == "fail"


@pytest.mark.parametrize("family", ["Beta", "Gaussian"])
def test_the_closed_form_of_two_arms(family: str) -> None:
    found = ClosedForm(family, Effort(20, 20)).run(full=False)
    assert (found.status, found.size) == ("pass", 20)
    assert found.measured is not None
    assert found.measured < 1e-11


def test_bounds_with_a_risk_count_their_violations() -> None:
    world = Bernoulli([0.9, 0.1])
    bound = formulas.exp3_ix(2, 1000, 0.1)
    statuses = [
        TailBound(
            contender, world, 1000, realised_regret, "regret", bound, 800.0, 0.1, Effort(10, 10), "Neu"
        ).run(full=False)
        for contender in (without_floor("exp3_ix"), without_floor("fixed", arm="arm1"))
    ]
    assert [(s.status, s.note) for s in statuses] == [
        ("pass", "0 of 10 above, 6 or more would fail"),
        ("fail", "10 of 10 above, 6 or more would fail"),
    ]
    incumbent = WithBaseline([0.7, 0.5, 0.1], baseline=1)
    found = [
        TailBound(contender, incumbent, 200, safety_loss, "loss", 0.1, 0.8, 0.05, Effort(8, 8), "Wu").run(
            full=False
        )
        for contender in (without_floor("ucb1", conservative=0.1), without_floor("ucb1"))
    ]
    assert [f.status for f in found] == ["pass", "fail"]


def test_a_slope_must_be_of_the_right_size() -> None:
    effort = Effort(200, 200)
    assert Slope(without_floor("kl_maillard"), FAR, 4000, effort).run(full=False).status == "pass"
    for name in ("ucb1", "epsilon_greedy", "uniform"):
        wrong = Slope(without_floor(name), FAR, 4000, effort).run(full=False)
        assert wrong.status == "fail"
        assert wrong.false_alarm == 0.0


def test_a_digest_tells_other_decisions() -> None:
    found = golden.GoldenDecisions("linucb", golden.DIGESTS["linucb"]).run(full=False)
    other = golden.GoldenDecisions("lints", golden.DIGESTS["linucb"]).run(full=False)
    assert [found.status, other.status] == ["pass", "fail"]


# --- what is not checked is said


def test_a_vacuous_bound_is_skipped_and_nothing_is_simulated() -> None:
    never = Effort(10**9, 10**9)
    found = RegretBound(
        without_floor("moss", horizon=10_000), FAR, 10_000, formulas.moss(2, 10_000), 4000.0, never, "AB"
    ).run(full=True)
    assert (found.status, found.measured, found.ratio, found.size) == ("skipped", None, None, 0)
    assert found.note == "vacuous: the worst regret possible is 4000"


def test_every_policy_of_the_catalog_is_calibrated_and_defined() -> None:
    for full in (False, True):
        titles = [check.title for check in selected(full=full)]
        assert len(titles) == len(set(titles))
        for kind in ("calibration", "definition"):
            assert [t.split()[1] for t in titles if t.startswith(kind) and "staged" not in t] == list(CATALOG)
    assert list(DEFINITIONS) == list(CATALOG)
    assert {"bound", "tail bound", "anchor", "slope", "quadrature", "golden"} < {c.kind for c in suite()}
    without = Exactness("uniform", Effort(1, 1))
    assert without.run(full=False).status == "pass"


def test_a_policy_without_a_definition_fails(register: Register) -> None:
    register("undefined", FrozenThompson)
    found = Exactness("undefined", Effort(10, 10)).run(full=False)
    assert (found.status, found.note) == ("fail", "the policy has no independent definition")


# --- formulas and rules by hand


def test_bounds_by_hand() -> None:
    t = 10_000
    level = math.log(t)
    assert formulas.ucb1([0.7, 0.3], t) == pytest.approx(8 * level / 0.4 + 0.4 * (1 + math.pi**2 / 3))
    assert formulas.alpha_ucb([0.5, 0.7, 0.7], t, 4) == pytest.approx(8 * level / 0.2 + 2)
    assert formulas.delayed_ucb1([0.7, 0.3], t, 10) == pytest.approx(8 * level / 0.4 + 13.5 * 0.4)
    assert formulas.thompson_bayes(2, t) == pytest.approx(math.sqrt(t * math.log(2)))
    # Σ Δ/d(μ, .1) over three arms at each of .05, .02 and .01, to two decimals.
    means = [0.1] + [0.05] * 3 + [0.02] * 3 + [0.01] * 3
    assert formulas.lai_robbins(means) == pytest.approx(17.45, abs=0.01)
    # Theorem 10.6 at ε₁ = ε₂ = .1, one point of the infimum.
    f = math.log(1 + t * level**2)
    point = 2 / 0.01 + f / formulas.bernoulli_kl(0.4, 0.6) + 1 / (2 * 0.01)
    assert formulas.kl_ucb([0.7, 0.3], t) <= 0.4 * (1 + point)
    assert formulas.kl_ucb([0.7, 0.3], t) == pytest.approx(153.5 + 0.4, abs=0.2)
    assert formulas.exp3_ix(2, 1000, 0.1) == pytest.approx(
        4 * math.sqrt(2000 * math.log(2)) + (2 * math.sqrt(2000 / math.log(2)) + 1) * math.log(20)
    )
    assert formulas.bernoulli_kl(0, 0.5) == pytest.approx(math.log(2)) == formulas.bernoulli_kl(1, 0.5)


@pytest.mark.parametrize(("trials", "risk"), [(10, 0.1), (30, 0.1), (100, 0.05)])
def test_the_binomial_limit_is_the_smallest(trials: int, risk: float) -> None:
    limit, chance = binomial_limit(trials, risk)
    tail = [sum(binom.pmf(i, trials, risk) for i in range(c, trials + 1)) for c in (limit - 1, limit)]
    assert chance == pytest.approx(tail[1])
    assert tail[1] <= 0.001 < tail[0]


def test_misfit_is_chi_square_by_hand() -> None:
    # 100 draws from (.5, .5): 60 and 40. V = 25·[[1, −1], [−1, 1]]; z = 10/5 → χ² = 4 with 1 degree.
    statistic, freedom, chance = misfit(np.array([10.0, -10.0]), 25.0 * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert freedom == 1
    assert statistic == pytest.approx(4.0)
    assert chance == pytest.approx(0.0455, abs=1e-4)
    # Rare arms are taken together.
    statistic, freedom, _ = misfit(np.array([10.0, -5.0, -5.0]), np.diag([30.0, 14.0, 14.0]))
    assert freedom == 2
    assert statistic == pytest.approx(100 / 30 + 100 / 28)
    assert misfit(np.zeros(3), np.zeros((3, 3))) == (0.0, 0, 1.0)


def test_a_summary_adds_false_alarms_up() -> None:
    def finding(status: Any, alarm: float) -> Finding:
        return Finding("k", "p", "w", "q", status, 3.0, None, 2.0, "", "", alarm, "")

    found = summary([finding("pass", 0.25), finding("fail", 0.5), finding("skipped", 0.0)])
    assert (found.passed, found.failed, found.skipped, found.false_alarm) == (1, 1, 1, 0.75)
    assert summary([finding("pass", 0.7)] * 2).false_alarm == 1.0
    assert finding("pass", 0.0).ratio == 1.5


# --- the command


def test_the_command_prints_a_line_for_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--quick", "--only", "Golden"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("check ")
    assert [line.split()[:2] for line in lines[1:9]] == [["golden", name] for name in golden.DIGESTS]
    assert lines[10].startswith("8 passed, 0 failed, 0 skipped. If everything is right, ")


def test_json_and_workers_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["validate", "--quick", "--only", "calibration ucb", "--json"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert [check["policy"] for check in document["checks"]] == ["ucb1", "ucb_v"]
    assert {key: document[key] for key in ("passed", "failed", "skipped", "quick")} == {
        "passed": 2,
        "failed": 0,
        "skipped": 0,
        "quick": True,
    }
    assert document["false_alarm"] == pytest.approx(2e-4)
    assert main([*arguments, "--workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_a_failure_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden, "DIGESTS", {**golden.DIGESTS, "ucb1": "0" * 16})
    assert main(["validate", "--only", "golden ucb1"]) == 1
    assert "1 failed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--only", "no such check"], ["--workers", "0"], ["--workers", "x"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--quick", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_what_cannot_be_run_is_refused() -> None:
    with pytest.raises(InputInvalid):
        run_checks(suite()[:1], full=False, workers=2000)
    with pytest.raises(InputInvalid):
        selected(full=True, only="nothing like this")
    assert PolicySpec("ucb1", floor=0.0) == without_floor("ucb1").policy
