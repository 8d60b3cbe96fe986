"""pmf → integers that sum to 2³² → keyed uniform → arm."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from nyx_learning import Bandit, BanditSpec
from nyx_learning.bandit import Learner, kernels
from nyx_learning.bandit.choice import TOTAL, Keyed
from nyx_learning.bandit.policies import CATALOG

LAWS = settings(derandomize=True, deadline=None, max_examples=80, database=None)
LEVEL = 1e-6
"""Of correct draws one chi-square in a million fails; the ids are fixed, so that it fails always or never."""


def quantised(pmf: Sequence[float], floor: float, eligible: Sequence[bool] | None = None) -> list[int]:
    out = np.full(len(pmf), -7, np.int64)
    mask = np.ones(len(pmf), np.bool_) if eligible is None else np.array(eligible, np.bool_)
    kernels.choice.quantise(np.array(pmf, np.float64), mask, floor, out)
    return [int(units) for units in out]


def drawn(pmf: Sequence[int], u: int) -> int:
    return int(kernels.choice.draw(np.array(pmf, np.int64), u))


def test_quantised_by_hand() -> None:
    assert quantised([1.0], 0.0) == [TOTAL]
    assert quantised([0.5, 0.5], 0.0) == [TOTAL // 2] * 2
    assert quantised([0.75, 0.25], 0.5) == [TOTAL // 2 * 5 // 4, TOTAL // 2 * 3 // 4]
    assert quantised([1.0, 0.0], 0.0) == [TOTAL, 0]
    assert quantised([0.9, 0.1], 1.0) == [TOTAL // 2] * 2
    assert quantised([1 / 3] * 3, 0.0) == [1431655766, 1431655765, 1431655765]
    # The floor of a rare arm rounds to nothing, and is raised to one unit.
    assert quantised([1.0, 0.0], 1e-12) == [TOTAL - 1, 1]
    assert quantised([0.0, 1.0, 0.0], 1e-12, [True, True, False]) == [1, TOTAL - 1, 0]
    # Unnormalised by rounding upstream: still 2³².
    assert sum(quantised([0.3 + 1e-10, 0.7 + 1e-10], 0.0)) == TOTAL


@pytest.mark.parametrize("broken", [[math.nan, 0.5], [0.0, 0.0], [math.inf, 1.0], [math.nan, math.nan]])
def test_what_is_no_pmf_is_not_rounded_to_one(broken: list[float]) -> None:
    for floor in (0.0, 0.1):
        with pytest.raises(FloatingPointError):
            quantised(broken, floor)


@st.composite
def pmfs(draw: st.DrawFn) -> tuple[list[float], float, list[bool]]:
    count = draw(st.one_of(st.integers(1, 6), st.just(1000)))
    kind = draw(st.sampled_from(["random", "point", "ties", "tiny"]))
    seed = draw(st.integers(0, 2**32))
    generator = np.random.default_rng(seed)
    eligible = generator.random(count) < draw(st.sampled_from([0.3, 1.0]))
    eligible[int(generator.integers(count))] = True
    mass = {
        "random": generator.random(count),
        "point": np.eye(count)[int(np.flatnonzero(eligible)[0])],
        "ties": np.ones(count),
        "tiny": 10.0 ** -generator.uniform(0, 30, count),
    }[kind]
    mass = np.where(eligible, mass, 0.0)
    floor = draw(st.one_of(st.sampled_from([0.0, 1.0, 1e-300, 1e-12]), st.floats(0, 1)))
    return (mass / mass.sum()).tolist(), floor, eligible.tolist()


@LAWS
@given(case=pmfs())
def test_any_pmf_becomes_integers_that_sum_to_2_to_the_32(
    case: tuple[list[float], float, list[bool]],
) -> None:
    pmf, floor, eligible = case
    units = quantised(pmf, floor, eligible)
    count = sum(eligible)
    assert sum(units) == TOTAL
    assert all(u == 0 for u, e in zip(units, eligible, strict=True) if not e)
    assert all(u >= (1 if floor > 0 else 0) for u, e in zip(units, eligible, strict=True) if e)
    for p, u, e in zip(pmf, units, eligible, strict=True):
        if e:
            exact = (1 - floor) * p + floor / count
            # Raised to one unit, given a unit that was left over, or owing one for each arm that was raised.
            assert abs(u - exact * TOTAL) <= count + 1
    ties: dict[float, list[int]] = {}
    for p, u, e in zip(pmf, units, eligible, strict=True):
        if e:
            ties.setdefault(p, []).append(u)
    if floor == 0.0:
        assert all(max(tied) - min(tied) <= 1 for tied in ties.values())


@LAWS
@given(case=pmfs(), u=st.one_of(st.sampled_from([0, 1, TOTAL - 1]), st.integers(0, TOTAL - 1)))
def test_the_arm_is_the_inverse_cdf_at_u(case: tuple[list[float], float, list[bool]], u: int) -> None:
    units = quantised(*case)
    expected = next(i for i, mass in enumerate(accumulate(units)) if u < mass)
    assert drawn(units, u) == expected
    assert units[expected] > 0
    edges = [0, *accumulate(units)]
    for arm, (start, stop) in enumerate(pairwise(edges)):
        if stop > start:
            assert drawn(units, start) == drawn(units, stop - 1) == arm


@LAWS
@given(
    seed=st.integers(0, 2**64 - 1),
    bandit=st.text(st.characters(codec="utf-8"), max_size=20),
    decision_id=st.text(st.characters(codec="utf-8"), max_size=20),
    stage=st.sampled_from(["arm", "cohort", ""]),
)
def test_the_uniform_is_keyed_blake2b(seed: int, bandit: str, decision_id: str, stage: str) -> None:
    message = b"".join(
        len(part.encode()).to_bytes(4, "big") + part.encode() for part in (bandit, decision_id, stage)
    )
    expected = hashlib.blake2b(message, key=seed.to_bytes(16, "big"), digest_size=4).digest()
    keyed = Keyed(seed, bandit)
    assert keyed.uniform(decision_id, stage) == int.from_bytes(expected, "big")
    assert keyed.uniform(decision_id, stage) == Keyed(seed, bandit).uniform(decision_id, stage)


def test_nothing_collides_by_concatenation() -> None:
    splits = [
        ("a", "bc", "d"),
        ("ab", "c", "d"),
        ("abc", "", "d"),
        ("", "abc", "d"),
        ("a", "b", "cd"),
        ("a", "bcd", ""),
    ]
    assert len({Keyed(1, bandit).uniform(name, stage) for bandit, name, stage in splits}) == len(splits)


def test_seeds_bandits_ids_and_stages_share_no_draws() -> None:
    ids = [f"wf-{i}" for i in range(2000)]
    streams = {
        (seed, bandit, stage): [Keyed(seed, bandit).uniform(name, stage) for name in ids]
        for seed in (0, 1)
        for bandit in ("orchestration", "other")
        for stage in ("arm", "cohort")
    }
    numbers = [u for stream in streams.values() for u in stream]
    assert len(set(numbers)) > len(numbers) - 10  # 16,000 of 2³²: 0.03 collisions are expected
    # Independent: each pair of streams agrees in the top bit half the time, within 6 standard errors.
    keys = list(streams)
    for i, one in enumerate(keys):
        for other in keys[i + 1 :]:
            same = sum((u >> 31) == (v >> 31) for u, v in zip(streams[one], streams[other], strict=True))
            assert abs(same - 1000) < 6 * 2000**0.5 / 2


def test_two_bandits_with_the_same_seed_decide_apart(spec_of: Callable[..., BanditSpec]) -> None:
    context: dict[str, Any] = {"task": "coding", "size": 1, "urgent": True}
    one, other = Bandit(spec_of("uniform", name="one")), Bandit(spec_of("uniform", name="other"))
    arms = [(one.select_arm(context).arm, other.select_arm(context).arm) for _ in range(800)]
    # Eight equal arms: 100 agreements are expected, all 800 with shared draws.
    assert 40 < sum(a == b for a, b in arms) < 170


def test_one_bandit_never_repeats_a_draw(spec_of: Callable[..., BanditSpec]) -> None:
    # A key made of the state alone would draw one number for all decisions of a state.
    bandit = Bandit(spec_of("uniform"))
    context: dict[str, Any] = {"task": "coding", "size": 1, "urgent": True}
    assert len({bandit.select_arm(context).arm for _ in range(200)}) == 8


def chi_square_p(counts: np.ndarray[Any, Any], pmf: Sequence[int]) -> float:
    """Pearson's test; cells with fewer than 5 expected are put together."""
    expected = np.array(pmf) / TOTAL * counts.sum()
    assert not counts[expected == 0].any()
    order = np.argsort(expected)
    counts, expected = counts[order], expected[order]
    small = int(np.searchsorted(np.cumsum(expected), 5.0)) + 1
    counts = np.array([counts[:small].sum(), *counts[small:]])
    expected = np.array([expected[:small].sum(), *expected[small:]])
    if len(counts) == 1:
        return 1.0
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


@pytest.mark.parametrize("policy", sorted(CATALOG))
def test_frequencies_over_keyed_ids_are_the_pmf(
    policy: str,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Any],
    learner_of: Callable[..., Learner],
) -> None:
    context: dict[str, Any] = {"task": "coding", "size": 3, "urgent": False}
    for rounds, eligible in ((0, None), (60, None), (60, ["parallel", "direct"])):
        spec = spec_of(policy, 0.1, name=f"{policy}-{rounds}")
        learner = learner_of(spec, history(spec, rounds, seed=5))
        pmf = learner.decide(context, "x", eligible=eligible).pmf
        keyed, mass = Keyed(spec.seed, spec.name), np.array(pmf, np.int64)
        arms = [int(kernels.choice.draw(mass, keyed.uniform(f"workflow-{i}", "arm"))) for i in range(20_000)]
        decisions = [
            learner.decide(context, f"workflow-{i}", eligible=eligible) for i in range(0, 20_000, 100)
        ]
        assert [decision.arm for decision in decisions] == arms[::100]
        assert {decision.pmf for decision in decisions} == {pmf}
        assert chi_square_p(np.bincount(arms, minlength=len(pmf)), pmf) > LEVEL
