"""What every policy of the catalog keeps; a new policy is enrolled by being listed there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nyx_learning import BanditSpec, ContextSchema, Strategy
from nyx_learning.bandit import Beliefs, Learner
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.bandit.policies import CATALOG

POLICIES = sorted(CATALOG)
SYMMETRIC = [name for name in POLICIES if "arm" not in CATALOG[name].parameters]
"""Policies without an arm of their own: all but ``fixed``."""

UNIT = 5
"""Units of 2⁻³², 1.2e-9 together: 1e-9 and the rounding of both pmfs."""

CONTEXTS: tuple[dict[str, Any], ...] = (
    {"task": "coding", "size": 2.5, "urgent": True},
    {"task": "never declared", "size": 10, "urgent": False},
)
Rows = list[tuple[dict[str, Any], str, int]]


def pmf(learner: Learner, context: dict[str, Any], **options: Any) -> np.ndarray[Any, Any]:
    return np.array(learner.decide(context, "x", **options).pmf, np.int64)


def bits(beliefs: Sequence[Beliefs]) -> list[tuple[str, str, str, float, int]]:
    return [(b.arm_id, b.mean.hex(), b.sd.hex(), b.probability, b.rewards) for b in beliefs]


@pytest.fixture(params=[0, 1, 2, 80], ids=lambda rounds: f"{rounds} rewards")
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize("floor", [0.0, 0.01])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_pmf_is_one_and_leaves_out_who_is_not_eligible(
    policy: str,
    floor: float,
    rounds: int,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    spec = spec_of(policy, floor)
    learner = learner_of(spec, history(spec, rounds, seed=3))
    generator = np.random.default_rng(1)
    for context in CONTEXTS:
        for _ in range(12):
            count = int(generator.integers(1, len(spec.arms) + 1))
            chosen = sorted(generator.choice(len(spec.arms), count, replace=False).tolist())
            mass = pmf(learner, context, eligible=[spec.arms.units[i] for i in chosen])
            mask = np.isin(np.arange(len(spec.arms)), chosen)
            assert mass.sum() == TOTAL
            assert (mass >= 0).all()
            assert not mass[~mask].any()
            if floor:
                # Each keeps its share of the floor, rounded down.
                assert (mass[mask] >= int(floor / count * TOTAL)).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_single_arm_is_certain(
    policy: str,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    for rounds in (0, 1, 30):
        alone = spec_of(policy, strategies=[Strategy("direct")])
        decision = learner_of(alone, history(alone, rounds, seed=1)).decide(CONTEXTS[0], "x")
        assert (decision.pmf, decision.propensity, decision.reason) == ((TOTAL,), 1.0, "only_arm")
        many = spec_of(policy)
        learner = learner_of(many, history(many, rounds, seed=1))
        for arm, arm_id in enumerate(many.arms.units):
            decision = learner.decide(CONTEXTS[0], "x", eligible=[arm_id])
            assert (decision.arm, decision.propensity, decision.reason) == (arm, 1.0, "only_arm")
            assert decision.pmf[arm] == TOTAL


@pytest.mark.parametrize("policy", POLICIES)
def test_the_order_of_the_arms_decides_nothing(
    policy: str,
    rounds: int,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    spec = spec_of(policy, 0.0)
    turned = spec_of(
        policy,
        0.0,
        strategies=[
            Strategy(s.name, {key: tuple(reversed(values)) for key, values in reversed(s.parameters.items())})  # type: ignore[call-overload]
            for s in reversed(spec.strategies)
        ],
    )
    rows = history(spec, rounds, seed=8)
    one, other = learner_of(spec, rows), learner_of(turned, rows)
    back = [turned.arms.locate(arm_id)[0] for arm_id in spec.arms.units]
    assert back != sorted(back)
    for context in CONTEXTS:
        for eligible in (None, ["parallel", "recursive(depth=2)"]):
            mass = pmf(one, context, eligible=eligible)
            assert abs(mass - pmf(other, context, eligible=eligible)[back]).max() <= UNIT
        beliefs, turned_beliefs = one.beliefs(context), other.beliefs(context)
        for i, belief in enumerate(beliefs):
            again = turned_beliefs[back[i]]
            assert again.arm_id == belief.arm_id
            assert [again.mean, again.sd] == pytest.approx([belief.mean, belief.sd], abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("policy", SYMMETRIC)
def test_arms_that_tie_share(
    policy: str,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    strategies = [Strategy(name) for name in ("a", "b", "c", "d")]
    spec = spec_of(policy, 0.0, strategies=strategies, baseline_arm=None)
    assert np.ptp(pmf(learner_of(spec, []), CONTEXTS[0])) <= 2  # each rounded down, and a unit left over
    for units in (0, 40_000, 65536):
        rows: Rows = [(CONTEXTS[0], arm, units) for _ in range(4) for arm in ("a", "b", "c")]
        rows += [(CONTEXTS[0], "d", 20_000)] * 4
        mass = pmf(learner_of(spec, rows), CONTEXTS[0])
        # exp3_ix weighs a loss by the row's number, so its equal arms had not quite equal histories.
        assert np.ptp(mass[:3]) <= (2 if not CATALOG[policy].statistics else 0.1 * TOTAL)


@pytest.mark.parametrize("policy", POLICIES)
def test_deciding_and_believing_change_nothing(
    policy: str,
    rounds: int,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    spec = spec_of(policy)
    learner = learner_of(spec, history(spec, rounds, seed=4))
    before = learner.sums.digest()
    decisions = [learner.decide(context, f"id-{i}") for i in range(8) for context in CONTEXTS]
    beliefs = [bits(learner.beliefs(context)) for context in CONTEXTS]
    learner.beliefs(CONTEXTS[0], eligible=["parallel"])
    learner.decide(CONTEXTS[1], "another", exclude=["direct"])
    assert learner.sums.digest() == before
    assert [learner.decide(context, f"id-{i}") for i in range(8) for context in CONTEXTS] == decisions
    assert [bits(learner.beliefs(context)) for context in CONTEXTS] == beliefs
    assert learner.sums.digest() == before


@pytest.mark.parametrize("policy", POLICIES)
def test_beliefs_are_those_behind_the_pmf(
    policy: str,
    rounds: int,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    spec = spec_of(policy)
    rows = history(spec, rounds, seed=4)
    learner = learner_of(spec, rows)
    for context in CONTEXTS:
        beliefs = learner.beliefs(context, eligible=["direct", "recursive"])
        mass = pmf(learner, context, eligible=["direct", "recursive"])
        assert [belief.probability * TOTAL for belief in beliefs] == mass.tolist()
        for belief in beliefs:
            assert belief.rewards == sum(arm_id == belief.arm_id for _, arm_id, _ in rows)
            # NaN only where nothing is held: a mean without rewards, a spread of fewer than two.
            assert math.isfinite(belief.mean) or (math.isnan(belief.mean) and belief.rewards == 0)
            assert math.isfinite(belief.sd) or (math.isnan(belief.sd) and belief.rewards < 2)
            assert math.isnan(belief.sd) or belief.sd >= 0


@pytest.mark.parametrize("policy", POLICIES)
def test_the_bits_depend_on_the_sums_alone(
    policy: str,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
    absorb_row: Callable[..., None],
) -> None:
    spec = spec_of(policy, bucket_rows=7)
    rows = history(spec, 60, seed=6)
    strangers = history(spec, 10, seed=7)
    # One reads after each row, and some rows are taken back; one reads once, in any order.
    step, maker = Learner(spec), Learner(spec)
    for seq, row in enumerate(rows, start=1):
        absorb_row(step, maker, row, seq)
        step.sums.seq = seq
        step.decide(CONTEXTS[seq % 2], "x")
        if seq % 6 == 0:
            stranger = strangers[seq // 6 - 1]
            absorb_row(step, maker, stranger, seq)
            step.decide(CONTEXTS[0], "x")
            step.beliefs(CONTEXTS[1])
            absorb_row(step, maker, stranger, seq, -1)
    orders = [np.random.default_rng(seed).permutation(len(rows)).tolist() for seed in range(2)]
    for order in (None, *orders):
        fresh = learner_of(spec, rows, order)
        assert fresh.sums.digest() == step.sums.digest()
        for i, context in enumerate(CONTEXTS):
            assert fresh.decide(context, f"id-{i}") == step.decide(context, f"id-{i}")
            assert bits(fresh.beliefs(context)) == bits(step.beliefs(context))
    # Sums that another learner has read already are read again.
    second = Learner(spec, step.sums)
    assert second.decide(CONTEXTS[0], "x") == step.decide(CONTEXTS[0], "x")


@pytest.mark.parametrize("policy", POLICIES)
def test_no_context_is_a_context(
    policy: str,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    spec = spec_of(policy, context=ContextSchema())
    for rounds in (0, 1, 40):
        learner = learner_of(spec, history(spec, rounds, seed=2))
        assert pmf(learner, {}).sum() == TOTAL


@pytest.mark.parametrize("policy", POLICIES)
def test_a_thousand_arms(
    policy: str, spec_of: Callable[..., BanditSpec], learner_of: Callable[..., Learner]
) -> None:
    strategies = [Strategy("s", {"a": list(range(32)), "b": list(range(31))}), Strategy("direct")]
    spec = spec_of(policy, strategies=strategies, context=ContextSchema())
    rows: Rows = [({}, spec.arms.units[i], 65536 * (i % 2)) for i in range(0, 993, 3)]
    mass = pmf(learner_of(spec, rows), {})
    assert mass.sum() == TOTAL
    assert (mass >= int(0.01 / 993 * TOTAL)).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_extreme_parameters_still_give_a_pmf(
    policy: str,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    numbers = {
        name: parameter
        for name, parameter in CATALOG[policy].parameters.items()
        if not isinstance(parameter.default, str)
    }
    ends = [{name: p.low for name, p in numbers.items()}, {name: p.high for name, p in numbers.items()}]
    cases = [*ends]
    for name in numbers:  # one at the other end
        cases += [{**ends[0], name: ends[1][name]}, {**ends[1], name: ends[0][name]}]
    for parameters in cases:
        spec = spec_of(policy, 0.0, parameters=parameters)
        learner = learner_of(spec, history(spec, 50, seed=9))
        mass = pmf(learner, CONTEXTS[0])
        assert mass.sum() == TOTAL
        assert (mass >= 0).all()
        assert all(not math.isnan(b.mean) or b.rewards == 0 for b in learner.beliefs(CONTEXTS[0])), parameters
