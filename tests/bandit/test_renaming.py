"""An arm under a new name goes on where it was: its law, and what a spec may claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    PolicySpec,
    Range,
    Strategy,
)
from nyx_learning.bandit import Learner
from nyx_learning.bandit.events import EPOCH, EventRow
from nyx_learning.bandit.guardrails.override import Override
from nyx_learning.bandit.guardrails.state import GuardState
from nyx_learning.bandit.log import RewardRow
from nyx_learning.errors import ArmUnknown, SpecInvalid
from nyx_learning.persistence.fold import Fold

GRID = {"workers": [2, 4]}
OLD = BanditSpec(
    "renaming",
    [Strategy("direct"), Strategy("fan_out", GRID)],
    ContextSchema(task=Categorical(["code", "text"])),
    seed=3,
    bucket_rows=8,
)
NEW = replace(OLD, strategies=[Strategy("direct"), Strategy("parallel", GRID, formerly=["fan_out"])])
POLICIES = [
    PolicySpec("hier_ts"),
    PolicySpec("ucb1", floor=0.1, discount=0.94),
    PolicySpec("linucb"),
    PolicySpec("exp3_ix"),
]


def with_policy(policy: PolicySpec) -> tuple[BanditSpec, BanditSpec]:
    return replace(OLD, policy=policy), replace(NEW, policy=policy)


def logged(makers: Sequence[BanditSpec], count: int) -> list[RewardRow | EventRow]:
    """Rows of decisions that these specs make in turn, with an epoch in their midst, and corrections."""
    learners = [Learner(maker) for maker in makers]
    folds = [Fold(learner) for learner in learners]
    rows: list[RewardRow | EventRow] = []

    def add(row: RewardRow | EventRow) -> None:
        rows.append(row)
        for fold in folds:
            fold.absorb(row, None)

    for i in range(count):
        which = i % len(makers)
        decision = learners[which].decide({"task": ("code", "text")[i % 2]}, f"d-{i}")
        encoding = makers[which].encoding
        draft = RewardRow.bare(decision, encoding, 1.0 * i, "report")._replace(
            units=(i * 7919) % 65536, reward=(i * 7919) % 65536 / 65536
        )
        add(draft.numbered(len(rows) + 1))
        if i == count // 2:
            name = makers[which].arms.units[1]
            event = EventRow("renaming", 0, EPOCH, "reward", name, len(rows), {}, {"epochs": {name: 1}}, "")
            add(event.numbered(len(rows) + 1, 1.0 * i))
        if i % 5 == 4:  # what was contributed is taken back
            first = draft.numbered(len(rows))
            gone = first._replace(kind="retraction", units=None, reward=None, taken=draft.units)
            place = next(
                r.seq for r in rows if isinstance(r, RewardRow) and r.decision_id == decision.decision_id
            )
            add(gone._replace(seq=len(rows) + 1, place=place))
    return rows


def folded(spec: BanditSpec, rows: Sequence[Any]) -> Fold:
    fold = Fold(Learner(spec))
    for row in rows:
        fold.absorb(row, None)
    return fold


def blocks(fold: Fold) -> dict[tuple[str, int, int], list[int]]:
    return {name: fold.statistics(name) for name in fold.names()}


def decided(learner: Learner) -> list[Any]:
    made = [learner.decide({"task": task}, f"x-{i}") for task in ("code", "text", "else") for i in range(5)]
    return [(d.pmf, d.arm, d.propensity, d.epoch, d.parameters) for d in made]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_renamed_arm_has_the_pmf_that_the_old_one_would_have(policy: PolicySpec) -> None:
    old, new = with_policy(policy)
    rows = logged([old], 60)
    known, renamed = folded(old, rows), folded(new, rows)
    assert decided(renamed.learner) == decided(known.learner)
    assert renamed.learner.sums.to_dict() == known.learner.sums.to_dict()
    assert renamed.learner.sums.epochs[1] == 1
    forgetful = folded(replace(new, strategies=[Strategy("direct"), Strategy("parallel", GRID)]), rows)
    assert decided(forgetful.learner) != decided(known.learner)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_both_names_decide_at_once_and_share_stored_sums(policy: PolicySpec) -> None:
    """What either stores is the same, to the last bit; what either restores is what it folded."""
    old, new = with_policy(policy)
    rows = logged([old, new], 80)
    one, other = folded(old, rows), folded(new, rows)
    assert blocks(one) == blocks(other)
    assert {name.partition("(")[0] for name, _, _ in other.names()} == {"direct", "fan_out", "parallel"}
    stored = [(*name, numbers) for name, numbers in blocks(one).items()]
    again = Fold(Learner(new))
    again.restore(one.seq, stored)
    assert again.learner.sums.to_dict() == other.learner.sums.to_dict()
    assert (again.learner.sums.totals == other.learner.sums.totals).all()
    assert blocks(again) == blocks(one)
    assert decided(again.learner) == decided(other.learner)
    # Each row counts once: under either name it is the arm's.
    per_name = {
        name: sum(n[0] for key, n in blocks(other).items() if key[0] == name) for name, _, _ in other.names()
    }
    counted = sum(int(block[0]) for (unit, _, _), block in other.learner.sums.blocks.items() if unit == 1)
    assert counted == per_name["fan_out(workers=2)"] + per_name["parallel(workers=2)"]
    # A fold goes on from there as it would have from the first row on.
    more = logged([old, new], 100)[len(rows) :]
    if more and more[0].seq == again.seq + 1:
        for row in more:
            again.absorb(row, None)
            one.absorb(row, None)
        assert blocks(again) == blocks(one)


def test_a_chain_of_names_and_values_that_are_gone() -> None:
    third = replace(
        NEW,
        strategies=[
            Strategy("direct"),
            Strategy("wide", {"workers": [4, 8]}, formerly=["parallel", "fan_out"]),
        ],
    )
    rows = logged([OLD, NEW], 60)
    fold, known = folded(third, rows), folded(NEW, rows)
    assert (fold.learner.sums.totals[1] == known.learner.sums.totals[2]).all()  # wide(workers=4)
    assert not fold.learner.sums.totals[2].any()  # wide(workers=8) is new
    assert blocks(fold) == blocks(known)  # rows of workers=2 stay in store, and teach nothing


def test_people_may_use_the_former_name() -> None:
    arms = NEW.arms
    assert arms.resolve(["fan_out"]) == arms.resolve(["parallel"]) == {1, 2}
    assert arms.resolve(["fan_out(workers=4)"]) == {2}
    with pytest.raises(ArmUnknown):
        arms.locate("fan_out(workers=4)")  # a decision of this spec never had that name
    guards = GuardState(arms, -1)
    guards.absorb(
        Override("exclude", ("fan_out",), "ada", "slow", None, None, None, 0.0)
        .draft("renaming", "")
        .numbered(1, 0.0)
    )
    assert guards.rules(0.0, np.zeros((3, 4), np.int64)).barred == {1, 2}


def test_breakers_that_trip_under_one_name_close_under_the_other() -> None:
    guards = GuardState(NEW.arms, -1)
    trip = {"guardrail": {"act": "trip", "until": None, "share": 0.1}}
    close = {"guardrail": {"act": "close"}}
    totals = np.zeros((3, 4), np.int64)
    guards.absorb(EventRow("renaming", 1, "guardrail", "breaker", "fan_out(workers=2)", 0, {}, trip, ""))
    assert [cap.arms for cap in guards.rules(0.0, totals).caps] == [(1,)]
    guards.absorb(EventRow("renaming", 2, "guardrail", "breaker", "parallel(workers=2)", 0, {}, close, ""))
    assert guards.idle


def test_a_history_may_name_the_former_arm() -> None:
    bandit, direct = Bandit(NEW), Bandit(NEW)
    bandit.learn_history([({"task": "code"}, "fan_out(workers=2)", 0.5)])
    direct.learn_history([({"task": "code"}, "parallel(workers=2)", 0.5)])
    assert bandit.to_json() == direct.to_json() == Bandit.from_json(bandit.to_json()).to_json()


def test_only_specs_that_rename_have_another_hash() -> None:
    assert "formerly" not in str(OLD.to_dict())
    assert BanditSpec.from_dict(NEW.to_dict()) == NEW
    assert hash(NEW.strategies[1]) == hash(BanditSpec.from_dict(NEW.to_dict()).strategies[1])
    plain = replace(NEW, strategies=[Strategy("direct"), Strategy("parallel", GRID)])
    assert NEW.spec_hash != plain.spec_hash
    assert NEW.encoding == plain.encoding == OLD.encoding


@pytest.mark.parametrize(
    "strategies",
    [
        [Strategy("a", formerly=["c"]), Strategy("b", formerly=["c"])],
        [Strategy("a", formerly=["b"]), Strategy("b")],
        [Strategy("a", {"n": [1]}, formerly=["b"]), Strategy("b(n=1)")],
        [Strategy("a", formerly=["b(n=1)"]), Strategy("c", {"n": [1]}, formerly=["b"])],
        [Strategy("a", {"n": Range(0, 1)}, formerly=["b"])],
    ],
)
def test_a_former_name_has_one_heir(strategies: list[Strategy]) -> None:
    with pytest.raises(SpecInvalid, match="former name"):
        BanditSpec("renaming", strategies).arms  # noqa: B018 (the arms are made when they are asked for)


@pytest.mark.parametrize("formerly", ["b", ["a"], ["b", "b"], [""], [3], 3, {"b": 1}, [["b"]]])
def test_former_names_are_checked(formerly: Any) -> None:
    with pytest.raises(SpecInvalid):
        Strategy("a", formerly=formerly)
