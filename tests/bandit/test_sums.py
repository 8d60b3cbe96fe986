"""Exact sums: any order, any batching, taking back, epochs, buckets, documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.bandit.sums import Sums, width
from nyx_learning.errors import DocumentInvalid, InputInvalid

ARMS, DIMENSION, BUCKET = 3, 4, 8
ONE = 65536
LAWS = settings(derandomize=True, deadline=None, max_examples=60, database=None)

PHI = st.tuples(st.just(ONE), *[st.integers(-ONE, ONE)] * (DIMENSION - 1))
ROWS = st.lists(st.tuples(st.integers(0, ARMS - 1), st.integers(0, 2), PHI, st.integers(0, ONE)), max_size=40)
WRONG: list[Any] = [None, "x", {}, [], -1, 1.5, True]
Rows = list[tuple[int, int, tuple[int, ...], int]]


def folded(rows: Rows, order: list[int] | None = None, epochs: list[int] | None = None) -> Sums:
    sums = Sums(ARMS, DIMENSION, BUCKET)
    for arm, number in enumerate(epochs or []):
        for _ in range(number):
            sums.start_epoch(arm)
    for i in order if order is not None else range(len(rows)):
        arm, epoch, phi, reward = rows[i]
        sums.absorb(arm, epoch, i + 1, phi, reward)
    sums.seq = len(rows)
    return sums


def reference(rows: Rows) -> dict[tuple[int, int, int], list[int]]:
    """The same statistics in Python's unbounded integers."""
    blocks: dict[tuple[int, int, int], np.ndarray[Any, Any]] = {}
    for seq, (arm, epoch, phi, reward) in enumerate(rows, start=1):
        vector = np.array([int(x) for x in phi], object)
        lower = [vector[i] * vector[j] for i in range(DIMENSION) for j in range(i + 1)]
        row = np.array([1, reward, reward * reward, *(vector * reward), *lower], object)
        key = (arm, epoch, seq // BUCKET)
        blocks[key] = blocks.get(key, 0) + row
    return {key: [int(x) for x in block] for key, block in blocks.items()}


def test_one_row_by_hand() -> None:
    sums = Sums(1, 2, 4)
    sums.absorb(0, 0, 5, [ONE, -3], 7)
    sums.seq = 5
    #                                     n  Σr Σr²  Σφr             Σφφᵀ
    assert sums.to_dict()["blocks"] == [[0, 0, 1, 1, 7, 49, 7 * ONE, -21, ONE * ONE, -3 * ONE, 9]]
    assert sums.refresh() == [0]
    assert sums.reading[0].tolist() == [
        1,
        7 / ONE,
        49 / ONE**2,
        7 / ONE,
        -21 / ONE**2,
        1,
        -3 / ONE,
        9 / ONE**2,
    ]
    assert sums.refresh() == []
    assert width(2) == 8


@LAWS
@given(rows=ROWS)
def test_the_sums_are_those_of_unbounded_integers(rows: Rows) -> None:
    sums = folded(rows)
    assert {key: block.tolist() for key, block in sums.blocks.items()} == reference(rows)
    document = sums.to_dict()
    assert {tuple(block[:3]): block[3:] for block in document["blocks"]} == reference(rows)
    assert document["blocks"] == sorted(document["blocks"])


@LAWS
@given(rows=ROWS, data=st.data())
def test_any_order_and_batching_gives_the_same_sums(rows: Rows, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    one, other = folded(rows, epochs=[2, 1, 0]), folded(rows, order, epochs=[2, 1, 0])
    # In batches: refreshed in between, and put together from the blocks of several writers.
    third = Sums(ARMS, DIMENSION, BUCKET)
    third.epochs = [2, 1, 0]
    cut = data.draw(st.integers(0, len(rows)))
    halves = [{i for i in range(len(rows)) if (i < cut) == first} for first in (True, False)]
    for half in halves:
        for i in half:
            arm, epoch, phi, reward = rows[i]
            third.absorb(arm, epoch, i + 1, phi, reward)
        third.refresh()
    third.seq = len(rows)
    assert one.to_dict() == other.to_dict() == third.to_dict()
    assert one.digest() == other.digest() == third.digest()
    for sums in (one, other, third):
        sums.refresh()
        assert np.array_equal(sums.totals, one.totals)
        assert np.array_equal(sums.reading, one.reading)


@LAWS
@given(kept=ROWS, taken=ROWS, data=st.data())
def test_a_row_that_is_taken_back_leaves_no_trace(kept: Rows, taken: Rows, data: st.DataObject) -> None:
    sums = folded(kept, epochs=[1, 1, 1])
    before, totals = sums.to_dict(), sums.totals.copy()
    numbers = [data.draw(st.integers(1, 40)) for _ in taken]
    events = [(i, 1) for i in range(len(taken))] + [(i, -1) for i in range(len(taken))]
    for i, sign in data.draw(st.permutations(events)):
        arm, epoch, phi, reward = taken[i]
        sums.absorb(arm, epoch, numbers[i], phi, reward, sign)
    assert sums.to_dict() == before
    assert np.array_equal(sums.totals, totals)
    assert sums.digest() == folded(kept, epochs=[1, 1, 1]).digest()


def test_buckets_and_epochs_are_part_of_the_key() -> None:
    sums = Sums(2, 1, 4)
    for seq in (3, 4):
        sums.absorb(0, 0, seq, [ONE], ONE)
    assert sums.start_epoch(0) == 1
    sums.absorb(0, 1, 5, [ONE], ONE)
    sums.absorb(0, 0, 6, [ONE], 0)  # decided in the old epoch, rewarded in the new one
    assert set(sums.blocks) == {(0, 0, 0), (0, 0, 1), (0, 1, 1)}
    assert sums.blocks[0, 0, 1][0] == 2


def test_a_new_epoch_forgets_for_choosing_and_keeps_for_reading() -> None:
    sums = Sums(2, 1, 4)
    sums.absorb(0, 0, 1, [ONE], ONE)
    sums.absorb(1, 0, 2, [ONE], ONE)
    sums.refresh()
    before = sums.blocks[0, 0, 0].tolist()
    sums.start_epoch(0)
    assert sums.refresh() == [0]
    assert sums.totals[:, 0].tolist() == [0, 1]
    assert sums.blocks[0, 0, 0].tolist() == before
    sums.absorb(0, 0, 3, [ONE], ONE)
    assert sums.totals[:, 0].tolist() == [0, 1]
    assert sums.epochs == [1, 0]


@LAWS
@given(rows=ROWS)
def test_documents_come_back_equal(rows: Rows) -> None:
    sums = folded(rows, epochs=[2, 2, 3])
    document = json.loads(json.dumps(sums.to_dict()))
    again = Sums.from_dict(document, ARMS, DIMENSION, BUCKET)
    assert again.to_dict() == sums.to_dict()
    assert again.digest() == sums.digest()
    assert again.seq == len(rows)
    assert np.array_equal(again.totals, sums.totals)
    assert again.refresh() == [0, 1, 2]
    sums.absorb(0, 2, 1, (ONE,) * DIMENSION, 5)
    again.absorb(0, 2, 1, (ONE,) * DIMENSION, 5)
    assert again.to_dict() == sums.to_dict()


def test_damaged_documents_are_refused(four_parts: Callable[..., None]) -> None:
    good = folded([(0, 0, (ONE, 1, 2, 3), 4), (2, 1, (ONE, 0, 0, 0), ONE)], epochs=[0, 0, 1]).to_dict()
    size = 3 + width(DIMENSION)
    damages: list[tuple[list[Any], Any]] = [
        *(([key], value) for key in good for value in WRONG),
        (["blocks", 0], None),
        (["blocks", 0], [0] * (size - 1)),
        (["blocks", 0, 0], 3),
        (["blocks", 0, 0], -1),
        (["blocks", 0, 1], 1),
        (["blocks", 0, 1], -1),
        (["blocks", 0, 2], -1),
        (["blocks", 0, 3], -1),
        (["blocks", 0, 3], 1.0),
        (["blocks", 0, 4], "1"),
        (["blocks", 0, 4], 1 << 63),
        (["blocks", 1], good["blocks"][0]),
        (["epochs", 0], "0"),
        (["epochs"], [0, 0]),
        (["epochs", 1], -1),
    ]
    for path, value in damages:
        if path == ["blocks"] and value == []:
            continue  # no rows are a state too
        document = copy.deepcopy(good)
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with pytest.raises(DocumentInvalid) as error:
            Sums.from_dict(document, ARMS, DIMENSION, BUCKET)
        four_parts(error)
    others: list[Any] = [None, [], "x"]
    for other in others:
        with pytest.raises(DocumentInvalid):
            Sums.from_dict(other, ARMS, DIMENSION, BUCKET)
    for shape in (
        (ARMS + 1, DIMENSION, BUCKET),
        (ARMS, DIMENSION + 1, BUCKET),
        (ARMS, DIMENSION, BUCKET + 1),
    ):
        with pytest.raises(DocumentInvalid):
            Sums.from_dict(good, *shape)


def test_an_arm_takes_as_many_rows_as_64_bits_hold(four_parts: Callable[..., None]) -> None:
    most = (1 << 31) - 1
    full = np.array([most, most * ONE, most * ONE**2, most * ONE**2, most * ONE**2], np.int64)
    for key, epoch in (((0, 0, 0), 0), ((0, 1, 7), 0), ((0, 0, 0), 1)):
        # One block may be full, or all the blocks of an epoch together.
        sums = Sums(1, 1, BUCKET)
        for _ in range(max(key[1], epoch)):
            sums.start_epoch(0)
        sums.restore(key, full.copy())
        before = sums.to_dict()
        if (key[1], epoch) == (1, 0):
            sums.absorb(0, 0, 1, [ONE], ONE)  # another epoch has room
            continue
        if epoch == 0:
            with pytest.raises(InputInvalid, match="full") as error:
                sums.absorb(0, 0, 1 if key[2] == 0 else 70, [ONE], ONE)
            four_parts(error)
            assert sums.to_dict() == before
            sums.absorb(0, 0, 1, [ONE], ONE, sign=-1)
            sums.absorb(0, 0, 1, [ONE], ONE)
            assert sums.to_dict() == before
            assert sums.totals[0, 2] > 0


def test_rows_are_folded_in_turn(four_parts: Callable[..., None]) -> None:
    sums = Sums(1, 1, BUCKET)
    sums.expect(1)
    for seq in (0, 2, -1):
        with pytest.raises(InputInvalid, match="out of turn") as error:
            sums.expect(seq)
        four_parts(error)


@LAWS
@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1 << 40), st.integers(-5, 5)), max_size=12),
    data=st.data(),
)
def test_further_statistics_are_exact_too(rows: list[tuple[int, int, int]], data: st.DataObject) -> None:
    sums = Sums(2, 1, BUCKET, further=2)
    expected = {arm: [0, 0] for arm in range(2)}
    for i in data.draw(st.permutations(range(len(rows)))):
        arm, first, second = rows[i]
        sums.absorb(arm, 0, i + 1, [ONE], 0, further=(first, second))
        expected[arm] = [expected[arm][0] + first, expected[arm][1] + second]
    assert {arm: sums.totals[arm, -2:].tolist() for arm in range(2)} == expected
    again = Sums.from_dict(json.loads(json.dumps(sums.to_dict())), 2, 1, BUCKET, further=2)
    assert again.to_dict() == sums.to_dict()
    for i, (arm, first, second) in enumerate(rows):
        sums.absorb(arm, 0, i + 1, [ONE], 0, -1, (first, second))
    assert sums.to_dict()["blocks"] == []
    assert not sums.totals.any()
