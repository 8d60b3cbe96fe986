"""``Bandit``: idempotent decisions, rewards once, refusals that change nothing, and ``verify``."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nyx_learning import Bandit, BanditSpec, Decision, NyxError, Outcome, Receipt, Strategy
from nyx_learning.bandit.policies import CATALOG
from nyx_learning.errors import (
    ArmUnknown,
    ContextInvalid,
    DecisionConflict,
    DecisionUnknown,
    EligibilityEmpty,
    InputInvalid,
    OutcomeInvalid,
    RewardConflict,
)

CONTEXT: dict[str, Any] = {"task": "coding", "size": 2.5, "urgent": True}
OTHER: dict[str, Any] = {"task": "coding", "size": 2.5, "urgent": False}


NO_IDS: list[Any] = ["", "a\n", "\ud800", "x" * 513, 3, b"a", []]
NO_REWARDS: list[Any] = [-1e-9, 1.0000001, math.nan, math.inf, -math.inf, True, False, np.bool_(True), "0.5"]
NO_REWARDS += [b"1", [0.5], 1j, 10**400, -(10**5000), Fraction(10**400), 2, -1]


@pytest.fixture
def bandit(spec_of: Callable[..., BanditSpec]) -> Bandit:
    """Three decisions, "a", "b" and "c", of which "a" has a reward and "b" an outcome."""
    made = Bandit(spec_of())
    made.update_reward(made.select_arm(CONTEXT, "a"), reward=0.5)
    made.update_reward(made.select_arm(OTHER, "b"), Outcome(success=True, quality=0.8))
    made.select_arm(CONTEXT, "c", eligible=["parallel"])
    return made


@pytest.fixture
def unchanged(bandit: Bandit, four_parts: Callable[..., None]) -> Callable[..., None]:
    """Check that a call is refused in four parts, and leaves no trace in the document."""

    def check(kind: type[NyxError], call: Callable[[], Any], match: str | None = None) -> None:
        before, beliefs = bandit.to_json(), bandit.beliefs(CONTEXT)
        with pytest.raises(kind, match=match) as error:
            call()
        assert type(error.value) is kind
        four_parts(error)
        assert bandit.to_json() == before
        assert bandit.beliefs(CONTEXT) == beliefs
        assert bandit.verify().ok

    return check


def test_the_same_question_has_the_same_answer(bandit: Bandit) -> None:
    first = bandit.decisions["a"]
    for _ in range(2):
        assert bandit.select_arm(CONTEXT, "a") is first
        assert bandit.select_arm(dict(reversed(CONTEXT.items())), "a") is first
        assert bandit.select_arm({**CONTEXT, "size": np.float64(2.5)}, "a") is first
    assert bandit.select_arm(CONTEXT, "a", eligible=["direct", "parallel", "recursive"]) is first
    assert bandit.select_arm(CONTEXT, "c", eligible=["parallel"]) is bandit.decisions["c"]
    assert bandit.select_arm(CONTEXT, "c", exclude=["direct", "recursive"]) is bandit.decisions["c"]
    assert len(bandit.decisions) == 3


def test_another_question_with_the_same_id_is_refused(bandit: Bandit, unchanged: Callable[..., None]) -> None:
    unchanged(DecisionConflict, lambda: bandit.select_arm(OTHER, "a"), "another context")
    unchanged(DecisionConflict, lambda: bandit.select_arm({**CONTEXT, "size": 3}, "a"), "another context")
    unchanged(DecisionConflict, lambda: bandit.select_arm(CONTEXT, "a", eligible=["direct"]), "eligibility")
    unchanged(DecisionConflict, lambda: bandit.select_arm(CONTEXT, "c"), "eligibility")
    unchanged(DecisionConflict, lambda: bandit.select_arm(CONTEXT, "c", eligible=["direct"]), "eligibility")


@pytest.mark.parametrize(
    ("kind", "context", "options"),
    [
        (ContextInvalid, {**CONTEXT, "size": math.nan}, {}),
        (ContextInvalid, {**CONTEXT, "size": 10**5000}, {}),
        (ContextInvalid, {**CONTEXT, "colour": 1}, {}),
        (ContextInvalid, {"task": "coding"}, {}),
        (ContextInvalid, None, {}),
        (ArmUnknown, CONTEXT, {"eligible": ["nobody"]}),
        (ArmUnknown, CONTEXT, {"exclude": ["nobody"]}),
        (EligibilityEmpty, CONTEXT, {"eligible": []}),
        (EligibilityEmpty, CONTEXT, {"exclude": ["direct", "parallel", "recursive"]}),
        *((InputInvalid, CONTEXT, {"decision_id": bad}) for bad in NO_IDS),
    ],
)
def test_unusable_questions_are_refused(
    kind: type[NyxError],
    context: Any,
    options: dict[str, Any],
    bandit: Bandit,
    unchanged: Callable[..., None],
) -> None:
    unchanged(kind, lambda: bandit.select_arm(context, **{"decision_id": "new", **options}))
    if "decision_id" not in options and context is not CONTEXT:
        unchanged(kind, lambda: bandit.select_arm(context, "a"))  # a known id does not make it usable
        unchanged(kind, lambda: bandit.beliefs(context))


def test_a_reward_counts_once(bandit: Bandit) -> None:
    before = bandit.learner.sums.to_dict()
    again = bandit.update_reward("a", reward=0.5)
    assert again == Receipt("a", 1, 0.5, False, {}, ())
    assert not bandit.update_reward(bandit.decisions["a"], reward=Fraction(1, 2)).applied  # type: ignore[arg-type]
    assert not bandit.update_reward("b", Outcome(success=True, quality=0.8)).applied
    assert bandit.learner.sums.to_dict() == before
    assert bandit.seq == 2
    assert bandit.verify().ok


def test_receipts_are_numbered_and_keep_their_components(bandit: Bandit) -> None:
    receipt = bandit.receipts["b"]
    assert (receipt.seq, receipt.applied) == (2, True)
    assert receipt.components["success"] == 1.0
    assert receipt.components["quality"] == 0.8
    assert "speed" in receipt.missing
    third = bandit.update_reward("c", reward=1)
    assert third == Receipt("c", 3, 1.0, True, {}, ())


def test_another_reward_for_a_decision_is_refused(bandit: Bandit, unchanged: Callable[..., None]) -> None:
    unchanged(RewardConflict, lambda: bandit.update_reward("a", reward=0.6), "another reward")
    unchanged(
        RewardConflict, lambda: bandit.update_reward("a", reward=math.nextafter(0.5, 1)), "another reward"
    )
    unchanged(RewardConflict, lambda: bandit.update_reward("b", Outcome(success=False)), "another reward")
    unchanged(RewardConflict, lambda: bandit.update_reward("b", reward=bandit.receipts["b"].reward))


@pytest.mark.parametrize(
    "reward",
    NO_REWARDS,
    ids=lambda reward: type(reward).__name__,
)
def test_rewards_out_of_range_are_refused(
    reward: Any, bandit: Bandit, unchanged: Callable[..., None]
) -> None:
    for key in ("a", "c", bandit.decisions["c"]):
        unchanged(OutcomeInvalid, lambda key=key: bandit.update_reward(key, reward=reward))


@pytest.mark.parametrize("reward", [0, 1, 0.0, 1.0, np.float32(0.5), np.float64(1), Fraction(1, 3), 5e-324])
def test_rewards_of_any_numeric_type_are_taken(reward: Any, bandit: Bandit) -> None:
    receipt = bandit.update_reward("c", reward=reward)
    assert receipt.applied
    assert type(receipt.reward) is float
    assert receipt.reward == float(reward)
    assert bandit.verify().ok


def test_a_report_is_an_outcome_or_a_reward(bandit: Bandit, unchanged: Callable[..., None]) -> None:
    unchanged(OutcomeInvalid, lambda: bandit.update_reward("c"), "an outcome or a reward")
    unchanged(OutcomeInvalid, lambda: bandit.update_reward("c", Outcome(success=True), reward=0.5))
    unchanged(OutcomeInvalid, lambda: bandit.update_reward("c", {"success": True}), "not an Outcome")  # type: ignore[arg-type]
    unchanged(OutcomeInvalid, lambda: bandit.update_reward("c", 0.5), "not an Outcome")  # type: ignore[arg-type]


def test_only_own_decisions_are_rewarded(
    bandit: Bandit, unchanged: Callable[..., None], spec_of: Callable[..., BanditSpec]
) -> None:
    unchanged(DecisionUnknown, lambda: bandit.update_reward("nobody", reward=0.5))
    unchanged(InputInvalid, lambda: bandit.update_reward(None, reward=0.5))  # type: ignore[arg-type]
    unchanged(InputInvalid, lambda: bandit.update_reward(3, reward=0.5))  # type: ignore[arg-type]
    foreign = Bandit(spec_of(name="foreign")).select_arm(CONTEXT, "c", eligible=["parallel"])
    unchanged(DecisionUnknown, lambda: bandit.update_reward(foreign, reward=0.5))
    altered = bandit.decisions["c"]._replace(arm=0, arm_id="direct")
    unchanged(DecisionUnknown, lambda: bandit.update_reward(altered, reward=0.5))
    equal = Decision(*bandit.decisions["c"])  # one that travelled, say
    assert bandit.update_reward(equal, reward=0.5).applied


def test_what_a_caller_does_with_its_answer_changes_nothing(bandit: Bandit) -> None:
    decision = bandit.select_arm(CONTEXT, "d", eligible=["recursive(depth=2)"])
    before = bandit.to_json()
    context = dict(CONTEXT)
    other = bandit.select_arm(context, "e", eligible=["recursive(depth=2)"])
    context["size"] = 9
    assert other.context["size"] == 2.5
    decision.parameters["depth"] = 99  # type: ignore[index]
    again = Bandit(bandit.spec).select_arm(CONTEXT, "d", eligible=["recursive(depth=2)"])
    assert again.parameters == {"depth": 2}
    assert bandit.to_json() != before
    assert bandit.select_arm(CONTEXT, "f", eligible=["recursive(depth=2)"]).parameters == {"depth": 2}


def test_decisions_without_an_id_are_numbered(bandit: Bandit) -> None:
    ids = [bandit.select_arm(CONTEXT).decision_id for _ in range(3)]
    assert ids == ["#4", "#5", "#6"]
    bandit.select_arm(CONTEXT, "#8")
    bandit.select_arm(CONTEXT, "#9")
    more = [bandit.select_arm(CONTEXT).decision_id for _ in range(3)]
    assert len({*ids, *more, "#8", "#9"}) == 8
    restored = Bandit.from_json(bandit.to_json())
    later = [restored.select_arm(CONTEXT).decision_id for _ in range(3)]
    assert not set(later) & bandit.decisions.keys()
    assert later == [bandit.select_arm(CONTEXT).decision_id for _ in range(3)]


@pytest.mark.parametrize("policy", sorted(CATALOG))
def test_a_run_verifies(
    policy: str, spec_of: Callable[..., BanditSpec], draw_context: Callable[..., dict[str, Any]]
) -> None:
    bandit = Bandit(spec_of(policy, holdout=0.1, bucket_rows=8))
    generator = np.random.default_rng(31)
    waiting = []
    for i in range(60):
        eligible = ["direct", "recursive"] if i % 9 == 8 else None
        waiting.append(bandit.select_arm(draw_context(generator), eligible=eligible, time=float(i)))
        if generator.random() < 0.7:  # late, in another order, and not all
            decision = waiting.pop(int(generator.integers(len(waiting))))
            bandit.update_reward(decision, reward=float(generator.random()))
    report = bandit.verify()
    assert report.ok
    assert (report.decisions, report.matched, report.rewards) == (60, 60, len(bandit.receipts))
    assert report.first_divergence is None


@pytest.mark.parametrize(
    "tamper",
    [
        lambda d, r: d.update(b=d["b"]._replace(arm=0, arm_id="direct", strategy="direct")),
        lambda d, r: d.update(b=d["b"]._replace(context={**d["b"].context, "size": 9.0})),
        lambda d, r: d.update(b=d["b"]._replace(context={"size": 9.0})),
        lambda d, r: d.update(b=d["b"]._replace(phi=(0, *d["b"].phi[1:]))),
        lambda d, r: d.update(b=d["b"]._replace(propensity=1.0)),
        lambda d, r: d.update(b=d["b"]._replace(eligible=(0, 1))),
        lambda d, r: d.update(b=d["b"]._replace(eligible=(0, 99))),
        lambda d, r: d.update(b=d["b"]._replace(decision_id="z")),
        lambda d, r: d.update(b=d["b"]._replace(state_seq=0)),
        lambda d, r: d.update(b=d["b"]._replace(state_seq=99)),
        lambda d, r: d.update(b=d["b"]._replace(epoch=1)),
        lambda d, r: d.update(b=d["b"]._replace(spec_hash="0")),
        lambda d, r: d.update(b=d["b"]._replace(stages=(d["b"].stages[0]._replace(chosen=7),))),
        lambda d, r: d.pop("b"),
        lambda d, r: r.update(a=r["a"]._replace(reward=0.9)),
        lambda d, r: r.update(a=r["a"]._replace(reward=7.0)),
        lambda d, r: r.update(a=r["a"]._replace(seq=5)),
        lambda d, r: r.pop("a"),
        lambda d, r: r.pop("b"),
        lambda d, r: r.update(c=Receipt("c", 3, 0.5, True, {}, ())),
        lambda d, r: r.update(z=Receipt("z", 3, 0.5, True, {}, ())),
    ],
)
def test_a_tampered_ledger_is_found(tamper: Callable[..., Any], bandit: Bandit) -> None:
    assert bandit.verify().ok
    tamper(bandit.decisions, bandit.receipts)
    report = bandit.verify()
    assert not report.ok
    assert report.first_divergence


def test_tampered_sums_are_found(bandit: Bandit) -> None:
    bandit.learner.sums.absorb(0, 0, 1, bandit.decisions["a"].phi, 1)
    report = bandit.verify()
    assert (report.ok, report.sums_match, report.matched, report.first_divergence) == (
        False,
        False,
        3,
        "the sums",
    )


@pytest.mark.parametrize("time", [float("nan"), float("inf"), "yesterday", True, 10**400])
def test_a_time_that_cannot_be_stored_is_refused(time: Any) -> None:
    bandit = Bandit(BanditSpec(name="b", strategies=[Strategy("a"), Strategy("b")]))
    before = bandit.to_json()
    with pytest.raises(InputInvalid, match="the time is unusable"):
        bandit.select_arm({}, "w", time=time)
    assert bandit.to_json() == before


@pytest.mark.parametrize("names", [3, 4.5, object()])
def test_what_is_no_list_of_arms_is_refused(names: Any) -> None:
    bandit = Bandit(BanditSpec(name="b", strategies=[Strategy("a"), Strategy("b")]))
    with pytest.raises(InputInvalid, match="are not a list"):
        bandit.select_arm({}, "w", eligible=names)
