# mypy: disable-error-code="arg-type,operator,union-attr"
"""Spaces too large to list: stages, their exact product, and the factored model against a dense one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Decision,
    Flag,
    PolicySpec,
    Range,
    Strategy,
)
from nyx_learning.bandit.choice import TOTAL, Keyed
from nyx_learning.bandit.parameters import CELLS, encode_position, position
from nyx_learning.bandit.space import ArmSpace
from nyx_learning.errors import ArmUnknown, EligibilityEmpty, SpecInvalid

Floats = npt.NDArray[np.float64]
TIMEOUT = Range(1, 100, log=True)
STRATEGIES = [
    Strategy("direct"),
    Strategy("parallel", {"workers": [1, 2, 4], "timeout_s": TIMEOUT}),
    Strategy("serial", {"timeout_s": TIMEOUT, "retries": Range(0, 5, integer=True)}),
]
CONTEXT = ContextSchema(task=Categorical(["a", "b"]), urgent=Flag())


def make_spec(**changes: Any) -> BanditSpec:
    settings = {"name": "staged", "seed": 5, "strategies": STRATEGIES, "context": CONTEXT} | changes
    return BanditSpec(**settings)


def worth(context: Mapping[str, Any], decision: Decision) -> float:
    """A smooth truth: parallel is best, near ten seconds, with many workers."""
    if decision.strategy != "parallel":
        return 0.45
    x = TIMEOUT.place(decision.parameters["timeout_s"])
    return (
        0.75 - 0.3 * x * x + 0.05 * decision.parameters["workers"] * (1 if context["task"] == "a" else -0.5)
    )


def played(rounds: int, **changes: Any) -> Bandit:
    bandit = Bandit(make_spec(**changes))
    for i in range(rounds):
        context = {"task": "ab"[i % 2], "urgent": i % 3 == 0}
        decision = bandit.select_arm(context, f"w{i}")
        won = Keyed(1, "truth").uniform(f"w{i}", decision.arm_id) < worth(context, decision) * TOTAL
        bandit.update_reward(decision, reward=float(won))
    return bandit


def test_a_decision_is_a_chain_whose_propensity_is_the_product() -> None:
    bandit = played(60, baseline_arm="parallel(timeout_s=10,workers=2)", holdout=0.2)
    reasons = set()
    for decision in bandit.decisions.values():
        reasons.add(decision.reason)
        product = 1.0
        for stage in decision.stages:
            assert sum(stage.pmf) == TOTAL
            u = Keyed(5, "staged").uniform(decision.decision_id, stage.name)
            assert stage.chosen == int(np.searchsorted(np.cumsum(stage.pmf), u, side="right"))
            product *= stage.pmf[stage.chosen] / TOTAL
        assert decision.propensity == product > 0.0
        if decision.reason == "holdout":
            assert decision.arm_id == "parallel(timeout_s=10.0,workers=2)"
            assert [stage.name for stage in decision.stages] == ["cohort", "baseline"]
        elif decision.strategy == "parallel":
            assert [stage.name for stage in decision.stages][1:] == [
                "strategy",
                "parallel.timeout_s",
                "parallel.timeout_s/2",
                "parallel.workers",
            ]
    assert reasons == {"holdout", "policy"}


def test_verify_and_the_document_hold_for_staged_decisions() -> None:
    bandit = played(80)
    assert bandit.verify().ok
    again = Bandit.from_json(bandit.to_json())
    assert again.to_json() == bandit.to_json()
    context = {"task": "a", "urgent": True}
    assert again.select_arm(context, "next") == bandit.select_arm(context, "next")


def test_deciding_leaves_no_trace_and_the_order_of_rewards_does_not_matter() -> None:
    first, second = Bandit(make_spec()), Bandit(make_spec())
    decisions = [first.select_arm({"task": "a", "urgent": False}, f"w{i}") for i in range(30)]
    assert decisions == [second.select_arm({"task": "a", "urgent": False}, f"w{i}") for i in range(30)]
    for i, decision in enumerate(decisions):
        first.update_reward(decision, reward=i / 30)
    for i in reversed(range(30)):
        second.update_reward(decisions[i], reward=i / 30)
    assert first.learner.sums.digest() == second.learner.sums.digest()
    last = [bandit.select_arm({"task": "b", "urgent": True}, "last") for bandit in (first, second)]
    assert last[0] == last[1]


def test_it_finds_the_region_that_pays() -> None:
    bandit = played(900)
    contexts = [({"task": "ab"[i % 2]}, d) for i, d in enumerate(bandit.decisions.values())]
    early = np.mean([worth(c, d) for c, d in contexts[:150]])
    late = np.mean([worth(c, d) for c, d in contexts[-300:]])
    # Uniform choice is worth .50 here and the best arm .85; a learner that learned nothing stays at .5.
    assert late > early + 0.05
    assert late > 0.65


def dense_posterior(bandit: Bandit, ratio: float) -> tuple[Floats, Floats, float, npt.NDArray[np.int64]]:
    """The same model written out: one design row per rewarded decision, all effects at once."""
    space, p = bandit.spec.arms, bandit.spec.policy.parameters
    d = bandit.spec.context.dimension
    widths = [space.size(unit) for unit in range(len(space))]
    starts = np.cumsum([d, *widths])[:-1]
    size = d + sum(widths)
    rows, rewards = [], []
    for receipt in bandit.receipts.values():
        decision = bandit.decisions[receipt.decision_id]
        psi = np.array(decision.phi) / 65536
        row = np.zeros(size)
        row[:d] = psi[:d]
        row[starts[decision.arm] : starts[decision.arm] + widths[decision.arm]] = psi[: widths[decision.arm]]
        rows.append(row)
        rewards.append(round(receipt.reward * 65536) / 65536 - p["mean"])
    features = np.sqrt(2)  # of the context
    root = np.sqrt(ratio)
    sds = [p["sd_global"]] + [root * p["sd_context"] / features] * (d - 1)
    for unit in range(len(space)):
        sds += [root * p["sd_strategy"]] + [ratio * p["sd_interaction"] / features] * (d - 1)
        for parameter in space.parameters[unit]:
            smooth = isinstance(parameter.values, Range)
            sds += [root * p["sd_parameter"] / (1 + i if smooth else 1) for i in range(parameter.columns)]
    x, y = np.array(rows), np.array(rewards)
    prior = np.diag(p["noise"] / np.array(sds) ** 2)
    precision = prior + x.T @ x
    mean = np.linalg.solve(precision, x.T @ y)
    scale = (p["noise_weight"] * p["noise"] + y @ y - mean @ precision @ mean) / (p["noise_weight"] + len(y))
    logs = np.linalg.slogdet(prior)[1] - np.linalg.slogdet(precision)[1]
    evidence = 0.5 * (logs - (p["noise_weight"] + len(y)) * np.log(scale * (p["noise_weight"] + len(y))))
    return mean, scale * np.linalg.inv(precision), evidence, starts


def test_stage_pmfs_are_those_of_the_dense_model() -> None:
    """Against 400,000 draws; 5 standard errors, so that a right pmf fails with probability below 1e-4."""
    bandit = played(120)
    space, d, floor = bandit.spec.arms, bandit.spec.context.dimension, bandit.spec.policy.floor
    decision = next(
        dec
        for i in range(50)
        if (dec := bandit.select_arm({"task": "a", "urgent": True}, f"probe{i}")).strategy == "parallel"
    )
    phi = np.array(decision.phi[:d]) / 65536
    p = bandit.spec.policy.parameters
    posteriors = [dense_posterior(bandit, ratio) for ratio in (p["ratio_low"], p["ratio_high"])]
    weight = np.exp([post[2] - max(other[2] for other in posteriors) for post in posteriors])
    weight /= weight.sum()
    caution = min(1.0, p["caution"] * np.sqrt(1 + 120 / p["caution_rows"]))
    best = [belief.arm_id for belief in bandit.beliefs({"task": "a", "urgent": True})]

    def vector(unit: int, arm_id: str) -> Floats:
        z = space.encode(unit, space.locate(arm_id)[1].parameters)
        return np.concatenate([phi, np.array(z)[: space.size(unit) - d] / 65536])

    rng, draws = np.random.default_rng(3), 400_000
    mixed = np.zeros(len(space))
    for (mean, covariance, _, starts), share in zip(posteriors, weight, strict=True):
        samples = []
        for unit in range(len(space)):
            row = np.zeros(len(mean))
            row[starts[unit] : starts[unit] + space.size(unit)] = vector(unit, best[unit])
            own = row @ covariance @ row
            row[:d] += phi
            center = row @ mean + p["optimism"] * np.sqrt(own)
            samples.append(rng.normal(center, caution * np.sqrt(own), draws))
        mixed += share * np.bincount(np.argmax(samples, axis=0), minlength=len(space)) / draws
    expected = (1 - floor) * mixed + floor / len(space)
    stage = decision.stages[0]
    assert stage.name == "strategy"
    error = np.sqrt(expected * (1 - expected) / draws) + 1e-9
    assert np.all(np.abs(np.array(stage.pmf) / TOTAL - expected) < 5 * error)

    # The first parameter stage, given the strategy: the ratios are re-weighed by what was drawn.
    parts = []
    likelihood = []
    for mean, covariance, _, starts in posteriors:
        unit, columns = 1, space.parameters[1][0]
        effects = []
        for cell in range(CELLS):
            row = np.zeros(len(mean))
            first = starts[unit] + d + columns.column
            row[first : first + 3] = np.array(encode_position(position([cell]))) / 65536
            sd = np.sqrt(row @ covariance @ row)
            effects.append(rng.normal(row @ mean, caution * sd, draws))
        parts.append(np.bincount(np.argmax(effects, axis=0), minlength=CELLS) / draws)
        samples = []
        for other in range(len(space)):
            row = np.zeros(len(mean))
            row[starts[other] : starts[other] + space.size(other)] = vector(other, best[other])
            own = row @ covariance @ row
            row[:d] += phi
            center = row @ mean + p["optimism"] * np.sqrt(own)
            samples.append(rng.normal(center, caution * np.sqrt(own), draws))
        likelihood.append((1 - floor) * np.mean(np.argmax(samples, axis=0) == unit) + floor / len(space))
    posterior = weight * likelihood
    posterior /= posterior.sum()
    expected = (1 - floor) * (posterior @ np.array(parts)) + floor / CELLS
    error = np.sqrt(expected * (1 - expected) / draws) + 1e-4
    assert decision.stages[1].name == "parallel.timeout_s"
    assert np.all(np.abs(np.array(decision.stages[1].pmf) / TOTAL - expected) < 5 * error)


def test_uniform_is_uniform_in_every_stage() -> None:
    bandit = Bandit(make_spec(policy=PolicySpec("uniform")))
    decision = bandit.select_arm({"task": "a", "urgent": True}, "w")
    for stage in decision.stages:
        assert max(stage.pmf) - min(stage.pmf) <= 1


def test_forgetting_reads_staged_sums_too() -> None:
    bandit = played(60, policy=PolicySpec("hier_ts", window=20), bucket_rows=5)
    assert bandit.verify().ok


@given(cells=st.lists(st.integers(0, CELLS - 1), min_size=2, max_size=2), retries=st.integers(0, 5))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_an_arm_id_can_be_read_back(cells: list[int], retries: int) -> None:
    space = ArmSpace(STRATEGIES, CONTEXT.dimension)
    arm = space.arm(2, {"timeout_s": TIMEOUT.value(cells), "retries": retries})
    assert space.locate(arm.arm_id) == (2, arm)
    assert abs(TIMEOUT.place(arm.parameters["timeout_s"]) - position(cells)) < 1e-4


def test_range_by_hand() -> None:
    # Nine cells on [-1, 1]: the middle of the first is -1 + 1/9; that of its last ninth is -1 + 2/9 - 1/81.
    assert position([0]) == pytest.approx(-1 + 1 / 9)
    assert position([0, 8]) == pytest.approx(-1 + 2 / 9 - 1 / 81)
    assert Range(0, 9).value([4, 4]) == 4.5
    assert Range(0, 90, integer=True).value([0, 0]) == round(90 / 162)
    # Chebyshev polynomials at one half: T1 = 1/2, T2 = -1/2, T3 = -1.
    assert encode_position(0.5) == [32768, -32768, -65536]


@pytest.mark.parametrize("bad", [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf")), ("a", 2), (True, 2)])
def test_bad_ranges_are_refused(bad: tuple[Any, Any]) -> None:
    with pytest.raises(SpecInvalid, match="expected:"):
        Range(*bad)
    with pytest.raises(SpecInvalid, match="low > 0"):
        Range(0, 1, log=True)


def test_what_a_space_refuses() -> None:
    with pytest.raises(SpecInvalid, match="cannot choose from a space of this size"):
        make_spec(policy=PolicySpec("ucb1"))
    with pytest.raises(SpecInvalid, match="cannot stand in a space of this size"):
        make_spec(strategies=[Strategy("a(b", {"x": Range(0, 1)})])
    with pytest.raises(ArmUnknown):
        make_spec(baseline_arm="parallel(timeout_s=1000,workers=2)")
    bandit = Bandit(make_spec())
    before = bandit.to_json()
    with pytest.raises(ArmUnknown, match="strategy names"):
        bandit.select_arm({"task": "a", "urgent": True}, "w", eligible=["parallel(timeout_s=10.0,workers=2)"])
    with pytest.raises(EligibilityEmpty):
        bandit.select_arm({"task": "a", "urgent": True}, "w", eligible=["direct"], exclude=["direct"])
    assert bandit.to_json() == before


def test_eligibility_holds_in_the_strategy_stage() -> None:
    bandit = played(30)
    for i in range(20):
        decision = bandit.select_arm({"task": "b", "urgent": False}, f"e{i}", exclude=["parallel"])
        assert decision.strategy != "parallel"
        assert decision.stages[0].pmf[1] == 0


def test_the_size_decides_between_listing_and_stages() -> None:
    listed = BanditSpec(name="s", strategies=[Strategy("a", {"x": list(range(32)), "y": list(range(32))})])
    staged = BanditSpec(name="s", strategies=[Strategy("a", {"x": list(range(33)), "y": list(range(32))})])
    assert not listed.arms.staged
    assert staged.arms.staged
    assert BanditSpec.from_dict(staged.to_dict()).spec_hash == staged.spec_hash
    assert BanditSpec.from_dict(make_spec().to_dict()).spec_hash == make_spec().spec_hash
