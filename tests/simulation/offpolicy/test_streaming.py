# mypy: disable-error-code="arg-type"
"""Batches give what all rows at once give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid, LogInvalid, NoOverlap
from nyx_learning.simulation.offpolicy import (
    Accumulator,
    IntervalSpec,
    LoggedData,
    accumulate,
    dr,
    estimate_propensities,
    ips,
    overlay,
    snips,
)

ARMS = ("a", "b", "c")
LOGGING = np.array([0.5, 0.4, 0.1])
TARGET = np.array([0.1, 0.3, 0.6])
Q = np.array([0.2, 0.4, 0.9])
Array = np.ndarray[Any, Any]


def rows(n: int = 5000) -> LoggedData:
    rng = np.random.default_rng(9)
    arm = rng.choice(3, n, p=LOGGING)
    return LoggedData(ARMS, arm, rng.random(n) ** (3 - arm), LOGGING[arm])


def batches(log: LoggedData, ends: list[int]) -> list[tuple[LoggedData, Array]]:
    return [(log.take(np.arange(a, b)), TARGET) for a, b in zip([0, *ends], [*ends, len(log)], strict=True)]


def test_batches_of_any_size_in_any_order_give_the_estimates_of_the_whole_log() -> None:
    log = rows()
    over = overlay(log, TARGET)
    whole = {
        "ips": ips(log.reward, over.weight),
        "snips": snips(log.reward, over.weight),
        "dr": dr(log.reward, over.weight, log.arm, over.target, np.broadcast_to(Q, (len(log), 3))),
    }
    for parts in (batches(log, []), batches(log, [1, 17, 4000]), batches(log, [1, 17, 4000])[::-1]):
        found = accumulate(parts, ARMS, Q).estimates()
        assert found.keys() == whole.keys()
        for name, one in whole.items():
            other = found[name]
            assert other.value == pytest.approx(one.value, rel=1e-12)
            assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)
            assert other.interval.low == pytest.approx(one.interval.low, rel=1e-9)
            assert (other.n, other.largest_weight, other.match_rate) == (one.n, one.largest_weight, 1.0)
            assert other.ess == pytest.approx(one.ess, rel=1e-12)


def test_empirical_bernstein_over_batches() -> None:
    log = rows()
    how = IntervalSpec("empirical_bernstein", weight_max=6.0)
    whole = ips(log.reward, overlay(log, TARGET).weight, how)
    found = accumulate(batches(log, [100, 3000]), ARMS).estimates(how)
    assert found["ips"].interval.low == pytest.approx(whole.interval.low, rel=1e-9)
    assert found["ips"].interval.high == pytest.approx(whole.interval.high, rel=1e-9)
    assert list(found) == ["ips", "snips"]
    with pytest.raises(InputInvalid, match="largest weight"):
        accumulate(batches(log, []), ARMS).estimates(IntervalSpec("empirical_bernstein", weight_max=2.0))
    with pytest.raises(InputInvalid, match="all rows at once"):
        accumulate(batches(log, []), ARMS).estimates(IntervalSpec("betting"))


def test_accumulators_merge_as_if_one_had_seen_all() -> None:
    log = rows()
    parts = batches(log, [1000, 2500])
    one = accumulate(parts, ARMS, Q)
    two = accumulate(parts[:1], ARMS, Q)
    two.merge(accumulate(parts[1:], ARMS, Q))
    for name, found in one.estimates().items():
        assert two.estimates()[name].value == pytest.approx(found.value, rel=1e-13)
        assert two.estimates()[name].standard_error == pytest.approx(found.standard_error, rel=1e-10)
    assert two.rows == len(log)
    empty = Accumulator(ARMS)
    empty.merge(one)
    assert empty.estimates() == one.estimates()


def test_small_terms_beside_large_ones_are_not_lost() -> None:
    # Weights of 1e8 among ones: a plain float sum loses the ones' last digits, a compensated one does not.
    n = 4000
    propensity = np.ones(n)
    propensity[::1000] = 1e-8
    log = LoggedData(("a",), np.zeros(n, int), np.full(n, 0.1), propensity)
    found = accumulate([(log.take(np.arange(i, i + 10)), np.ones(1)) for i in range(0, n, 10)], ("a",))
    assert found.estimates()["ips"].value == pytest.approx((4 * 1e7 + 3996 * 0.1) / n, rel=1e-15)


def test_a_batch_without_an_arm_is_no_lack_of_support_but_a_log_is() -> None:
    log = rows(300)
    first, rest = log.take(log.arm == 0), log.take(log.arm != 0)
    found = accumulate([(first, TARGET), (rest, TARGET)], ARMS)
    assert found.estimates()["ips"].match_rate == 1.0
    with pytest.raises(NoOverlap, match="lie outside"):
        accumulate([(first, TARGET)], ARMS).estimates()
    assert accumulate([(first, TARGET)], ARMS).estimates(outside_max=0.95)["ips"].notes
    with pytest.raises(NoOverlap, match="weight 0"):
        accumulate([(first, np.array([0.0, 0.5, 0.5]))], ARMS).estimates()


def test_batches_of_different_logs_are_refused() -> None:
    log = rows(100)
    gathered = Accumulator(ARMS)
    with pytest.raises(LogInvalid, match="empty"):
        gathered.estimates()
    gathered.add(log, TARGET)
    other = LoggedData(("a", "b"), [0], [1.0], [0.5])
    unknown = estimate_propensities(LoggedData(ARMS, log.arm, log.reward))
    for batch, target in ((other, np.array([0.5, 0.5])), (unknown, TARGET)):
        with pytest.raises(LogInvalid, match="another log"):
            gathered.add(batch, target)
    assert gathered.rows == 100
    with pytest.raises(LogInvalid, match="different logs"):
        gathered.merge(Accumulator(("a", "b")))
