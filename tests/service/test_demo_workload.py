"""The demo's population: reproducible from its seed alone, balanced, and with the troubles it claims."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from nyx_learning.service.demo.items import Attempt, Item
from nyx_learning.service.demo.loopback import CAPACITY
from nyx_learning.service.demo.workload import contexts, keyed_order, population

PROGRAM = """
from nyx_learning.service.demo.workload import population
workflows = population(3, "x", 5)
print([(w.kind, w.size, w.flaky, [(i.key, i.fates, i.latency_s) for i in w.items]) for w in workflows])
"""


def test_the_same_seed_gives_the_same_population_in_another_process() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    here = [
        (w.kind, w.size, w.flaky, [(i.key, i.fates, i.latency_s) for i in w.items])
        for w in population(3, "x", 5)
    ]
    assert outputs == {f"{here}\n"}


def test_a_longer_population_begins_with_the_shorter_one() -> None:
    assert population(7, "learning", 40)[:25] == population(7, "learning", 25)


def test_populations_of_other_names_or_seeds_share_no_item() -> None:
    keys = [
        {item.key for workflow in population(seed, name, 36) for item in workflow.items}
        for seed, name in ((1, "learning"), (1, "evaluation"), (2, "learning"))
    ]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]


def test_every_block_holds_each_context_once_in_an_order_of_its_own() -> None:
    workflows = population(7, "evaluation", 54)
    blocks = [[(w.kind, w.size, w.flaky) for w in workflows[start : start + 18]] for start in (0, 18, 36)]
    assert all(Counter(block) == Counter(contexts()) for block in blocks)
    assert blocks[0] != blocks[1]


def test_flaky_services_hang_and_calm_ones_are_slow() -> None:
    items = [(w.flaky, item) for w in population(11, "many", 1800) for item in w.items if w.kind == "io"]
    troubles: dict[str, Callable[[Item], bool]] = {
        "hangs": lambda item: item.fates[0] == "hangs",
        "fails": lambda item: item.fates[0] == "fails",
        "slow": lambda item: item.latency_s > 0.03,
    }
    share = {
        (flaky, name): sum(met(item) for f, item in items if f == flaky) / sum(f == flaky for f, _ in items)
        for flaky in (False, True)
        for name, met in troubles.items()
    }
    # 4,200 items of each: the standard error of a rate of 3 % is a quarter of a percentage point.
    assert share[True, "hangs"] == pytest.approx(0.025, abs=0.01)
    assert share[True, "fails"] == pytest.approx(0.025, abs=0.01)
    assert share[False, "slow"] == pytest.approx(0.03, abs=0.01)
    assert share[False, "hangs"] < share[True, "hangs"]
    assert share[True, "slow"] < share[False, "slow"]


def work(kind: str, size: str) -> tuple[int, float, float]:
    """Items, seconds of computing and seconds of waiting of the batches of a kind and size."""
    batches = [w for w in population(5, "load", 180) if (w.kind, w.size) == (kind, size)]
    return (
        len(batches[0].items),
        statistics.fmean(sum(item.cpu_s for item in w.items) for w in batches),
        statistics.fmean(sum(item.latency_s for item in w.items) for w in batches),
    )


def test_no_single_strategy_suits_all_batches() -> None:
    patient_s = 0.08
    for kind, size in (("io", "medium"), ("io", "large"), ("mixed", "medium")):
        items, cpu_s, latency_s = work(kind, size)
        # Two at once take over three times as long as eight threads.
        assert (latency_s + cpu_s) / 2 > 3 * max(latency_s / min(8, items), cpu_s)
    assert work("io", "medium")[0] < CAPACITY < work("io", "large")[0]
    for kind in ("cpu", "mixed"):
        items, cpu_s, latency_s = work(kind, "large")
        # Eight threads share one interpreter, and are all too late; two processes are not.
        assert 8 * cpu_s / items > patient_s > 2 * (cpu_s + latency_s) / items
    # Shipping an item to a process and back takes longer than computing a tiny one.
    assert work("cpu", "small")[1] < 0.0005


def test_computing_never_hangs() -> None:
    assert not any(
        "hangs" in item.fates for w in population(5, "cpu", 720) if w.kind == "cpu" for item in w.items
    )


def test_keyed_order_is_a_permutation_that_depends_on_its_names() -> None:
    orders = {tuple(keyed_order(range(3), 7, "evaluation", number)) for number in range(60)}
    assert orders == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}


def test_the_last_fate_holds_for_all_later_attempts() -> None:
    item = Item("aa", "io", 0.0, 0.001, ("fails", "fine"))
    assert [item.fate(number) for number in range(4)] == ["fails", "fine", "fine", "fine"]


def test_an_attempt_survives_the_trip_to_a_worker() -> None:
    task = Attempt(Item("aa", "mixed", 0.002, 0.004, ("hangs", "fine")), 1, 1200, 0.1, 4711)
    assert Attempt.decode(task.encode()) == task
