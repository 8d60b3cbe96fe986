"""Specs of rewards: what is refused, what survives JSON, and the versions that are pinned."""

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest

from nyx_learning.errors import DocumentInvalid, SpecInvalid
from nyx_learning.rewards import (
    Gate,
    Outcome,
    Reward,
    RewardSpec,
    WeightProfile,
    price,
)


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": {}},
        {"weights": {"speed": 0.0}},
        {"weights": {"speed": -1.0, "success": 2.0}},
        {"weights": {"speed": float("nan")}},
        {"weights": {"fun": 1.0}},
        {"weights": {"speed": 1e-12}},
        {"weights": [1, 2]},
        {"mean": "harmonic"},
        {"late": "maybe"},
        {"aggregate": "sum"},
        {"aggregates": {"fun": "mean"}},
        {"aggregates": {"user_feedback": "sum"}},
        {"speed_power": 3},
        {"default": 1.5},
        {"window_s": -1.0},
        {"reference_time_s": 0.0},
        {"reference_time_s": float("inf")},
        {"reference_time_s": {("coding",): 1.0}},
        {"reference_by": (), "reference_time_s": 1.0},
        {"complexity_factors": {"simple": 0.0}},
        {"gates": (1,)},
        {"profiles": "x"},
    ],
)
def test_bad_specs_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SpecInvalid):
        RewardSpec(**fields)


def test_bad_gates_and_profiles_are_refused() -> None:
    with pytest.raises(SpecInvalid):
        Gate("fun", 0.5, 0.5)
    with pytest.raises(SpecInvalid):
        Gate("success", 1.5, 0.5)
    with pytest.raises(SpecInvalid):
        WeightProfile({"a": [1]}, {"speed": 1.0})  # type: ignore[dict-item]
    with pytest.raises(SpecInvalid):
        WeightProfile({"a": "x"}, {"speed": 0.0})


FULL = RewardSpec(
    weights={"success": 2, "speed": 1},
    mean="geometric",
    profiles=(WeightProfile({"task_type": "coding", "urgent": True}, {"speed": 1.0}),),
    gates=(Gate("success", 0.5, 0.2),),
    reference_by=("task_type",),
    reference_time_s={"coding": 10, "*": 20.0},
    reference_tokens=1000,
    complexity_factors={"simple": 0.5},
    speed_power=2,
    window_s=60,
    default=0.1,
    late="log",
    aggregate="mean",
    aggregates={"duration_s": "max"},
)


def test_a_spec_survives_json_and_pickle() -> None:
    for spec in (RewardSpec(), FULL):
        again = RewardSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
        assert again == spec
        assert again.version == spec.version
        assert pickle.loads(pickle.dumps(spec)) == spec
        assert hash(again) == hash(spec)


def test_damaged_documents_of_specs_are_refused() -> None:
    good = FULL.to_dict()
    bad_ones: list[Any] = [
        {**good, "format": 2},
        {**good, "fun": 1},
        {**good, "gates": [{"x": 1}]},
        {**good, "gates": 3},
        [],
    ]
    for bad in bad_ones:
        with pytest.raises(DocumentInvalid):
            RewardSpec.from_dict(bad)


def test_the_version_names_the_number_and_not_the_lifecycle() -> None:
    plain = RewardSpec()
    assert RewardSpec(window_s=5.0, default=0.3, late="log", aggregate="max").version == plain.version
    assert (
        RewardSpec(weights={"usefulness": 0.15, "success": 0.3, "quality": 0.3, "speed": 0.25}).version
        == plain.version
    )
    others = [
        RewardSpec(mean="geometric"),
        RewardSpec(speed_power=2),
        RewardSpec(reference_time_s=1.0),
        RewardSpec(gates=(Gate("success", 0.5, 0.5),)),
        RewardSpec(weights={"success": 1.0}),
        FULL,
    ]
    assert len({spec.version for spec in [plain, *others]}) == len(others) + 1


def test_versions_and_rewards_are_pinned() -> None:
    context = {"task_type": "coding", "urgent": False, "complexity": "simple"}
    outcome = Outcome(success=True, duration_s=7.0, retries=1, error_codes=("e1", "e2"), tokens=1234)
    reward = price(outcome, FULL, context=context)
    assert RewardSpec().version == "ed8881c9d5f24d847906c6f57c69f719"
    assert FULL.version == "69dc4ecaaa904906e40b89676350a49a"
    assert reward.value.hex() == "0x1.3ffa186e1e6f4p-1"
    assert reward.reference_version == "28060397c359ff16a7fa7050abcbfd63"


def test_another_process_with_another_hash_seed_computes_the_same() -> None:
    code = (
        "from nyx_learning.rewards import *\n"
        "s = RewardSpec(weights={'quality': .3, 'speed': .7}, mean='geometric', reference_time_s=3.0,"
        " complexity_factors={'b': 2.0, 'a': 3.0})\n"
        "r = price(Outcome(success=True, duration_s=1.1, quality=.37), s, context={'complexity': 'a'})\n"
        "print(s.version, r.reference_version, r.value.hex())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "4242")
    }  # fmt: skip
    assert len(printed) == 1


def test_pricing_loads_neither_the_compiler_nor_scipy() -> None:
    code = (
        "import sys, nyx_learning.rewards\n"
        "print([m for m in ('numba', 'scipy', 'asyncio', 'pandas', 'river') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_reward_survives_json_and_pickle() -> None:
    reward = price(Outcome(success=True, duration_s=3.0), FULL, context={"task_type": "coding"})
    assert Reward.from_dict(json.loads(json.dumps(reward.to_dict()))) == reward
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert len({reward, Reward.from_dict(reward.to_dict())}) == 1
