"""The life of a decision's reward: every move, every refusal, and the sums that result."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import NyxError, OutcomeInvalid, RewardConflict, RewardTooLate
from nyx_learning.rewards import (
    Abandoned,
    Change,
    Expired,
    Ledger,
    Outcome,
    Report,
    Retracted,
    RewardSpec,
    RewardState,
    advance,
    expired_by,
    price,
)
from nyx_learning.rewards.lifecycle import Row, fold
from nyx_learning.rewards.merge import merge_outcomes

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)
SPEC = RewardSpec(weights={"success": 1.0, "quality": 1.0}, window_s=60.0)
NEW = Ledger(decided_at=100.0)
GOOD = Report(outcome={"success": True, "quality": 0.5})
SCALE = 1 << 16


def value_of(outcome: Outcome) -> float:
    return price(outcome, SPEC).value


def step(ledger: Ledger, row: Row, spec: RewardSpec = SPEC) -> tuple[Ledger, Change]:
    return advance(ledger, row, spec, price=value_of)


def after(*rows: Row, spec: RewardSpec = SPEC) -> Ledger:
    return fold(rows, spec, decided_at=100.0, price=value_of)


def test_a_report_makes_a_pending_reward_final() -> None:
    ledger, change = step(NEW, GOOD)
    assert ledger.state is RewardState.FINAL
    assert ledger.contribution == 0.75
    assert change == Change(remove=None, add=0.75)


def test_the_window_closes_only_when_somebody_says_so() -> None:
    assert not expired_by(NEW, 159.9, SPEC)
    assert expired_by(NEW, 160.0, SPEC)
    assert not expired_by(NEW, 1e9, replace(SPEC, window_s=None))
    assert not expired_by(after(GOOD), 1e9, SPEC)
    assert step(NEW, GOOD)[0].state is RewardState.FINAL  # however late, nobody had closed it
    ledger, change = step(NEW, Expired())
    assert (ledger.state, ledger.contribution) == (RewardState.DEFAULTED, 0.0)
    assert change == Change(add=0.0)


def test_a_late_outcome_is_learned_logged_or_rejected() -> None:
    spec = RewardSpec(default=0.2, late="learn", window_s=1.0)
    ledger, change = step(after(Expired(), spec=spec), GOOD, spec)
    assert (ledger.state, change) == (RewardState.LATE, Change(remove=0.2, add=0.75))
    spec = replace(spec, late="log")
    ledger, change = step(after(Expired(), spec=spec), GOOD, spec)
    assert (ledger.state, ledger.contribution, change) == (RewardState.DEFAULTED, 0.2, Change())
    assert ledger.reports == (GOOD,)
    spec = replace(spec, late="reject")
    closed = after(Expired(), spec=spec)
    with pytest.raises(RewardTooLate, match="reward_too_late"):
        step(closed, GOOD, spec)
    assert closed == after(Expired(), spec=spec)


def test_an_abandoned_execution_teaches_nothing_until_it_reports() -> None:
    ledger, change = step(NEW, Abandoned())
    assert (ledger.state, ledger.contribution, change) == (RewardState.ABANDONED, None, Change())
    ledger, change = step(ledger, GOOD)
    assert (ledger.state, change) == (RewardState.LATE, Change(add=0.75))


def test_the_same_report_twice_changes_nothing_and_another_conflicts() -> None:
    ledger = after(GOOD)
    same, change = step(ledger, Report(outcome={"quality": 0.5, "success": True}))
    assert same is ledger
    assert change == Change()
    with pytest.raises(RewardConflict, match="another outcome is known"):
        step(ledger, Report(outcome={"success": False}))
    assert ledger == after(GOOD)


def test_a_correction_replaces_the_revision_before_it() -> None:
    ledger, change = step(after(GOOD), Report(outcome={"success": False, "quality": 0.5}, revision=1))
    assert ledger.state is RewardState.CORRECTED
    assert change == Change(remove=0.75, add=0.25)
    with pytest.raises(RewardConflict, match="latest revision"):
        step(ledger, Report(outcome={"success": True}, revision=3))
    with pytest.raises(RewardConflict, match="nothing to correct"):
        step(ledger, Report(source="user", outcome={"user_feedback": 1.0}, revision=1))


def test_retraction_is_for_good() -> None:
    ledger, change = step(after(GOOD), Retracted())
    assert (ledger.state, ledger.contribution, ledger.reports) == (RewardState.RETRACTED, None, ())
    assert change == Change(remove=0.75)
    assert step(ledger, Retracted()) == (ledger, Change())
    for row in (GOOD, Expired(), Abandoned()):
        with pytest.raises(RewardConflict, match="forgotten"):
            step(ledger, row)


@pytest.mark.parametrize("row", [Expired(), Abandoned()])
@pytest.mark.parametrize("before", [(GOOD,), (Expired(),), (Abandoned(),), (Expired(), GOOD)])
def test_only_pending_decisions_expire_or_are_abandoned(before: tuple[Row, ...], row: Row) -> None:
    ledger = after(*before)
    with pytest.raises(RewardConflict, match="only a pending decision"):
        step(ledger, row)
    assert ledger == after(*before)


def test_parts_complete_over_time() -> None:
    ledger, change = step(NEW, Report(source="judge", outcome={"quality": 0.5}))
    assert (ledger.state, change) == (RewardState.PENDING, Change())
    ledger, change = step(ledger, Report(source="engine", outcome={"success": True}))
    assert (ledger.state, change) == (RewardState.FINAL, Change(add=0.75))
    ledger, change = step(ledger, Report(source="judge", identifier="2", outcome={"quality": 1.0}))
    assert (ledger.state, change) == (RewardState.FINAL, Change(remove=0.75, add=1.0))


@pytest.mark.parametrize(("rule", "expected"), [("final", 0.3), ("first", 0.9), ("mean", 0.6), ("max", 0.9)])
def test_bare_rewards_are_aggregated(rule: Any, expected: float) -> None:
    ledger = after(
        Report("a", value=0.9),
        Report("b", value=0.6),
        Report("c", value=0.3),
        spec=replace(SPEC, aggregate=rule),
    )
    assert ledger.contribution == pytest.approx(expected)


def test_outcomes_are_merged_metric_by_metric() -> None:
    parts: list[dict[str, Any]] = [
        {"success": True, "duration_s": 3.0, "retries": 1, "timed_out": True, "error_codes": ["x"]},
        {"user_feedback": 0.2},
        {"success": False, "duration_s": 5.0, "retries": 4, "user_feedback": 0.8},
    ]

    def merged(rule: Any, **by_metric: Any) -> Outcome:
        outcome = merge_outcomes(parts, rule, by_metric)
        assert outcome is not None
        return outcome

    final = Outcome(success=False, duration_s=5.0, retries=4, user_feedback=0.8)
    assert merged("final") == final
    assert merged("first") == Outcome(
        success=True, duration_s=3.0, retries=1, timed_out=True, error_codes=("x",), user_feedback=0.2
    )
    assert merged("mean") == Outcome(success=False, duration_s=4.0, retries=2, user_feedback=0.5)
    assert merged("max") == Outcome(success=True, duration_s=5.0, retries=4, user_feedback=0.8)
    assert merged("final", user_feedback="mean").user_feedback == 0.5
    assert merge_outcomes([{"user_feedback": 0.2}], "final") is None


def test_merged_token_counts_never_contradict_each_other() -> None:
    parts: list[dict[str, Any]] = [
        {"success": True, "tokens": 10, "input_tokens": 9, "output_tokens": 1},
        {"tokens": 10, "input_tokens": 1, "output_tokens": 9},
    ]
    outcome = merge_outcomes(parts, "max")
    assert outcome is not None
    assert outcome.tokens == 18


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": 0.5, "outcome": {"success": True}},
        {"value": 1.5},
        {"value": float("nan")},
        {"outcome": {"quality": 2.0}},
        {"outcome": {"fun": 1}},
        {"outcome": {"success": None}},
        {"value": 0.5, "revision": -1},
    ],
)
def test_bad_reports_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(OutcomeInvalid):
        Report(**fields)


def test_bare_rewards_and_outcomes_do_not_mix() -> None:
    with pytest.raises(OutcomeInvalid, match="bare rewards and outcomes"):
        step(after(GOOD), Report(source="other", value=0.5))


# --- the sums


row_strategy = st.one_of(
    st.builds(
        Report,
        source=st.sampled_from(["a", "b"]),
        outcome=st.fixed_dictionaries(
            {}, optional={"success": st.booleans(), "quality": st.sampled_from([0.0, 0.3, 0.7, 1.0])}
        ).filter(bool),
        revision=st.integers(0, 2),
    ),
    st.builds(Expired),
    st.builds(Abandoned),
    st.builds(Retracted),
)
logs = st.lists(st.tuples(st.integers(0, 3), row_strategy), max_size=25)
specs = st.builds(
    RewardSpec,
    late=st.sampled_from(["learn", "log", "reject"]),
    aggregate=st.sampled_from(["final", "first", "mean", "max"]),
    default=st.sampled_from([0.0, 0.1]),
    window_s=st.just(60.0),
)


def run(
    log: list[tuple[int, Row]], spec: RewardSpec
) -> tuple[dict[int, Ledger], tuple[int, int], list[bool]]:
    """Fold a log of several decisions: ledgers, sums (n, Σr in fixed point), and which rows held."""
    ledgers: dict[int, Ledger] = {}
    n = total = 0
    held = []
    for decision, row in log:
        before = ledgers.get(decision, NEW)
        try:
            ledgers[decision], change = advance(before, row, spec, price=value_of)
        except NyxError:
            assert ledgers.get(decision, NEW) == before
            held.append(False)
            continue
        held.append(True)
        if change.remove is not None:
            n, total = n - 1, total - round(change.remove * SCALE)
        if change.add is not None:
            n, total = n + 1, total + round(change.add * SCALE)
    return ledgers, (n, total), held


@LAW
@given(logs, specs)
def test_sums_are_always_those_of_the_standing_contributions(
    log: list[tuple[int, Row]], spec: RewardSpec
) -> None:
    ledgers, sums, _ = run(log, spec)
    standing = [ledger.contribution for ledger in ledgers.values() if ledger.contribution is not None]
    assert sums == (len(standing), sum(round(value * SCALE) for value in standing))


@LAW
@given(logs, specs, st.integers(0, 3))
def test_retraction_leaves_the_sums_of_a_log_without_the_decision(
    log: list[tuple[int, Row]], spec: RewardSpec, forgotten: int
) -> None:
    _, sums, _ = run([*log, (forgotten, Retracted())], spec)
    _, without, _ = run([(decision, row) for decision, row in log if decision != forgotten], spec)
    assert sums == without


@LAW
@given(logs, specs)
def test_a_correction_leaves_the_sums_of_a_log_that_was_right_at_once(
    log: list[tuple[int, Row]], spec: RewardSpec
) -> None:
    wrong = Report("c", outcome={"success": True, "quality": 0.1})
    right = {"success": False, "quality": 0.9}
    at_once = [(9, Report("c", outcome=right)), *log]
    corrected = [(9, wrong), *log, (9, Report("c", outcome=right, revision=1))]
    assert run(corrected, spec)[1] == run(at_once, spec)[1]


@LAW
@given(logs, specs)
def test_refused_rows_leave_no_trace(log: list[tuple[int, Row]], spec: RewardSpec) -> None:
    ledgers, sums, held = run(log, spec)
    again, same, all_held = run([row for row, ok in zip(log, held, strict=True) if ok], spec)
    assert all(all_held)
    assert same == sums
    assert again == {key: ledger for key, ledger in ledgers.items() if key in again}


@LAW
@given(logs, specs, st.randoms())
def test_decisions_do_not_touch_each_other(log: list[tuple[int, Row]], spec: RewardSpec, random: Any) -> None:
    keys = [decision for decision, _ in log]
    random.shuffle(keys)
    queues = {key: iter([entry for entry in log if entry[0] == key]) for key in set(keys)}
    interleaved = [next(queues[key]) for key in keys]
    assert run(interleaved, spec)[1] == run(log, spec)[1]
