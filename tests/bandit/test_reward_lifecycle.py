# mypy: disable-error-code="arg-type"
"""The life of a reward in the pure ``Bandit``: corrections, parts, retraction, expiry, abandonment.

By law: whatever happens to rewards, the sums are those of a log that had only what counts in the end, the
decisions stay, ``verify`` holds, and the document goes on with the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Outcome,
    PolicySpec,
    RewardSpec,
    Strategy,
)
from nyx_learning.bandit.sums import Sums
from nyx_learning.canonical import canonical_json, digest
from nyx_learning.errors import (
    DecisionUnknown,
    DocumentInvalid,
    OutcomeInvalid,
    RewardConflict,
    RewardTooLate,
)

REWARD = RewardSpec(weights={"success": 1.0, "usefulness": 1.0}, window_s=10.0, default=0.25)


def spec_of(policy: str = "ucb1", reward: RewardSpec = REWARD, **settings: Any) -> BanditSpec:
    return BanditSpec(
        "life",
        [Strategy("a"), Strategy("b"), Strategy("c")],
        ContextSchema(task=Categorical(["x", "y"])),
        policy=PolicySpec(policy, **settings),
        reward=reward,
        bucket_rows=4,
    )


def made(bandit: Bandit, n: int) -> None:
    for i in range(n):
        bandit.select_arm({"task": "xy"[i % 2]}, f"d{i}", time=float(i))


def blocks(sums: Sums) -> Any:
    return sums.to_dict()["blocks"]


def onward(bandit: Bandit) -> None:
    """It verifies, and its document goes on alike."""
    report = bandit.verify()
    assert report.ok, report.first_divergence
    text = bandit.to_json()
    again = Bandit.from_json(text)
    assert again.to_json() == text
    assert again.verify().ok
    assert again.learner.sums.digest() == bandit.learner.sums.digest()
    assert {key: again.rewards(key) for key in again.decisions} == {
        key: bandit.rewards(key) for key in bandit.decisions
    }
    for i in range(3):
        one, other = (b.select_arm({"task": "x"}, f"new-{i}") for b in (bandit, again))
        assert one == other


def test_corrected_retracted_expired_abandoned() -> None:
    bandit = Bandit(spec_of())
    made(bandit, 6)
    bandit.update_reward("d0", reward=0.5)
    bandit.update_reward("d1", Outcome(success=True))
    assert bandit.update_reward("d0", reward=0.75, corrects=0)[:4] == ("d0", 3, 0.75, True)
    assert bandit.update_reward("d0", reward=0.75, corrects=0).applied is False
    assert bandit.update_reward("d0", reward=0.5).applied is False  # the first report, delivered again
    retracted = bandit.retract("d1")
    assert (retracted.seq, retracted.reward, retracted.state) == (4, None, "retracted")
    assert bandit.abandon("d2").state == "abandoned"
    assert [r.decision_id for r in bandit.expire(13.0)] == ["d3"]
    assert bandit.expire(13.0) == []
    late = bandit.update_reward("d3", Outcome(success=True, usefulness=0.0))
    assert (late.state, late.reward, late.seq) == ("late", 0.5, 7)
    assert bandit.update_reward("d2", reward=1.0).state == "late"
    assert [bandit.rewards(f"d{i}").state.value for i in range(6)] == [
        "corrected",
        "retracted",
        "late",
        "late",
        "pending",
        "pending",
    ]
    assert bandit.learner.sums.totals[:, :2].sum(0).tolist() == [3, 49152 + 32768 + 65536]
    onward(bandit)


def test_parts() -> None:
    bandit = Bandit(spec_of())
    made(bandit, 2)
    assert bandit.update_reward("d0", part={"usefulness": 0.5}, source="user").reward is None
    assert bandit.update_reward("d0", Outcome(success=True)).reward == 0.75
    bandit.update_reward("d1", Outcome(success=True, usefulness=1.0))
    onward(bandit)
    again = Bandit.from_json(bandit.to_json())
    for one in (bandit, again):  # the outcome of a plain report is there for what comes later
        receipt = one.update_reward("d1", part={"usefulness": 0.0}, source="user")
        assert receipt.reward == 0.5
    onward(bandit)


@pytest.mark.parametrize("late", ["log", "reject"])
def test_late_ones_that_do_not_count(late: Any) -> None:
    bandit = Bandit(spec_of(reward=replace(REWARD, late=late)))
    made(bandit, 1)
    bandit.expire(100.0)
    if late == "reject":
        with pytest.raises(RewardTooLate):
            bandit.update_reward("d0", reward=1.0)
    else:
        assert bandit.update_reward("d0", reward=1.0).reward == 0.25
    assert bandit.rewards("d0").reward == 0.25
    onward(bandit)


def test_refusals_change_nothing() -> None:
    bandit = Bandit(spec_of())
    made(bandit, 3)
    bandit.update_reward("d0", reward=0.5)
    bandit.retract("d1")
    before = bandit.to_json()
    calls: list[tuple[type[Exception], Callable[[], Any]]] = [
        (RewardConflict, lambda: bandit.update_reward("d0", reward=0.7)),
        (RewardConflict, lambda: bandit.update_reward("d0", reward=0.7, corrects=1)),
        (RewardConflict, lambda: bandit.update_reward("d2", reward=0.7, corrects=0)),
        (RewardConflict, lambda: bandit.update_reward("d1", reward=0.7)),
        (RewardConflict, lambda: bandit.abandon("d0")),
        (OutcomeInvalid, lambda: bandit.update_reward("d0", Outcome(success=True), source="x")),
        (OutcomeInvalid, lambda: bandit.update_reward("d0", part={}, source="x")),
        (DecisionUnknown, lambda: bandit.retract("nobody")),
        (DecisionUnknown, lambda: bandit.rewards("nobody")),
    ]
    for error, call in calls:
        with pytest.raises(error):
            call()
    assert bandit.to_json() == before


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.sampled_from(["ucb1", "thompson_beta", "exp3_ix"]),
    st.lists(
        st.tuples(st.sampled_from("rrrcpxae"), st.integers(0, 7), st.integers(0, 8)), min_size=1, max_size=40
    ),
)
def test_sums_are_those_of_what_counts(policy: str, steps: list[tuple[str, int, int]]) -> None:
    bandit = Bandit(spec_of(policy, floor=0.1))
    made(bandit, 8)
    decisions = dict(bandit.decisions)
    for name, i, value in steps:
        key = f"d{i}"
        status = bandit.rewards(key)
        revision = max(
            (row.revision for row in status.rows if row.kind == "reward" and not row.source), default=0
        )
        try:
            if name == "r":
                bandit.update_reward(key, Outcome(success=value > 4, usefulness=value / 8))
            elif name == "c":
                bandit.update_reward(key, Outcome(success=True, usefulness=value / 8), corrects=revision)
            elif name == "p":
                bandit.update_reward(
                    key, part={"usefulness": value / 8}, source="user", identifier=str(value)
                )
            elif name == "x":
                bandit.retract(key)
            elif name == "a":
                bandit.abandon(key)
            else:
                bandit.expire(10.0 + value)
        except RewardConflict:
            pass
    assert bandit.decisions == decisions
    plain = Bandit(bandit.spec)
    for key, decision in decisions.items():
        status = bandit.rewards(key)
        if status.reward is not None:
            first = next(row.seq for row in status.rows if row.units is not None)
            first = next(row.stands_at for row in reversed(status.rows) if row.units is not None) or first
            further = plain.learner.increments(decision.propensity, status.rows[-1].units, first)
            plain.learner.sums.absorb(
                decision.arm, 0, first, decision.phi, status.rows[-1].units, further=further
            )
    assert blocks(bandit.learner.sums) == blocks(plain.learner.sums)
    onward(bandit)


def test_what_replaces_a_reward_is_as_old_as_the_first_one() -> None:
    """Buckets hold four rows; the correction, row 9, changes the one that row 2 stands in."""
    bandit = Bandit(spec_of())
    made(bandit, 8)
    for i in range(8):
        bandit.update_reward(f"d{i}", reward=0.5)
    arm = bandit.decisions["d1"].arm
    before = {key: block.copy() for key, block in bandit.learner.sums.blocks.items()}
    bandit.update_reward("d1", reward=1.0, corrects=0)
    changed = [k for k, block in bandit.learner.sums.blocks.items() if (before[k] != block).any()]
    assert changed == [(arm, 0, 0)]
    assert bandit.learner.sums.blocks[arm, 0, 0][1] - before[arm, 0, 0][1] == 32768


def test_a_document_of_version_1_is_read() -> None:
    bandit = Bandit(spec_of())
    made(bandit, 3)
    bandit.update_reward("d0", reward=0.5)
    bandit.update_reward("d1", Outcome(success=True))
    content = json.loads(bandit.to_json())["content"]
    for reward in content["rewards"]:
        del reward["outcome"]
    old = {"format": "nyx-learning/bandit", "version": 1, "checksum": digest(content), "content": content}
    again = Bandit.from_json(canonical_json(old))
    assert again.receipts == bandit.receipts
    again.update_reward("d0", reward=1.0, corrects=0)
    again.retract("d1")
    onward(again)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(taken=7),
        lambda row: row.update(taken=None),
        lambda row: row.update(place=0),
        lambda row: row.update(place=2),
        lambda row: row.update(units=1),
        lambda row: row.update(reward=0.5),
        lambda row: row.update(kind="adoption"),
        lambda row: row.update(state="done"),
        lambda row: row.update(revision="1"),
        lambda row: row.update(more=1),
        lambda row: row.pop("source"),
        lambda row: row.update(decision_id="d2"),
    ],
)
def test_damaged_rows_are_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    bandit = Bandit(spec_of())
    made(bandit, 3)
    bandit.update_reward("d0", reward=0.5)
    bandit.update_reward("d0", reward=0.75, corrects=0)
    content = json.loads(bandit.to_json())["content"]
    change(content["rewards"][1])
    forged = {"format": "nyx-learning/bandit", "version": 2, "checksum": digest(content), "content": content}
    with pytest.raises(DocumentInvalid):
        Bandit.from_json(canonical_json(forged))


def test_rows_that_do_not_follow_are_found() -> None:
    bandit = Bandit(spec_of())
    made(bandit, 3)
    bandit.update_reward("d0", reward=0.5)
    bandit.update_reward("d0", reward=0.75, corrects=0)
    row = bandit.rows[0]
    for other in (row._replace(state="final"), row._replace(revision=2), row._replace(priced_by="?")):
        bandit.rows[0] = bandit._rows_of["d0"][0] = other
        report = bandit.verify()
        assert not report.ok
        assert report.first_divergence is not None
        assert "row 2" in report.first_divergence
