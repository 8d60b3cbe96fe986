"""Warm start: rows of history are learned as rewards are, and stay in the ledger and the document."""

from __future__ import annotations

import json

import pytest

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, Range, Strategy
from nyx_learning.canonical import canonical_json, digest
from nyx_learning.errors import ArmUnknown, ContextInvalid, DocumentInvalid, InputInvalid, OutcomeInvalid

ROWS = [
    ({"task": "coding"}, "direct", 0.25),
    ({"task": "research"}, "parallel(workers=4)", 1.0),
    ({"task": "coding"}, "direct", 0.5),
    ({"task": "research"}, "parallel(workers=2)", 0.0),
]


def _spec(*, wide: bool = False) -> BanditSpec:
    workers = Range(1, 64, integer=True) if wide else [2, 4]
    return BanditSpec(
        name="warm",
        seed=3,
        strategies=[Strategy("direct"), Strategy("parallel", {"workers": workers})],
        context=ContextSchema(task=Categorical(["coding", "research"])),
    )


def _used(spec: BanditSpec) -> Bandit:
    """A bandit that decides, learns history, is rewarded, and learns history again."""
    bandit = Bandit(spec)
    early = bandit.select_arm({"task": "coding"}, "early")
    bandit.learn_history(ROWS[:3])
    bandit.update_reward(early, reward=0.75)
    bandit.learn_history(ROWS[3:])
    bandit.select_arm({"task": "research"}, "late")
    return bandit


@pytest.mark.parametrize("wide", [False, True])
def test_history_makes_the_same_sums_as_rewards_of_the_same_arms(wide: bool) -> None:
    rewarded, warm = Bandit(_spec(wide=wide)), Bandit(_spec(wide=wide))
    rows = []
    for i in range(12):
        context = {"task": ["coding", "research"][i % 2]}
        decision = rewarded.select_arm(context, f"d{i}")
        rewarded.update_reward(decision, reward=i / 11)
        rows.append((context, decision.arm_id, i / 11))
    assert warm.learn_history(rows) == range(1, 13)
    assert warm.learner.sums.to_dict() == rewarded.learner.sums.to_dict()
    later = {"task": "coding"}
    assert warm.select_arm(later, "x").stages == rewarded.select_arm(later, "x").stages


@pytest.mark.parametrize("wide", [False, True])
def test_verify_and_the_document_hold_with_history_between_rewards(wide: bool) -> None:
    bandit = _used(_spec(wide=wide))
    report = bandit.verify()
    assert report.ok
    assert (report.decisions, report.rewards) == (2, 5)
    assert [row.seq for row in bandit.history] == [1, 2, 3, 5]
    assert bandit.receipts["early"].seq == 4
    again = Bandit.from_json(bandit.to_json())
    assert again.to_json() == bandit.to_json()
    assert again.verify().ok
    assert again.receipts == bandit.receipts
    assert again.history == bandit.history
    assert again.select_arm({"task": "coding"}, "next") == bandit.select_arm({"task": "coding"}, "next")


def test_a_tampered_row_of_history_is_found() -> None:
    bandit = _used(_spec())
    bandit.history[1] = bandit.history[1]._replace(reward=0.5)
    assert not bandit.verify().ok
    bandit = _used(_spec())
    del bandit.history[3]
    assert not bandit.verify().ok


@pytest.mark.parametrize(
    ("field", "value"),
    [("reward", 0.5), ("epoch", 1), ("arm", "nobody"), ("context", {"task": 3}), ("more", 1)],
)
def test_a_document_with_a_changed_row_is_refused(field: str, value: object) -> None:
    document = json.loads(_used(_spec()).to_json())
    document["content"]["rewards"][1][field] = value
    document["checksum"] = digest(document["content"])
    with pytest.raises(DocumentInvalid):
        Bandit.from_json(canonical_json(document))


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (({"task": "coding"}, "nobody", 0.5), ArmUnknown),
        (({"task": 3}, "direct", 0.5), ContextInvalid),
        (({}, "direct", 0.5), ContextInvalid),
        (({"task": "coding"}, "direct", float("nan")), OutcomeInvalid),
        (({"task": "coding"}, "direct", 1.5), OutcomeInvalid),
        (({"task": "coding"}, "direct"), InputInvalid),
        ("direct", InputInvalid),
    ],
)
def test_one_bad_row_leaves_everything_unlearned(row: object, error: type[Exception]) -> None:
    bandit = Bandit(_spec())
    with pytest.raises(error):
        bandit.learn_history([ROWS[0], row])  # type: ignore[list-item]
    assert bandit.seq == 0
    assert bandit.history == []
    assert bandit.verify().ok


@pytest.mark.parametrize("rows", [None, 3, "rows", {"a": 1}])
def test_something_that_is_no_list_of_rows_is_refused(rows: object) -> None:
    with pytest.raises(InputInvalid):
        Bandit(_spec()).learn_history(rows)  # type: ignore[arg-type]
