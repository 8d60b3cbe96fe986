"""Reference tables: lookup, robust estimates, adoption."""

import json
import math
import pickle
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import DocumentInvalid, SpecInvalid, SupportMissing
from nyx_learning.rewards import (
    Adoption,
    Execution,
    Outcome,
    ReferenceCell,
    ReferenceTimes,
    estimate_references,
    reference_for,
    worth_adopting,
)
from nyx_learning.rewards.adoption import changes
from nyx_learning.rewards.estimate import median, median_time

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)


def table(**times: float) -> ReferenceTimes:
    return ReferenceTimes(
        by=("task_type",), cells=tuple(ReferenceCell((key,), time_s=value) for key, value in times.items())
    )


def execution(seq: int, seconds: float, arm: str = "base", **more: Any) -> Execution:
    context = {"task_type": more.pop("task", "coding"), "complexity": more.pop("complexity", "simple")}
    return Execution(
        seq, context, arm, Outcome(success=more.pop("success", True), duration_s=seconds, **more)
    )


# --- lookup


def test_lookup_takes_the_most_specific_cell_for_each_quantity() -> None:
    found = ReferenceTimes(
        cells=(
            ReferenceCell(("coding", "simple"), time_s=1.0),
            ReferenceCell(("coding", "*"), time_s=2.0, tokens=20.0),
            ReferenceCell(("*", "simple"), time_s=3.0, cost=30.0),
            ReferenceCell(("*", "*"), time_s=4.0, tokens=40.0, cost=40.0),
        )
    )

    def at(task: str | None, complexity: str | None) -> tuple[float | None, float | None, float | None]:
        reference = found.lookup({"task_type": task, "complexity": complexity})
        return reference.time_s, reference.tokens, reference.cost

    assert at("coding", "simple") == (1.0, 20.0, 30.0)
    assert at("coding", "complex") == (2.0, 20.0, 40.0)
    assert at("research", "simple") == (3.0, 40.0, 30.0)
    assert at("research", "complex") == (4.0, 40.0, 40.0)
    assert at(None, None) == (4.0, 40.0, 40.0)
    assert found.lookup(None).time_s == 4.0
    assert table(coding=1.0).lookup({"task_type": "research"}).time_s is None


def test_features_that_are_no_text_have_one_spelling() -> None:
    found = ReferenceTimes(by=("urgent", "size"), cells=(ReferenceCell(("true", "3"), time_s=5.0),))
    assert found.lookup({"urgent": True, "size": 3}).time_s == 5.0
    assert found.lookup({"urgent": False, "size": 3}).time_s is None


def test_the_version_is_the_content_whatever_the_order() -> None:
    assert table(a=1.0, b=2.0).version == table(b=2.0, a=1.0).version
    assert table(a=1.0).version != table(a=1.5).version
    assert ReferenceTimes(by=("a",), first_seq=1).version != ReferenceTimes(by=("a",), first_seq=2).version
    assert pickle.loads(pickle.dumps(table(a=1.0))) == table(a=1.0)


def test_documents_round_trip_and_damage_is_found() -> None:
    document = json.loads(json.dumps(table(a=1.0, b=2.0).to_dict()))
    assert ReferenceTimes.from_dict(document) == table(a=1.0, b=2.0)
    edited = json.loads(json.dumps(document))
    edited["cells"][0]["time_s"] = 9.0
    for bad in (
        edited,
        {**document, "version": "0" * 32},
        {**document, "format": 9},
        {},
        {**document, "cells": None},
    ):
        with pytest.raises(DocumentInvalid):
            ReferenceTimes.from_dict(bad)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e16, True, "3"])
def test_bad_references_are_refused(value: float) -> None:
    with pytest.raises(SpecInvalid):
        ReferenceCell(("a",), time_s=value)


def test_bad_tables_are_refused() -> None:
    cell = ReferenceCell(("a",), time_s=1.0)
    for by, cells in (
        ((), ()),
        (("a", "a"), ()),
        (("a", "b", "c", "d"), ()),
        (("a", "b"), (cell,)),
        (("a",), (cell, cell)),
    ):
        with pytest.raises(SpecInvalid):
            ReferenceTimes(by=by, cells=cells)
    with pytest.raises(SpecInvalid):
        ReferenceCell(("",), time_s=1.0)


# --- medians


def test_medians_by_hand() -> None:
    assert median([]) is None
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5
    # 1 and 2 finish of 4: half are left; the next to finish is at 9.
    assert median_time([(1.0, False), (2.0, False), (3.0, True), (9.0, False)]) == 5.5
    # 1 of 3 finishes: two thirds are left for ever.
    assert median_time([(1.0, False), (2.0, True), (2.0, True)]) is None
    # At 5 one finishes and one is cut off: the one cut off was still running.
    assert median_time([(5.0, True), (5.0, False)]) == 5.0
    # 4 at risk, cut off at 1; then 1/3 of 3 each: 2/3, 1/3 at 3.
    assert median_time([(1.0, True), (2.0, False), (3.0, False), (4.0, False)]) == 3.0


@LAW
@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60))
def test_without_timeouts_it_is_the_ordinary_median(values: list[float]) -> None:
    assert median_time([(value, False) for value in values]) == median(values)


@LAW
@given(
    st.lists(st.tuples(st.integers(0, 20).map(float), st.booleans()), min_size=1, max_size=40), st.randoms()
)
def test_the_median_time_does_not_depend_on_the_order(
    times: list[tuple[float, bool]], random: random.Random
) -> None:
    shuffled = times.copy()
    random.shuffle(shuffled)
    assert median_time(shuffled) == median_time(times)


@LAW
@given(st.lists(st.floats(1.0, 100.0), min_size=3, max_size=40), st.data())
def test_a_timeout_moves_the_median_up_or_not_at_all(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values) - 1))
    times = [(value, i == cut) for i, value in enumerate(values)]
    after = median_time(times)
    before = median(values)
    assert before is not None
    assert after is None or after >= before


def test_the_median_time_agrees_with_scipy() -> None:
    from scipy.stats import CensoredData, ecdf

    source = np.random.default_rng(5)
    for _ in range(50):
        rows = [(float(source.exponential()), bool(source.random() < 0.3)) for _ in range(31)]
        survival = ecdf(
            CensoredData(uncensored=[t for t, c in rows if not c], right=[t for t, c in rows if c])
        ).sf
        below = [t for t, s in zip(survival.quantiles, survival.probabilities, strict=True) if s < 0.5 - 1e-9]
        ours = median_time(rows)
        if any(math.isclose(s, 0.5, abs_tol=1e-9) for s in survival.probabilities):
            continue  # the middle of an interval: by hand above
        assert ours == (min(below) if below else None)


# --- estimates


def test_the_baseline_arm_is_preferred_where_it_has_enough() -> None:
    rows = [execution(i, 10.0) for i in range(5)] + [execution(5 + i, 30.0, arm="other") for i in range(20)]
    cells = {cell.key: cell for cell in estimate_references(rows, baseline_arm="base", min_n=5).cells}
    assert (cells["coding", "simple"].time_s, cells["coding", "simple"].source) == (10.0, "baseline_arm")
    cells = {cell.key: cell for cell in estimate_references(rows, baseline_arm="base", min_n=6).cells}
    assert (cells["coding", "simple"].time_s, cells["coding", "simple"].source) == (30.0, "all_arms")


def test_thin_cells_fall_back_to_wider_ones() -> None:
    rows = [execution(i, 10.0) for i in range(10)] + [execution(10, 500.0, complexity="complex")]
    found = estimate_references(rows, min_n=5)
    assert ("coding", "complex") not in {cell.key for cell in found.cells}
    assert found.lookup({"task_type": "coding", "complexity": "complex"}).time_s == 10.0
    assert (found.first_seq, found.last_seq) == (0, 10)


def test_outliers_and_hangs_do_not_move_the_reference() -> None:
    rows = [execution(i, 9.0 + 0.1 * i) for i in range(21)]
    spoiled = (
        rows[:12] + [execution(i, 1e9) for i in range(12, 18)] + [execution(i, 0.001) for i in range(18, 21)]
    )
    clean, dirty = (estimate_references(r).lookup(None).time_s for r in (rows, spoiled))
    assert clean == 10.0
    assert dirty is not None
    assert abs(dirty - clean) < 0.5


def test_tokens_and_costs_are_estimated_and_zero_is_no_yardstick() -> None:
    rows = [execution(i, 1.0, tokens=100 + i, cost=0.0) for i in range(11)]
    found = estimate_references(rows).lookup(None)
    assert (found.time_s, found.tokens, found.cost) == (1.0, 105.0, None)


def test_failures_can_be_left_out_but_timeouts_stay() -> None:
    rows = (
        [execution(i, 10.0) for i in range(10)]
        + [execution(i, 0.1, success=False) for i in range(10, 30)]
        + [execution(i, 60.0, success=False, timed_out=True) for i in range(30, 34)]
    )
    assert estimate_references(rows).lookup(None).time_s == 0.1
    found = estimate_references(rows, succeeded_only=True)
    assert found.lookup(None).time_s == 10.0
    assert found.cells[0].n == 14


def test_too_few_executions_are_refused() -> None:
    with pytest.raises(SupportMissing, match="no reference"):
        estimate_references([execution(i, 1.0) for i in range(9)])
    with pytest.raises(SupportMissing):
        estimate_references([])


@LAW
@given(
    st.lists(
        st.tuples(st.floats(0.1, 100.0), st.sampled_from("ab"), st.booleans()), min_size=12, max_size=40
    ),
    st.randoms(),
)
def test_estimates_do_not_depend_on_the_order_of_rows(
    rows: list[tuple[float, str, bool]], random: random.Random
) -> None:
    log = [
        execution(i, t, arm=task, task=task, timed_out=cut and i % 3 == 0)
        for i, (t, task, cut) in enumerate(rows)
    ]
    shuffled = log.copy()
    random.shuffle(shuffled)

    def version(rows: Iterable[Execution]) -> str:
        try:
            return estimate_references(rows, baseline_arm="a", min_n=4).version
        except SupportMissing:
            return "none"

    assert version(shuffled) == version(log)


# --- adoption


def test_decisions_keep_the_version_that_was_in_force() -> None:
    old, new, newest = table(a=1.0), table(a=2.0), table(a=3.0)
    adoptions = [Adoption(20, new), Adoption(10, old), Adoption(30, newest, earlier="reprice")]

    def used(state_seq: int, now_seq: int) -> ReferenceTimes | None:
        return reference_for(adoptions, state_seq, now_seq=now_seq)

    assert used(5, 25) is None
    assert used(10, 25) == old
    assert used(19, 25) == old
    assert used(20, 25) == new
    # From 30 on, earlier decisions are judged by the newest version; before 30 nobody knows of it.
    assert [used(seq, 30) for seq in (5, 10, 20, 30)] == [newest] * 4
    assert used(25, 29) == new


def test_adoptions_round_trip_and_bad_ones_are_refused() -> None:
    adoption = Adoption(3, table(a=1.0), "reprice")
    assert Adoption.from_dict(json.loads(json.dumps(adoption.to_dict()))) == adoption
    with pytest.raises(DocumentInvalid):
        Adoption.from_dict({"seq": 3})
    with pytest.raises(SpecInvalid):
        Adoption(-1, table(a=1.0))
    with pytest.raises(SpecInvalid):
        Adoption(1, table(a=1.0), "maybe")  # type: ignore[arg-type]


def test_only_what_moves_enough_is_worth_adopting() -> None:
    now = table(a=10.0, b=10.0)
    assert worth_adopting(None, now)
    assert not worth_adopting(now, now)
    assert not worth_adopting(now, table(a=12.0, b=8.5))
    assert worth_adopting(now, table(a=12.5, b=10.0))
    assert worth_adopting(now, table(a=8.0, b=10.0))
    assert worth_adopting(now, table(a=10.0, b=10.0, c=1.0))
    assert not worth_adopting(now, table(a=10.0))
    assert [(c.key, c.ratio) for c in changes(now, table(a=20.0, b=10.0))] == [(("a",), 2.0)]
