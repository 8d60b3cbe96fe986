# mypy: disable-error-code="arg-type"
from __future__ import annotations

from typing import Any

import pytest

from nyx_learning.bandit import BanditSpec, PolicySpec, Strategy
from nyx_learning.errors import NyxError, SpecInvalid

ARMS = [Strategy("a"), Strategy("b")]


def spec(policy: PolicySpec, **more: Any) -> BanditSpec:
    return BanditSpec("common", ARMS, policy=policy, **more)


def test_specs_that_use_none_of_them_are_written_as_before() -> None:
    assert PolicySpec("ucb1").to_dict() == {"name": "ucb1", "floor": 0.01, "parameters": {"alpha": 4.0}}


def test_there_and_back() -> None:
    policy = PolicySpec(
        "ucb1", discount=0.99, window=300.0, conservative=0.1, conservative_delta=0.02, alpha=1
    )
    document = policy.to_dict()
    assert document == {
        "name": "ucb1",
        "floor": 0.01,
        "parameters": {"alpha": 1.0},
        "discount": 0.99,
        "window": 300,
        "conservative": 0.1,
        "conservative_delta": 0.02,
    }
    assert PolicySpec.from_dict(document) == policy
    assert hash(PolicySpec.from_dict(document)) == hash(policy)
    assert policy != PolicySpec("ucb1", alpha=1)
    assert eval(repr(policy), {"PolicySpec": PolicySpec}) == policy  # noqa: S307 (repr is a constructor call)


def test_the_hash_of_a_bandit_knows_them() -> None:
    hashes = {
        spec(PolicySpec("ucb1", **common), baseline_arm="a", bucket_rows=10).spec_hash
        for common in ({}, {"discount": 0.99}, {"window": 300}, {"conservative": 0.1}, {"conservative": 0.2})
    }
    assert len(hashes) == 5


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("discount", (0, 1, -0.5, 1.5, float("nan"), "0.9", True)),
        ("window", (0, 1, -3, 2.5, float("inf"), float("nan"), "100", True)),
        ("conservative", (0, 1, -0.1, float("nan"), "x", False)),
        ("conservative_delta", (0, 1, 2, float("nan"))),
    ],
)
def test_values_outside_their_domain_are_refused(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(SpecInvalid) as caught:
            PolicySpec("ucb1", **{"conservative": 0.1, name: value})
        assert name in caught.value.what
        assert f"{name}=" in caught.value.fix


def fields(error: NyxError) -> tuple[str, str, str, str]:
    return error.what, error.expected, error.found, error.fix


def test_buckets_that_are_too_coarse_name_the_bucket_rows_to_choose() -> None:
    with pytest.raises(SpecInvalid) as caught:
        spec(PolicySpec("ucb1", window=1000))
    assert fields(caught.value) == (
        "the buckets of the sums are too coarse to forget by window=1000",
        "bucket_rows of at most 500, half the window",
        "bucket_rows=4096",
        "BanditSpec(…, bucket_rows=100)",
    )
    with pytest.raises(SpecInvalid) as caught:
        spec(PolicySpec("ucb1", discount=0.999), bucket_rows=501)
    assert "bucket_rows of at most 500, half of 1/(1 − discount)" in caught.value.expected
    assert "bucket_rows=100" in caught.value.fix
    # What the errors advise is accepted; so is any discount with buckets of one row.
    spec(PolicySpec("ucb1", window=1000), bucket_rows=500)
    spec(PolicySpec("ucb1", discount=0.999), bucket_rows=100)
    spec(PolicySpec("ucb1", discount=0.1), bucket_rows=1)


def test_a_conservative_policy_needs_a_baseline() -> None:
    with pytest.raises(SpecInvalid, match="needs a baseline arm"):
        spec(PolicySpec("ucb1", conservative=0.1))
    with pytest.raises(SpecInvalid, match="says nothing without"):
        PolicySpec("ucb1", conservative_delta=0.1)
    spec(PolicySpec("ucb1", conservative=0.1), baseline_arm="a")


def test_unknown_names_are_told_what_there_is() -> None:
    with pytest.raises(SpecInvalid) as caught:
        PolicySpec("ucb1", discnt=0.9)
    assert "alpha" in caught.value.expected
    assert "discount, window" in caught.value.expected
    assert caught.value.found == "['discnt']"
