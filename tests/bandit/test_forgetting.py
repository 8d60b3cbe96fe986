from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import Bandit, BanditSpec, Learner, PolicySpec, Strategy
from nyx_learning.bandit.forgetting import Forgetting
from nyx_learning.bandit.policies import CATALOG
from nyx_learning.bandit.policies.catalog import example_parameters
from nyx_learning.bandit.sums import Sums
from nyx_learning.features import ContextSchema, Flag, Numeric

ONE = 1 << 16
FORGETTING = [{"discount": 0.97}, {"window": 60}, {"discount": 0.99, "window": 45}, {"idle_discount": 0.95}]


def filled(rows: int, bucket_rows: int) -> tuple[Sums, list[tuple[int, int, list[int], int]]]:
    """Sums over two columns, and the rows (arm, seq, φ, reward) that made them."""
    rng = np.random.default_rng(3)
    sums, log = Sums(3, 2, bucket_rows), []
    for seq in range(1, rows + 1):
        row = (int(rng.integers(3)), seq, [ONE, int(rng.integers(-ONE, ONE))], int(rng.integers(0, ONE)))
        sums.absorb(row[0], 0, row[1], row[2], row[3])
        log.append(row)
    sums.seq = rows
    return sums, log


def test_by_hand() -> None:
    # Buckets of 2 rows; one arm; rewards 1, 0, 1, 1 as rows 1 … 4. Row 1 is in bucket 0, rows 2 and 3 in
    # bucket 1, row 4 in bucket 2. γ = ½: weights ¼² = 1/16, ¼, 1.
    sums = Sums(1, 1, 2)
    for seq, reward in enumerate([ONE, 0, ONE, ONE], start=1):
        sums.absorb(0, 0, seq, [ONE], reward)
    sums.seq = 4
    forgetting = Forgetting(sums, 0.5, None)
    assert forgetting.refresh() == [0]
    assert forgetting.reading[0, :2].tolist() == [1 / 16 + 2 / 4 + 1, 1 / 16 + 1 / 4 + 1]
    # A window of 4 rows is two buckets: rows 2, 3, 4.
    windowed = Forgetting(sums, None, 4)
    windowed.refresh()
    assert windowed.reading[0, :2].tolist() == [3.0, 2.0]


@pytest.mark.parametrize("bucket_rows", [1, 7, 20])
@pytest.mark.parametrize(("discount", "window"), [(0.97, None), (None, 60), (0.99, 45)])
def test_against_weights_of_single_rows(discount: float | None, window: int | None, bucket_rows: int) -> None:
    sums, log = filled(200, bucket_rows)
    forgetting = Forgetting(sums, discount, window)
    forgetting.refresh()
    expected = np.zeros((3, 8))
    newest = 200 // bucket_rows
    for arm, seq, phi, reward in log:
        age = newest - seq // bucket_rows
        weight = 1.0 if discount is None else discount ** (bucket_rows * age)
        if window is not None and age >= window // bucket_rows:
            weight = 0.0
        x, r = np.array(phi) / ONE, reward / ONE
        expected[arm] += weight * np.array([1, r, r * r, *(x * r), *np.outer(x, x)[np.tril_indices(2)]])
    assert forgetting.reading == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("common", FORGETTING)
def test_incremental_equals_fresh_bit_for_bit_and_rows_can_be_taken_back(common: dict[str, Any]) -> None:
    arguments = [common.get(name) for name in ("discount", "window", "idle_discount", "past_epochs")]
    sums, log = filled(0, 10)
    kept, _ = filled(0, 10)
    walking = Forgetting(sums, *arguments)
    _, log = filled(150, 10)
    for arm, seq, phi, reward in log:
        sums.absorb(arm, 0, seq, phi, reward)
        kept.absorb(arm, 0, seq, phi, reward)
        sums.seq = kept.seq = seq
        if seq % 3 == 0:
            walking.refresh()
            assert not walking.due
            fresh = Forgetting(kept, *arguments)
            fresh.refresh()
            assert walking.reading.tobytes() == fresh.reading.tobytes()
    arm, seq, phi, reward = log[139]
    sums.absorb(arm, 0, seq, phi, reward, -1)
    assert walking.due
    assert walking.refresh() == [arm]
    never = Sums(3, 2, 10)
    for row in log[:139] + log[140:]:
        never.absorb(row[0], 0, row[1], row[2], row[3])
    never.seq = 150
    without = Forgetting(never, *arguments)
    without.refresh()
    assert walking.reading.tobytes() == without.reading.tobytes()


def test_idle_arms_fade_by_hand() -> None:
    # Buckets of 2 rows, two arms. Row 1: arm 0; rows 2, 3: arms 0 and 1; row 4: arm 1. γ = ½.
    # Bucket 0 holds row 1 (and number 0, which is none): 1 of 2 is of arm 0, so it fades by ½ there; bucket 1
    # has one row of each: another ½. Row 1 weighs ¼, row 2 ½; for arm 1 row 3 weighs ½, row 4 1.
    sums = Sums(2, 1, 2)
    for seq, (arm, reward) in enumerate([(0, ONE), (0, 0), (1, ONE), (1, 0)], start=1):
        sums.absorb(arm, 0, seq, [ONE], reward)
    sums.seq = 4
    forgetting = Forgetting(sums, None, None, idle_discount=0.5)
    forgetting.refresh()
    assert forgetting.reading[:, :2].tolist() == [[0.75, 0.25], [1.5, 0.5]]


def test_an_arm_that_is_played_all_the_time_is_remembered() -> None:
    sums = Sums(2, 1, 10)
    for seq in range(1, 100):
        sums.absorb(0 if seq >= 10 else 1, 0, seq, [ONE], ONE)
    sums.seq = 99
    forgetting = Forgetting(sums, None, None, idle_discount=0.9)
    forgetting.refresh()
    assert forgetting.reading[0, 0] == 90.0
    assert forgetting.reading[1, 0] == pytest.approx(9 * 0.9**81, rel=1e-12)


def test_past_epochs_are_read_with_a_weight() -> None:
    sums = Sums(1, 1, 4)
    for seq, reward in ((1, ONE), (2, ONE), (3, 0)):
        sums.absorb(0, sums.epochs[0], seq, [ONE], reward)
        sums.seq = seq
        sums.begin(0, seq, seq + 1)
    sums.absorb(0, 3, 4, [ONE], ONE)
    sums.seq = 4
    forgetting = Forgetting(sums, None, None, past_epochs=0.5)
    forgetting.refresh()
    assert forgetting.reading[0, :2].tolist() == [1 + 1 / 2 + 1 / 4 + 1 / 8, 1 + 0 + 1 / 4 + 1 / 8]
    sums.absorb(0, 0, 1, [ONE], ONE, -1)  # a retraction in an old epoch is seen too
    assert forgetting.due
    forgetting.refresh()
    assert forgetting.reading[0, :2].tolist() == [1 + 1 / 2 + 1 / 4, 1 + 0 + 1 / 4]


def test_restored_blocks_tell_which_epochs_have_begun() -> None:
    sums = Sums(1, 1, 4)
    sums.absorb(0, 0, 1, [ONE], ONE)
    key = sums.begin(0, 2, 5)
    assert key == (0, 2, 1)
    for order in (sorted(sums.blocks), sorted(sums.blocks, reverse=True)):
        again = Sums(1, 1, 4)
        for name in order:
            again.restore(name, sums.blocks[name].copy())
        assert again.epochs == [2]
        assert again.totals[0, 0] == 0


def test_a_new_bucket_makes_all_arms_due_even_without_rewards() -> None:
    sums, _ = filled(29, 10)
    forgetting = Forgetting(sums, 0.9, None)
    assert forgetting.refresh() == [0, 1, 2]
    before = forgetting.reading.copy()
    assert not forgetting.due
    sums.seq = 30  # a row that teaches no arm anything
    assert forgetting.due
    assert forgetting.refresh() == [0, 1, 2]
    assert forgetting.reading == pytest.approx(before * 0.9**10, rel=1e-12)


def test_weights_below_2_to_the_minus_60_are_left_out() -> None:
    sums = Sums(1, 1, 1)
    sums.absorb(0, 0, 1, [ONE], ONE)
    forgetting = Forgetting(sums, 0.5, None)
    for seq, expected in ((61, 2.0**-60), (62, 0.0)):
        sums.seq = seq
        forgetting.refresh()
        assert forgetting.reading[0, 0] == expected


def run(name: str, common: dict[str, Any], rounds: int) -> Bandit:
    bandit = Bandit(
        BanditSpec(
            "forgetful",
            [Strategy("a"), Strategy("b", {"n": [1, 2]})],
            context=ContextSchema(f=Flag(), x=Numeric(0, 1)),
            policy=PolicySpec(name, **example_parameters(name), **common),
            baseline_arm="a",
            bucket_rows=10,
            seed=3,
        )
    )
    for i in range(rounds):
        decision = bandit.select_arm({"f": i % 2 == 0, "x": (i % 5) / 5})
        bandit.update_reward(decision, reward=[0.2, 0.5, 0.9][(i + decision.arm) % 3])
    return bandit


@pytest.mark.parametrize("name", sorted(CATALOG))
@pytest.mark.parametrize("common", FORGETTING)
def test_every_policy_reads_what_is_left_and_can_be_verified(name: str, common: dict[str, Any]) -> None:
    bandit = run(name, common, 90)
    assert bandit.verify().ok
    # A learner over the same sums decides the same, whatever it has seen before.
    fresh = Learner(
        bandit.spec,
        Sums.from_dict(
            bandit.learner.sums.to_dict(), 3, bandit.spec.context.dimension, 10, bandit.learner.sums.further
        ),
    )
    context = {"f": True, "x": 0.4}
    assert fresh.decide(context, "next") == bandit.learner.decide(context, "next")


def test_forgetting_changes_what_the_arms_are_worth() -> None:
    plain = Bandit(BanditSpec("shift", [Strategy("a"), Strategy("b")], policy=PolicySpec("kl_maillard")))
    windowed = Bandit(
        BanditSpec(
            "shift",
            [Strategy("a"), Strategy("b")],
            policy=PolicySpec("kl_maillard", window=100),
            bucket_rows=10,
        )
    )
    for bandit in (plain, windowed):
        for i in range(600):
            decision = bandit.select_arm({})
            bandit.update_reward(decision, reward=float(decision.arm == (0 if i < 400 else 1)))
    assert windowed.select_arm({}).pmf[1] > 0.9 * 2**32 > plain.select_arm({}).pmf[1]
