"""``Bandit.explain``: what is told is what was, exactly; and nothing is changed by telling it."""

import json
from typing import Any

import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Flag,
    Numeric,
    Ordinal,
    PolicySpec,
    Range,
    Strategy,
)
from nyx_learning.bandit.explaining import explain_decision, twin_of
from nyx_learning.errors import DecisionUnknown, InputInvalid

_SCHEMA = ContextSchema(
    task=Categorical(["code", "text"]),
    hard=Ordinal(["a", "b", "c"]),
    size=Numeric(1, 1000, log=True),
    hot=Flag(),
)


def _context(i: int) -> dict[str, Any]:
    return {"task": ("code", "text")[i % 2], "hard": "abc"[i % 3], "size": 1 + 7 * i % 900, "hot": i % 5 == 0}


def _bandit(policy: str = "hier_ts", *, staged: bool = False, rows: int = 90) -> Bandit:
    parameters = {"t": Range(1, 100, log=True)} if staged else {"workers": [2, 4, 8]}
    spec = BanditSpec(
        name="explained",
        seed=7,
        strategies=[Strategy("direct"), Strategy("parallel", parameters)],
        context=_SCHEMA,
        policy=PolicySpec(policy, floor=0.04),
        baseline_arm="direct",
        holdout=0.1,
    )
    bandit = Bandit(spec)
    for i in range(rows):
        decision = bandit.select_arm(_context(i), eligible=["direct", "parallel"] if i % 7 else ["parallel"])
        good = 0.5 * (decision.strategy == "parallel" and i % 2) + 0.3 * (decision.strategy == "direct")
        bandit.update_reward(decision, reward=0.1 + good)
    return bandit


@pytest.fixture(scope="module")
def bandit() -> Bandit:
    return _bandit()


def test_every_decision_comes_out_again_and_the_draw_lies_where_it_is_said(bandit: Bandit) -> None:
    for decision in bandit.decisions.values():
        told = bandit.explain(decision)
        assert told.rederived
        assert told.state_seq == decision.state_seq
        assert len(told.stages) == len(decision.stages)
        for view, stage in zip(told.stages, decision.stages, strict=True):
            assert view.low <= view.u < view.high
            assert view.high - view.low == stage.probability
            assert view.layers[-1].probabilities == tuple(mass / 2**32 for mass in stage.pmf)
        json.dumps(told.to_dict(), allow_nan=False)


def test_beliefs_are_those_of_then_and_not_of_today(bandit: Bandit) -> None:
    fresh = _bandit(rows=40)
    decision = fresh.select_arm(_context(40), eligible=["direct", "parallel"])
    then = {belief.arm_id: belief for belief in fresh.beliefs(_context(40))}
    told = bandit.explain("#41")
    assert bandit.decisions["#41"] == decision
    for view in told.arms:
        assert view.mean == then[view.arm_id].mean
        assert view.policy == then[view.arm_id].probability
        assert view.rewards == then[view.arm_id].rewards
    now = {belief.arm_id: belief.mean for belief in bandit.beliefs(_context(40))}
    assert any(view.mean != now[view.arm_id] for view in told.arms)


def test_effects_and_the_average_add_up_to_the_mean(bandit: Bandit) -> None:
    for name in ("#20", "#60", "#90"):
        told = bandit.explain(name)
        assert told.average is not None
        total = told.average + sum(feature.effect for feature in told.features)
        assert told.remainder == 0.0
        assert total == pytest.approx(told.arms[0].mean, abs=1e-9)
        rival = next(view for view in told.arms if view.arm_id == told.rival)
        lead = (told.arms[0].mean or 0.0) - (rival.mean or 0.0)
        others = _average_lead(bandit, told.decision_id)
        assert others + sum(f.margin or 0.0 for f in told.features) == pytest.approx(
            lead, abs=1e-5
        )  # φ̄ is rounded


def _average_lead(bandit: Bandit, name: str) -> float:
    """Lead over the rival in the average context, by averaging the contexts themselves."""
    told, decision = bandit.explain(name), bandit.decisions[name]
    fresh = Bandit(bandit.spec)
    known = list(bandit.decisions.values())[: decision.state_seq]
    for i, earlier in enumerate(known):
        fresh.select_arm(
            _context(i), earlier.decision_id, eligible=["direct", "parallel"] if i % 7 else ["parallel"]
        )
        fresh.update_reward(earlier.decision_id, reward=bandit.receipts[earlier.decision_id].reward)
    leads = []
    for i in range(decision.state_seq):
        means = {belief.arm_id: belief.mean for belief in fresh.beliefs(_context(i))}
        leads.append(means[told.arm_id] - means[told.rival or ""])
    return sum(leads) / len(leads)


def test_what_would_have_changed_it_does_change_it(bandit: Bandit) -> None:
    told = bandit.explain("#60")
    learner = _bandit(rows=59).learner
    decision = bandit.decisions["#60"]
    assert learner.sums.seq == decision.state_seq
    leader = max(learner.beliefs(decision.context), key=lambda b: b.probability).arm_id
    assert told.changes
    for change in told.changes:
        moved = {**decision.context, change.feature: change.value}
        views = {belief.arm_id: belief.probability for belief in learner.beliefs(moved)}
        assert change.instead_of == decision.context[change.feature]
        assert views[change.arm_id] == max(views.values()) == change.probability
        assert change.arm_id != leader


@pytest.mark.parametrize("side", ["failures", "successes"])
def test_so_many_rewards_change_it_and_one_less_does_not(bandit: Bandit, side: str) -> None:
    told = bandit.explain("#60").rewards_to_change
    assert told is not None
    n, arm, reward = (
        (told.failures, told.leader, 0.0) if side == "failures" else (told.successes, told.rival, 1.0)
    )
    assert n is not None
    context = bandit.decisions["#60"].context

    def leader_behind(rewards: int) -> str:
        other = _bandit(rows=59)
        other.learn_history([(context, arm, reward)] * rewards)
        return max(other.beliefs(context), key=lambda b: b.probability).arm_id

    assert leader_behind(0) == leader_behind(n - 1) == told.leader
    assert leader_behind(n) == told.rival if side == "successes" else leader_behind(n) != told.leader


def test_trying_leaves_no_trace(bandit: Bandit) -> None:
    before = bandit.to_json()
    beliefs = bandit.beliefs(_context(3))
    bandit.explain("#90")
    assert bandit.to_json() == before
    assert bandit.beliefs(_context(3)) == beliefs
    twin = twin_of(bandit.learner)
    assert twin.sums.digest() == bandit.learner.sums.digest()
    assert twin.beliefs(_context(3)) == beliefs


def test_guardrails_that_acted_are_named_with_who_ordered_them() -> None:
    bandit = _bandit(rows=40)
    bandit.override("cap", "parallel(workers=4)", share=0.25, author="ada", reason="dear")
    bandit.override("exclude", "direct", author="bob", reason="slow")
    told = bandit.explain(bandit.select_arm(_context(1), "capped"))
    acted = {rail.rule: rail for rail in told.guardrails if rail.acted}
    assert set(acted) <= {"cap", "exclude"}
    assert (acted["exclude"].author, acted["exclude"].reason) == ("bob", "slow")
    assert [view.arm_id for view in told.arms if not view.eligible] == ["direct"]
    if "cap" in acted:
        stage = told.stages[-1]
        assert [layer.step for layer in stage.layers] == ["policy", "floor", "guardrails"]
        assert stage.layers[-1].probabilities[stage.names.index("parallel(workers=4)")] == 0.25
    assert any("bob" in sentence for sentence in told.reasons)


def test_decisions_that_the_policy_did_not_make_say_who_did() -> None:
    bandit = _bandit(rows=60)
    held = next(d for d in bandit.decisions.values() if d.reason == "holdout")
    told = bandit.explain(held)
    assert told.kind == "holdout"
    assert [view.name for view in told.stages] == ["cohort", "arm"]
    assert "holdout" in told.reasons[0]
    order = bandit.override("kill_switch", author="ada", reason="incident 12")
    killed = bandit.explain(bandit.select_arm(_context(2), "killed"))
    if bandit.decisions["killed"].reason == "kill_switch":
        assert killed.kind == "kill_switch"
        assert any(rail.seq == order.seq and rail.acted for rail in killed.guardrails)


@pytest.mark.parametrize("policy", ["hier_ts", "uniform"])
def test_staged_decisions_are_explained_stage_by_stage(policy: str) -> None:
    bandit = _bandit(policy, staged=True, rows=40)
    for decision in bandit.decisions.values():
        told = bandit.explain(decision)
        assert told.rederived
        assert [view.name for view in told.stages] == [stage.name for stage in decision.stages]
        for view, stage in zip(told.stages, decision.stages, strict=True):
            assert view.low <= view.u < view.high
            assert view.layers[-1].probabilities == tuple(mass / 2**32 for mass in stage.pmf)
        assert told.arms[0].arm_id == decision.arm_id
        json.dumps(told.to_dict(), allow_nan=False)
        assert decision.arm_id in str(told)
        assert not any("of its own" in sentence for sentence in told.reasons)  # they are the strategy's


@pytest.mark.parametrize("policy", ["ucb1", "linucb", "thompson_beta", "exp3_ix", "square_cb", "uniform"])
def test_every_kind_of_policy_is_explained(policy: str) -> None:
    bandit = _bandit(policy, rows=25)
    for name in ("#1", "#10", "#25"):
        told = bandit.explain(name)
        assert told.rederived
        json.dumps(told.to_dict(), allow_nan=False)


def test_a_first_decision_says_that_nothing_is_known() -> None:
    bandit = _bandit(rows=0)
    told = bandit.explain(bandit.select_arm(_context(0), "first"))
    assert "0 rewards of its own" in told.reasons[1]
    assert all(feature.effect == pytest.approx(0.0) for feature in told.features)


def test_bad_input_is_refused(bandit: Bandit) -> None:
    with pytest.raises(DecisionUnknown, match="knows no such decision"):
        bandit.explain("never")
    with pytest.raises(DecisionUnknown):
        bandit.explain(bandit.decisions["#3"]._replace(arm_id="direct2"))
    with pytest.raises(InputInvalid, match="not made by this learner") as caught:
        explain_decision(bandit.learner, bandit.decisions["#3"])
    assert "row 90" in caught.value.found
