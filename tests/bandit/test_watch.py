"""Epochs and alarms of a bandit: rows of its sequence, found again from any cut, told in its document."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Numeric,
    Outcome,
    PolicySpec,
    Strategy,
)
from nyx_learning.bandit.events import EventRow
from nyx_learning.bandit.log import RewardRow
from nyx_learning.bandit.watch import Watch
from nyx_learning.canonical import digest
from nyx_learning.errors import DocumentInvalid, InputInvalid, SpecInvalid
from nyx_learning.features.monitors import Monitors
from nyx_learning.rewards import Reward
from nyx_learning.service.event_check import EventCheck

SPEC = BanditSpec(
    "watched",
    [Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 10)),
    policy=PolicySpec("thompson_beta", floor=0.1),
    seed=3,
    monitors=Monitors(),
)
MEANS = {"direct": 0.9, "parallel(workers=2)": 0.5, "parallel(workers=4)": 0.6}


def played(spec: BanditSpec, rounds: int, change: int) -> Bandit:
    """Rounds in which ``direct`` falls to .1 at ``change``; executions are slower from then on too."""
    rng = np.random.default_rng(3)
    bandit = Bandit(spec)
    for i in range(rounds):
        task = ("code", "text")[i % 2]
        decision = bandit.select_arm({"task": task, "size": float(rng.uniform(0, 10))}, time=float(i))
        mean = MEANS[decision.arm_id]
        if i >= change and decision.arm_id == "direct":
            mean = 0.1
        seconds = (3.0 if i >= change else 1.0) * float(np.exp(0.3 * rng.standard_normal())) * 10
        bandit.update_reward(
            decision, Outcome(success=bool(rng.random() < mean), duration_s=seconds, quality=0.5)
        )
    return bandit


@pytest.fixture(scope="module")
def drifted() -> Bandit:
    return played(SPEC, 700, 400)


def test_a_fallen_arm_starts_a_new_epoch_at_a_row_of_its_own(drifted: Bandit) -> None:
    epochs = [event for event in drifted.events if event.kind == "epoch" and event.subject == "direct"]
    event = epochs[0]
    assert event.epochs == {"direct": 1}
    assert 400 < event.cause < 460
    assert event.seq == event.cause + 1
    assert event.evidence["change"] < -0.1
    assert drifted.learner.sums.epochs[0] == len(epochs)
    assert "direct → epoch 1" in event.describe()
    # Decisions behind the row join the new epoch; those before it do not, whenever they are rewarded.
    for decision in drifted.decisions.values():
        if decision.arm_id == "direct":
            assert decision.epoch == sum(e.seq <= decision.state_seq for e in epochs)


def test_slower_executions_restart_the_expectation(drifted: Bandit) -> None:
    alarms = [event for event in drifted.events if event.monitor == "duration"]
    assert alarms
    assert all(event.kind == "alarm" and event.cause > 400 for event in alarms)
    assert alarms[0].consequence == {"expectation": "restarted"}


def test_verify_derives_every_event_again(drifted: Bandit) -> None:
    report = drifted.verify()
    assert report.ok, report.first_divergence
    assert report.rewards == 700 + len(drifted.events)
    again = Bandit.from_json(drifted.to_json())
    event = again.events[0]
    again.events[0] = replace(event, evidence={**event.evidence, "rows": 1})
    assert again.verify().first_divergence == f"row {event.seq}: an event that no monitor concludes"


def test_the_document_keeps_events_and_continues_with_the_same_bits(drifted: Bandit) -> None:
    text = drifted.to_json()
    assert json.loads(text)["version"] == 3
    again = Bandit.from_json(text)
    assert again.to_json() == text
    assert again.events == drifted.events
    for bandit in (again, other := Bandit.from_json(text)):
        for i in range(60):
            decision = bandit.select_arm({"task": "code", "size": 5.0}, f"more-{i}")
            bandit.update_reward(decision, reward=1.0)
    assert again.to_json() == other.to_json()
    document = json.loads(text)
    rows = document["content"]["rewards"]
    place = next(i for i, row in enumerate(rows) if "event" in row)
    rows[place]["event"]["cause"] += 1
    document["checksum"] = digest(document["content"])
    with pytest.raises(DocumentInvalid):
        Bandit.from_json(json.dumps(document))


def log_of(bandit: Bandit) -> list[RewardRow | EventRow]:
    """The rows of a bandit as a log has them."""
    rows: list[RewardRow | EventRow] = list(bandit.events)
    for receipt in bandit.receipts.values():
        price = Reward(receipt.reward or 0.0, {}, (), "v")
        decision = bandit.decisions[receipt.decision_id]
        outcome = bandit.outcomes.get(receipt.decision_id)
        rows.append(RewardRow.of(decision, bandit.spec.encoding, price, outcome, None).numbered(receipt.seq))
    return sorted(rows, key=lambda row: row.seq)


def test_a_restart_at_any_row_finds_the_same_alarms_behind_the_same_rows(drifted: Bandit) -> None:
    rows = log_of(drifted)
    watch = Watch(SPEC)
    states: list[tuple[str, int]] = []
    found: list[list[EventRow]] = []
    for row in rows:
        states.append((json.dumps(watch.progress()), watch.first_needed))
        found.append(watch.absorb(row))
    assert [event.key for events in found for event in events] == [event.key for event in drifted.events]
    near = {event.cause + step for event in drifted.events for step in range(-12, 13)}
    for cut in sorted(near.intersection(range(len(rows))).union(range(0, len(rows), 5))):
        progress, first = states[cut]
        resumed = Watch(SPEC)
        assert resumed.restore(json.loads(progress)) == first
        for row in rows[first - 1 : cut]:
            resumed.recall(row)
        assert json.dumps(resumed.progress()) == progress
        if cut % 90 == 0:
            assert [resumed.absorb(row) for row in rows[cut:]] == found[cut:]


def test_events_may_come_late_and_are_the_same(drifted: Bandit) -> None:
    """Monitors run behind the commit: rows of the old epoch stand between an alarm and its event."""
    rewards = [row for row in log_of(drifted) if isinstance(row, RewardRow)]
    watch, seq, waiting = Watch(SPEC), 0, list[tuple[int, EventRow]]()
    causes = []
    for row in rewards:
        seq += 1
        for event in watch.absorb(row._replace(seq=seq)):
            causes.append(event.subject)
            waiting.append((seq + 5, event))
        while waiting and waiting[0][0] <= seq:
            seq += 1
            watch.absorb(waiting.pop(0)[1].numbered(seq))
    assert "direct" in causes
    assert all(epoch <= causes.count("direct") for epoch in watch.epochs)


def test_corrections_and_history_are_not_watched() -> None:
    bandit = Bandit(SPEC)
    bandit.learn_history([({"task": "code", "size": 1.0}, "direct", float(i < 50)) for i in range(100)])
    decision = bandit.select_arm({"task": "code", "size": 1.0}, "d")
    bandit.update_reward(decision, reward=0.9)
    bandit.update_reward(decision, reward=0.1, corrects=0)
    bandit.retract(decision)
    assert bandit.events == []
    assert bandit.verify().ok


def test_an_event_that_no_monitor_concludes_is_named(drifted: Bandit) -> None:
    rows = log_of(drifted)
    place = next(i for i, row in enumerate(rows) if isinstance(row, EventRow))
    event = rows[place]
    assert isinstance(event, EventRow)
    for told, given in (
        (None, event),
        ("no monitor concludes it", replace(event, evidence={**event.evidence, "rows": 1})),
        ("no monitor concludes it", replace(event, cause=event.cause - 1)),
        ("no monitor concludes it", replace(event, spec_hash="another")),
    ):
        check = EventCheck({SPEC.spec_hash: SPEC})
        assert [check.problem(row, None) for row in rows[:place]] == [None] * place
        assert check.problem(given, None) == told
    assert EventCheck({"plain": replace(SPEC, monitors=None)}).problem(event, None) is not None


def test_behind_dropped_rows_the_epochs_are_those_of_the_events(drifted: Bandit) -> None:
    seq = drifted.events[-1].seq
    watch = Watch(SPEC)
    watch.begin_at(seq, drifted.events)
    assert watch.epochs == tuple(drifted.learner.sums.epochs)
    for row in log_of(drifted)[seq:]:
        watch.absorb(row)
    assert watch.seq == drifted.seq


def test_rows_out_of_turn_are_refused() -> None:
    watch = Watch(SPEC)
    with pytest.raises(InputInvalid, match="expected: row 1"):
        watch.skip(2)
    watch.skip(1)
    good = watch.progress()
    for damaged in (
        {},
        {**good, "epochs": [0]},
        {**good, "reward": {"9": 1}},
        {**good, "alerts": [10**400]},
        {**good, "context": None},
        {name: part for name, part in good.items() if name != "context"},
    ):
        with pytest.raises(DocumentInvalid):
            watch.restore(damaged)
    assert watch.seq == 1


def test_specs_without_monitors_keep_their_hash_and_specs_with_them_their_settings() -> None:
    plain = replace(SPEC, monitors=None)
    assert "monitors" not in plain.to_dict()
    assert plain.spec_hash != SPEC.spec_hash
    assert BanditSpec.from_dict(SPEC.to_dict()) == SPEC
    with pytest.raises(SpecInvalid):
        replace(SPEC, monitors=True)  # type: ignore[arg-type]
    with pytest.raises(InputInvalid):
        Watch(plain)


@pytest.mark.parametrize("policy", ["hier_ts", "linucb", "exp3_ix"])
def test_every_kind_of_policy_reads_the_new_epoch(policy: str) -> None:
    bandit = played(replace(SPEC, policy=PolicySpec(policy, floor=0.1)), 420, 250)
    assert any(event.kind == "epoch" and "direct" in event.epochs for event in bandit.events)
    context: dict[str, Any] = {"task": "code", "size": 5.0}
    fresh = {b.arm_id: b.rewards for b in bandit.beliefs(context)}
    rewarded = sum(d.arm_id == "direct" for d in bandit.decisions.values())
    assert fresh["direct"] < rewarded
    assert bandit.verify().ok


def test_a_space_of_parameters_is_watched_by_strategy() -> None:
    strategies = [Strategy("direct"), Strategy("grid", {f"p{i}": list(range(8)) for i in range(4)})]
    spec = replace(SPEC, strategies=strategies, policy=PolicySpec("hier_ts", floor=0.2), monitors=Monitors())
    rng = np.random.default_rng(1)
    bandit = Bandit(spec)
    for i in range(300):
        decision = bandit.select_arm({"task": "code", "size": 5.0})
        bandit.update_reward(decision, reward=float(rng.random() < (0.9 if i < 150 else 0.1)))
    assert {name for event in bandit.events for name in event.epochs} <= {"direct", "grid"}
    assert any(event.epochs for event in bandit.events)
    assert bandit.verify().ok
