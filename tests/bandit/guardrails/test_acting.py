"""Each rule's pmf against an independent statement of it, in exact fractions."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from nyx_learning import Bandit, BanditSpec, Decision, PolicySpec, Strategy
from nyx_learning.bandit.choice import TOTAL, Keyed
from nyx_learning.bandit.guardrails import Cap, Rules, guard
from nyx_learning.errors import EligibilityEmpty

WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}


def whole(weights: list[int]) -> list[int]:
    """Units that sum to 2³², in about these proportions."""
    units = [TOTAL * w // sum(weights) for w in weights]
    units[int(np.argmax(units))] += TOTAL - sum(units)
    return units


pmfs = st.lists(st.integers(0, 1000), min_size=1, max_size=7).filter(any).map(whole)


def capped_by_rule(p: list[Fraction], capped: set[int], limit: Fraction) -> list[Fraction]:
    """One cap, stated anew: in exact proportions, inside and outside of the set."""
    inside = sum(p[i] for i in capped)
    if inside <= limit:
        return p
    outside = 1 - inside
    count = len(p) - len(capped)
    q = []
    for i, mass in enumerate(p):
        if i in capped:
            q.append(mass * limit / inside)
        elif outside:
            q.append(mass * (1 - limit) / outside)
        else:
            q.append((1 - limit) / count)
    return q


@settings(max_examples=200, derandomize=True, deadline=None)
@given(pmfs, st.data())
def test_one_cap(pmf: list[int], data: st.DataObject) -> None:
    capped = data.draw(st.sets(st.integers(0, len(pmf) - 1), min_size=1))
    limit = data.draw(st.integers(0, TOTAL))
    q = guard(pmf, Rules(caps=(Cap(tuple(sorted(capped)), limit, "cap"),)), [True] * len(pmf), -1)
    assert sum(q) == TOTAL
    if len(capped) == len(pmf):
        return  # no arm is left to take it: an arm must be served
    assert sum(q[i] for i in capped) <= limit
    stated = capped_by_rule([Fraction(m, TOTAL) for m in pmf], capped, Fraction(limit, TOTAL))
    assert all(abs(Fraction(m, TOTAL) - s) <= Fraction(2, TOTAL) for m, s in zip(q, stated, strict=True))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(pmfs, st.data())
def test_several_caps_hold_together(pmf: list[int], data: st.DataObject) -> None:
    """Whatever the caps, a pmf; they hold while an arm without one is eligible; mass stays where it may."""
    k = len(pmf)
    eligible = [bool(mass) for mass in pmf]
    some = st.sets(st.integers(0, k - 1), min_size=1).map(sorted).map(tuple)
    caps = tuple(
        Cap(arms, limit, "cap")
        for arms, limit in data.draw(st.lists(st.tuples(some, st.integers(0, TOTAL)), max_size=4))
    )
    q = guard(pmf, Rules(caps=caps), eligible, -1)
    assert sum(q) == TOTAL
    assert min(q) >= 0
    assert all(good or not mass for good, mass in zip(eligible, q, strict=True))
    under = {i for cap in caps for i in cap.arms}
    if any(good and i not in under for i, good in enumerate(eligible)):
        assert all(sum(q[i] for i in cap.arms) <= cap.limit for cap in caps)


@pytest.mark.parametrize(("baseline", "expected"), [(1, [0.25, 0.75]), (-1, None)])
def test_caps_on_all_arms_leave_the_rest_to_the_baseline(baseline: int, expected: list[float] | None) -> None:
    caps = (Cap((0,), TOTAL // 4, "cap"), Cap((1,), TOTAL // 4, "cap"))
    q = guard([TOTAL // 2, TOTAL // 2], Rules(caps=caps), [True, True], baseline)
    assert sum(q) == TOTAL
    if expected is not None:
        assert [mass / TOTAL for mass in q] == expected


@settings(max_examples=200, derandomize=True, deadline=None)
@given(pmfs, st.data())
def test_service_mixes_with_the_baseline(pmf: list[int], data: st.DataObject) -> None:
    """q = s·p + (1 − s)·[arm = baseline], to a unit an arm, and no arm with mass loses its last unit."""
    baseline = data.draw(st.integers(0, len(pmf) - 1))
    share = data.draw(st.integers(1, TOTAL))
    q = guard(pmf, Rules(share=share), [True] * len(pmf), baseline)
    s = Fraction(share, TOTAL)
    assert sum(q) == TOTAL
    for i, mass in enumerate(pmf):
        stated = s * mass + (TOTAL * (1 - s) if i == baseline else 0)
        assert abs(q[i] - stated) <= (len(pmf) + 1 if i == baseline else 1)
        assert (q[i] > 0) == (stated > 0)
    assert guard(pmf, Rules(share=share), [i != baseline for i in range(len(pmf))], baseline) == pmf


def arms(policy: str = "thompson_gaussian", **kwargs: Any) -> Bandit:
    spec = BanditSpec(
        "guarded",
        [Strategy("direct"), Strategy("parallel", {"workers": [2, 4]}), Strategy("deep")],
        policy=PolicySpec(policy, floor=0.05),
        baseline_arm="direct",
        seed=3,
        **kwargs,
    )
    bandit = Bandit(spec)
    ids = spec.arms.units
    bandit.learn_history([({}, ids[i % 4], 0.3 + 0.1 * (i % 4)) for i in range(40)])
    return bandit


@pytest.mark.parametrize("rule", ["exclude", "pause", "retire"])
def test_what_is_taken_out_is_as_if_it_were_not_eligible(rule: str) -> None:
    bandit, plain = arms(), arms()
    bandit.override(rule, "parallel", **WHO)
    for i in range(50):
        guarded = bandit.select_arm({}, f"id-{i}")
        stated = plain.select_arm({}, f"id-{i}", exclude=["parallel"])
        assert (guarded.pmf, guarded.arm) == (stated.pmf, stated.arm)
        assert guarded.reason == f"guarded:{rule}"
        assert guarded.eligible is None


def test_a_pin_is_as_if_nothing_else_were_eligible() -> None:
    bandit, plain = arms(), arms()
    bandit.override("pin", ["parallel"], **WHO)
    for i in range(20):
        guarded = bandit.select_arm({}, f"id-{i}")
        stated = plain.select_arm({}, f"id-{i}", eligible=["parallel"])
        assert (guarded.pmf, guarded.arm, guarded.reason) == (stated.pmf, stated.arm, "guarded:pin")
        # Where no pinned arm is eligible, the pin has nothing to say.
        others = bandit.select_arm({}, f"other-{i}", exclude=["parallel"])
        assert others.pmf == plain.select_arm({}, f"other-{i}", exclude=["parallel"]).pmf
        assert others.reason == "policy"


def test_nothing_left_is_an_error_and_a_decision_is_not_made() -> None:
    bandit = arms()
    bandit.override("exclude", ["deep"], **WHO)
    with pytest.raises(EligibilityEmpty, match="exclude"):
        bandit.select_arm({}, "id", eligible=["deep"])
    assert "id" not in bandit.decisions


def test_kill_switch_and_shadow_serve_the_baseline() -> None:
    bandit, plain = arms(), arms()
    order = bandit.override("shadow", **WHO)
    for i in range(30):
        shadow = bandit.select_arm({}, f"id-{i}")
        assert shadow.pmf == (TOTAL, 0, 0, 0)
        assert (shadow.arm_id, shadow.propensity) == ("direct", 1.0)
        assert shadow.reason == f"shadow:{plain.select_arm({}, f'id-{i}').arm_id}"
    bandit.override("kill_switch", **WHO)
    assert bandit.select_arm({}, "killed").reason == "kill_switch"
    bandit.revoke(order.seq, **WHO)
    assert bandit.select_arm({}, "still").reason == "kill_switch"
    # A request for which the baseline arm is not eligible is still served.
    assert bandit.select_arm({}, "else", exclude=["direct"]).arm_id != "direct"
    assert bandit.verify().ok


def test_a_ramp_opens_with_what_is_known() -> None:
    bandit = arms("uniform")
    bandit.override("ramp", "deep", share=0.1, rows=20, **WHO)  # 10 rewards are known
    rows = 10
    while rows < 22:
        decision = bandit.select_arm({}, f"id-{rows}", eligible=["direct", "deep"])
        stated = min(0.5, 0.1 + 0.9 * rows / 20)
        assert abs(decision.pmf[3] / TOTAL - stated) < 1e-9
        bandit.learn_history([({}, "deep", 0.5)])
        rows += 1
    assert bandit.verify().ok


def test_every_arm_is_the_quantile_of_its_keyed_uniform_and_frequencies_are_the_pmfs() -> None:
    """Σ(1{A=a} − p_a) over rows has variance Σ p_a(1 − p_a), row by row: rows of mass 0 or 1 say nothing."""
    bandit = arms()
    bandit.override("cap", "parallel", share=0.1, **WHO)
    bandit.override("exclude", "deep", until=2000.0, **WHO)
    keyed = Keyed(3, "guarded")
    chosen, masses = list[int](), list[list[float]]()
    for i in range(4000):
        if i == 2000:
            bandit.learn_history([({}, "parallel(workers=4)", 0.9)] * 6)
        only = ["direct"] if i % 7 == 0 else None  # degenerate rows in between
        decision: Decision = bandit.select_arm({}, f"id-{i}", eligible=only, time=float(i))
        u, mass = keyed.uniform(f"id-{i}", "arm"), 0
        arm = next(a for a, m in enumerate(decision.pmf) if (mass := mass + m) > u)
        assert arm == decision.arm
        assert (decision.pmf[3] == 0) == (i < 2000 or only is not None)
        chosen.append(arm)
        masses.append([m / TOTAL for m in decision.pmf])
    p = np.array(masses)
    hits = np.eye(4)[chosen]
    for arm in range(4):
        free = (p[:, arm] > 0) & (p[:, arm] < 1)
        variance = (p[free, arm] * (1 - p[free, arm])).sum()
        z = (hits[free, arm] - p[free, arm]).sum() / np.sqrt(variance)
        assert abs(z) < norm.isf(1e-6)
        assert (hits[~free, arm] == p[~free, arm]).all()
    assert bandit.verify().ok
