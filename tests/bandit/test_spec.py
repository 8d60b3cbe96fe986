"""What a bandit may be; its hash; its document."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, PolicySpec, RewardSpec, Strategy
from nyx_learning.bandit.policies import CATALOG
from nyx_learning.errors import ArmUnknown, DocumentInvalid, InputInvalid, SpecInvalid

PINNED = "60d2e18ce61fba5a689b58e2254a36a7"


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a\n"},
        {"name": "x" * 201},
        {"name": None},
        {"name": "\ud800"},
        {"seed": -1},
        {"seed": 1 << 64},
        {"seed": 10**5000},
        {"seed": 1.0},
        {"seed": True},
        {"seed": None},
        {"strategies": []},
        {"strategies": "direct"},
        {"strategies": ["direct"]},
        {"strategies": {Strategy("a")}},
        {"strategies": None},
        {"strategies": [Strategy("direct"), Strategy("direct")]},
        {"context": {"task": "categorical"}},
        {"context": None},
        {"reward": {"speed": 1}},
        {"reward": None},
        {"policy": None},
        {"policy": CATALOG},
        {"baseline_arm": 3},
        {"baseline_arm": "nobody"},
        {"baseline_arm": "parallel"},
        {"baseline_arm": None, "holdout": 0.1},
        {"holdout": 1.0},
        {"holdout": -0.1},
        {"holdout": math.nan},
        {"holdout": True},
        {"holdout": "0.1"},
        {"bucket_rows": 0},
        {"bucket_rows": 2.0},
        {"bucket_rows": 1 << 41},
        {"bucket_rows": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_unusable_field_is_refused(
    change: dict[str, Any], spec_of: Callable[..., BanditSpec], four_parts: Callable[..., None]
) -> None:
    good = {f: getattr(spec_of(), f) for f in BanditSpec.__dataclass_fields__}
    BanditSpec(**good)
    with pytest.raises((SpecInvalid, ArmUnknown)) as error:
        BanditSpec(**{**good, **change})
    four_parts(error)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("UCB1", {}),
        ("", {}),
        (None, {}),
        ([], {}),
        ("ucb1", {"floor": -0.1}),
        ("ucb1", {"floor": 1.1}),
        ("ucb1", {"floor": math.nan}),
        ("ucb1", {"floor": True}),
        ("ucb1", {"floor": "0"}),
        ("ucb1", {"floor": 10**5000}),
        ("ucb1", {"beta": 1.0}),
        ("ucb1", {"alpha": math.nan}),
        ("ucb1", {"alpha": -1}),
        ("ucb1", {"alpha": "1"}),
        ("ucb1", {"alpha": True}),
        ("ucb1", {"alpha": None}),
        ("uniform", {"epsilon": 0.1}),
        ("fixed", {"arm": 3}),
        ("epsilon_greedy", {"epsilon": 1.5}),
        ("thompson_beta", {"a": 0.0}),
        ("hier_ts", {"noise": 0.0}),
        ("hier_ts", {"sd_context": math.inf}),
    ],
)
def test_each_unusable_policy_is_refused(name: Any, fields: Any, four_parts: Callable[..., None]) -> None:
    with pytest.raises(SpecInvalid) as error:
        PolicySpec(name, **fields)
    four_parts(error)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_policy_writes_out_all_its_parameters(name: str) -> None:
    required: dict[str, Any] = {key: p.default for key, p in CATALOG[name].parameters.items() if p.required}
    spec = PolicySpec(name, **required)
    assert spec.to_dict()["parameters"].keys() == CATALOG[name].parameters.keys()
    again = PolicySpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert (again, hash(again), again.to_dict()) == (spec, hash(spec), spec.to_dict())
    assert CATALOG[name].purpose


def test_a_policy_without_its_arm_is_refused(spec_of: Callable[..., BanditSpec]) -> None:
    from nyx_learning import Bandit

    with pytest.raises(SpecInvalid, match="does not know which arm"):
        Bandit(spec_of("fixed", baseline_arm=None))
    with pytest.raises(ArmUnknown):
        Bandit(spec_of("fixed", parameters={"arm": "nobody"}))


def test_to_dict_and_back(spec_of: Callable[..., BanditSpec]) -> None:
    for name in CATALOG:
        spec = spec_of(name, holdout=0.25, bucket_rows=10, reward=RewardSpec(weights={"success": 1.0}))
        again = BanditSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
        assert again == spec
        assert again.to_dict() == spec.to_dict()
        assert again.spec_hash == spec.spec_hash
        assert again.arms.units == spec.arms.units


def test_every_change_changes_the_hash(spec_of: Callable[..., BanditSpec]) -> None:
    specs = [
        spec_of(),
        spec_of(name="other"),
        spec_of(seed=12),
        spec_of(floor=0.02),
        spec_of("ucb1"),
        spec_of("ucb1", parameters={"alpha": 1.0}),
        spec_of(strategies=[Strategy("direct")]),
        spec_of(strategies=[Strategy("direct"), Strategy("other")]),
        spec_of(context=ContextSchema()),
        spec_of(context=ContextSchema(task=Categorical(["a"]))),
        spec_of(baseline_arm=None),
        spec_of(baseline_arm="recursive(depth=1)"),
        spec_of(holdout=0.1),
        spec_of(bucket_rows=10),
        spec_of(reward=RewardSpec(weights={"success": 1.0})),
    ]
    assert len({spec.spec_hash for spec in specs}) == len(specs)
    assert spec_of("ucb1", parameters={"alpha": 4}).spec_hash == spec_of("ucb1").spec_hash


def test_the_hash_is_pinned_and_the_same_in_every_process(spec_of: Callable[..., BanditSpec]) -> None:
    # Every stored decision carries it: a release that changes it orphans old decisions from their spec.
    content = {key: value for key, value in spec_of("ucb1").to_dict().items() if key != "reward"}
    code = (
        "import json, sys; from nyx_learning import BanditSpec, RewardSpec;"
        "from nyx_learning.canonical import digest;"
        "document = json.load(sys.stdin); document['reward'] = RewardSpec().to_dict();"
        "spec = BanditSpec.from_dict(document); rest = spec.to_dict(); del rest['reward'];"
        "print(digest(rest), spec.spec_hash)"
    )
    for seed in ("0", "1", "random"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=json.dumps(content),
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.split() == [PINNED, spec_of("ucb1").spec_hash]


def _damages(document: dict[str, Any]) -> list[Any]:
    damaged: list[Any] = [None, [], "spec", 3, {}]
    for key in document:
        less = copy.deepcopy(document)
        del less[key]
        damaged.append(less)
        values: list[Any] = [
            None if key != "baseline_arm" else [],
            [],
            {},
            3.5,
            "x",
            [1],
            ["x"],
            {"x": 1},
            [[]],
            [{}],
        ]
        for value in values:
            changed = copy.deepcopy(document)
            changed[key] = value
            damaged.append(changed)
    changes: list[tuple[tuple[Any, ...], Any]] = [
        (("strategies", 0, "name"), None),
        (("strategies", 1, "parameters"), [1]),
        (("strategies", 1, "parameters"), {"workers": None}),
        (("policy", "parameters"), None),
        (("policy", "parameters"), {"alpha": None}),
        (("policy", "parameters"), {"floor": 1}),
        (("policy", "name"), 3),
        (("context", 0, "levels"), "x"),
        (("context", 0), None),
    ]
    for path, value in changes:
        changed = copy.deepcopy(document)
        place: Any = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        damaged.append(changed)
    return damaged


def test_damaged_documents_are_refused(spec_of: Callable[..., BanditSpec]) -> None:
    document = spec_of("ucb1").to_dict()
    survived = []
    for damaged in _damages(json.loads(json.dumps(document))):
        with suppress(InputInvalid):  # a NyxError with four parts; anything else fails the test
            survived.append(BanditSpec.from_dict(damaged).to_dict())
    # Some changes are specs in their own right (a name "x").
    assert len(survived) < 5
    for other in survived:
        assert BanditSpec.from_dict(other).to_dict() == other


def test_another_format_is_named(spec_of: Callable[..., BanditSpec], four_parts: Callable[..., None]) -> None:
    with pytest.raises(DocumentInvalid, match="format 2") as error:
        BanditSpec.from_dict({**spec_of().to_dict(), "format": 2})
    four_parts(error)
