"""Models of expectations against dense algebra, by law, and on seeded streams."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.features.expectations import COVERAGE, AdaptiveScores, AmountModel, SuccessModel
from nyx_learning.features.expectations.cusum import Cusum
from nyx_learning.features.expectations.pooled import Pooled, Ridges

Floats = npt.NDArray[np.float64]
RIDGES = Ridges(level=0.1, slope=0.5, tag=2.0, own_level=1.5, own_slope=4.0)


def dense(rows: list[tuple[int, Floats, float]], arm: int, x: Floats, tags: list[list[int]]) -> list[float]:
    """The same model as one large ridge regression: shared columns, tags, and each arm's own."""
    d, arms, groups = 3, len(tags), 1 + max(tag for own in tags for tag in own)
    ridge = [0.1, 0.5, 0.5] + [2.0] * groups + [1.5, 4.0, 4.0] * arms

    def wide(arm: int, x: Floats) -> Floats:
        out = np.zeros(d + groups + d * arms)
        out[:d] = x
        for tag in tags[arm]:
            out[d + tag] = 1.0
        out[d + groups + d * arm : d + groups + d * (arm + 1)] = x
        return out

    design = np.array([wide(a, row) for a, row, _ in rows])
    precision = design.T @ design + np.diag(ridge)
    theta = np.linalg.solve(precision, design.T @ np.array([y for *_, y in rows]))
    asked = wide(arm, x)
    return [float(asked @ theta), float(asked @ np.linalg.solve(precision, asked))]


def drawn(seed: int, n: int, arms: int = 4) -> list[tuple[int, Floats, float]]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        arm, x = int(rng.integers(arms)), np.array([1.0, *rng.uniform(-1, 1, 2)])
        rows.append((arm, x, float(arm + x[1] * (1 + arm) + rng.normal())))
    return rows


def test_pooling_is_one_large_ridge_regression() -> None:
    tags = [[0], [0, 2], [1], [1, 2], [0, 1]]
    model = Pooled(3, tags, RIDGES)
    rows = drawn(3, 60)
    for arm, x, y in rows:
        model.learn(arm, x, y)
    for arm in range(5):  # the last arm has no row: the others lend to it by its tags
        x = np.array([1.0, 0.3, -0.8])
        assert model.expect(arm, x) == pytest.approx(dense(rows, arm, x, tags), rel=1e-9)


def test_a_freed_level_keeps_the_slopes_and_takes_the_new_level() -> None:
    model = Pooled(2, [()], RIDGES)
    rng = np.random.default_rng(5)
    for _ in range(400):
        x = np.array([1.0, rng.uniform(-1, 1)])
        model.learn(0, x, 2.0 + 3.0 * x[1])
    up, down = np.array([1.0, 1.0]), np.array([1.0, -1.0])
    model.free(None, 1.0, 1.0)
    moved, variance = model.expect(0, up)
    assert moved == pytest.approx(6.0, abs=0.4)
    assert moved - model.expect(0, down)[0] == pytest.approx(6.0, abs=0.2)
    assert 0.3 < variance < 1.2  # the level is known only as well as was said
    for _ in range(20):
        model.learn(0, up, 10.0)
    assert model.expect(0, up)[0] == pytest.approx(10.0, abs=0.3)
    assert model.expect(0, down)[0] == pytest.approx(4.0, abs=0.6)


def test_levels_of_the_tails_by_hand() -> None:
    scores = AdaptiveScores()
    assert scores.levels == pytest.approx((0.05, 0.05))
    low, high = scores.bounds
    assert low < -2.3 < 2.3 < high  # beyond all that the prior knows
    scores.add(0, high + 1.0)
    # Missed above: .05 + .02·(.05 − 1); held below: .05 + .02·.05.
    assert scores.levels == pytest.approx((0.051, 0.031))
    assert scores.scores == 1


@pytest.mark.parametrize("law", ["skewed", "heavy", "wandering"])
def test_the_share_that_is_held_is_the_nominal_one_under_any_law(law: str) -> None:
    rng = np.random.default_rng(11)
    scores, held, n = AdaptiveScores(), 0, 4000
    for t in range(n):
        if law == "skewed":
            score = rng.exponential(2.0)
        elif law == "heavy":
            score = rng.standard_t(2)
        else:
            score = rng.normal() * (1.0 + math.sin(t / 150))
        low, high = scores.bounds
        held += low <= score <= high
        scores.add(0, float(score))
    assert held / n == pytest.approx(COVERAGE, abs=0.012)


def test_sums_rise_with_a_shift_and_tell_its_size() -> None:
    cusum = Cusum(8.0)
    # 2 a row, of which ½ is let off: 1.5, 3, … 9 behind the sixth.
    assert [cusum.add(2.0, 1.0) for _ in range(6)] == [False] * 5 + [True]
    assert cusum.shift() == (1.0, 6)
    cusum.restart()
    assert cusum.shift()[1] == 0
    # Whatever a single row says, it counts as 3.
    assert not cusum.add(-1e9, -1e9)


def seconds(rng: np.random.Generator, x: Floats, arm: int, factor: float = 1.0) -> float:
    return factor * math.exp(3.0 + 0.5 * arm + 0.6 * x[1] + 0.38 * rng.standard_normal())


def streamed(seed: int, change: int, rows: int, factor: float, changed: set[int]) -> tuple[Floats, Floats]:
    """Which rows of a stream were held, and the absolute errors of their logarithms."""
    rng = np.random.default_rng(seed)
    model, held, errors = AmountModel(2, [()] * 4, 1e-3), [], []
    for t in range(rows):
        arm, x = int(rng.integers(4)), np.array([1.0, rng.uniform(-1, 1)])
        amount = seconds(rng, x, arm, factor if t >= change and arm in changed else 1.0)
        outlook = model.expect(arm, x)
        if outlook is not None:
            low, high = model.scores.bounds
            y = math.log(amount)
            inside = outlook.middle + low * outlook.scale <= y <= outlook.middle + high * outlook.scale
            held.append(float(inside))
            errors.append(abs(y - outlook.middle))
        model.add(arm, x, amount)
    return np.array(held), np.array(errors)


def test_coverage_is_held_in_steady_state_and_behind_shifts() -> None:
    steady, behind, errors = [], [], []
    for seed in range(12):
        held, missed = streamed(seed, 400, 600, 2.5, {0, 1, 2, 3})
        steady.append(held[99:399].mean())
        behind.append(held[399:449].mean())
        errors.append(missed[499:].mean())
    assert 0.87 <= float(np.mean(steady)) <= 0.93
    assert float(np.mean(behind)) >= 0.80
    assert float(np.mean(errors)) < 0.34  # .303 is the noise's own


def test_one_arm_that_shifts_leaves_the_others_alone() -> None:
    rng = np.random.default_rng(17)
    model = AmountModel(2, [()] * 4, 1e-3)
    x = np.array([1.0, 0.2])
    for t in range(900):
        arm = t % 4
        model.add(arm, x, seconds(rng, x, arm, 3.0 if t >= 500 and arm == 1 else 1.0))
    assert model.shifts >= 1
    for arm in range(4):
        outlook = model.expect(arm, x)
        assert outlook is not None
        truth = 3.0 + 0.5 * arm + 0.12 + (math.log(3.0) if arm == 1 else 0.0)
        assert outlook.middle == pytest.approx(truth, abs=0.2)


def test_amounts_that_are_none_are_refused_and_change_nothing() -> None:
    model, twin, x = AmountModel(1, [()], 1e-3), AmountModel(1, [()], 1e-3), np.ones(1)
    for amount in (3.0, 5.0, 0.0):
        model.add(0, x, amount)
        twin.add(0, x, amount)
    for bad in (math.nan, math.inf, -1.0, True, "3", 1e13):
        with pytest.raises(InputInvalid) as refused:
            model.add(0, x, bad)  # type: ignore[arg-type]
        assert "expected:" in str(refused.value)
    assert model.expect(0, x) == twin.expect(0, x)
    assert model.scores.bounds == twin.scores.bounds


def test_probabilities_are_near_a_half_while_nothing_is_known() -> None:
    cold = SuccessModel(2, [()] * 3).expect(1, np.array([1.0, 0.0]))
    assert cold.probability == pytest.approx(0.5)
    assert cold.high - cold.low > 0.9


def test_probabilities_are_calibrated() -> None:
    losses, own, inside = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        model = SuccessModel(2, [()] * 3)
        for t in range(500):
            arm, x = int(rng.integers(3)), np.array([1.0, rng.uniform(-1, 1)])
            truth = 1.0 / (1.0 + math.exp(-(0.8 - 0.9 * arm + 1.2 * x[1])))
            success = bool(rng.random() < truth)
            chance = model.expect(arm, x)
            assert model.add(arm, x, success) == chance.probability
            if t >= 200:
                losses.append(-math.log(chance.probability if success else 1.0 - chance.probability))
                own.append(-math.log(truth if success else 1.0 - truth))
                inside.append(chance.low <= truth <= chance.high)
    assert float(np.mean(losses)) - float(np.mean(own)) < 0.02
    assert 0.8 < float(np.mean(inside)) < 0.99


def test_a_success_that_breaks_down_is_learned_anew() -> None:
    rng = np.random.default_rng(29)
    model, x = SuccessModel(1, [()] * 2), np.ones(1)
    for t in range(640):
        arm = t % 2
        model.add(arm, x, bool(rng.random() < (0.15 if t >= 500 and arm == 0 else 0.85)))
    assert model.shifts >= 1
    assert model.expect(0, x).probability < 0.35
    assert model.expect(1, x).probability > 0.75
