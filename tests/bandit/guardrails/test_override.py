"""Orders: what is refused changes nothing; what is ordered is kept, expires, ends, outlives the document."""

from typing import Any

import pytest

from nyx_learning import Bandit, BanditSpec, PolicySpec, Range, Strategy
from nyx_learning.bandit.guardrails import Override
from nyx_learning.errors import ArmUnknown, DocumentInvalid, GuardrailConflict, InputInvalid

WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}


@pytest.fixture
def bandit() -> Bandit:
    return Bandit(
        BanditSpec(
            "orders",
            [Strategy("a"), Strategy("b"), Strategy("c", {"n": [1, 2]})],
            policy=PolicySpec("uniform"),
            baseline_arm="a",
        )
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"rule": "pin", "arms": ["zz"]}, ArmUnknown),
        ({"rule": "pin", "arms": [7]}, ArmUnknown),
        ({"rule": "pin", "arms": 7}, InputInvalid),
        ({"rule": "pin"}, InputInvalid),
        ({"rule": "pin", "arms": ["a", "a"]}, InputInvalid),
        ({"rule": "kill_switch", "arms": ["a"]}, InputInvalid),
        ({"rule": "boost", "arms": ["a"]}, InputInvalid),
        ({"rule": "cap", "arms": ["a"]}, InputInvalid),
        ({"rule": "cap", "arms": ["a"], "share": 1.0}, InputInvalid),
        ({"rule": "cap", "arms": ["a"], "share": float("nan")}, InputInvalid),
        ({"rule": "pin", "arms": ["a"], "share": 0.5}, InputInvalid),
        ({"rule": "ramp", "arms": ["a"], "share": 0.5}, InputInvalid),
        ({"rule": "ramp", "arms": ["a"], "share": 0.5, "rows": 0}, InputInvalid),
        ({"rule": "pin", "arms": ["a"], "until": 99.0}, InputInvalid),
        ({"rule": "pin", "arms": ["a"], "until": float("inf")}, InputInvalid),
        ({"rule": "freeze", "until": 200.0}, InputInvalid),
        ({"rule": "pin", "arms": ["a"], "author": ""}, InputInvalid),
        ({"rule": "pin", "arms": ["a"], "reason": "two\nlines"}, InputInvalid),
        ({"rule": "exclude", "arms": ["a", "b", "c"]}, GuardrailConflict),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(
    bandit: Bandit, arguments: dict[str, Any], error: type[Exception]
) -> None:
    before = bandit.to_json()
    with pytest.raises(error) as raised:
        bandit.override(**{**WHO, "time": 100.0, **arguments})
    assert all(part in str(raised.value) for part in ("expected:", "found:", "fix:"))
    assert bandit.to_json() == before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("pin", "a"), ("pin", "b")),
        (("pin", "a"), ("exclude", "a")),
        (("exclude", "a"), ("pin", "a")),
        (("pin", "c(n=1)"), ("retire", "c")),
        (("exclude", ["a", "b"]), ("pause", "c")),
        (("exclude", "a"), ("exclude", "a")),
    ],
)
def test_orders_that_contradict_each_other(bandit: Bandit, first: Any, second: Any) -> None:
    order = bandit.override(*first, **WHO)
    with pytest.raises(GuardrailConflict, match=f"override {order.seq}"):
        bandit.override(*second, **WHO)
    bandit.revoke(order.seq, **WHO)
    assert bandit.override(*second, **WHO).seq == 3


def test_an_order_expires_at_the_decisions_time(bandit: Bandit) -> None:
    order = bandit.override("pin", "b", until=200.0, time=100.0, **WHO)
    assert bandit.select_arm({}, "within", time=199.9).reason == "guarded:pin"
    assert bandit.select_arm({}, "behind", time=200.0).reason == "policy"
    assert bandit.overrides(150.0) == [order]
    assert bandit.overrides(200.0) == []
    with pytest.raises(InputInvalid, match=r"expired at 200\.0"):
        bandit.revoke(order.seq, time=300.0, **WHO)
    assert bandit.override("pin", "a", time=200.0, **WHO).seq == 2  # an expired pin is no conflict
    with pytest.raises(InputInvalid, match="no such override"):
        bandit.revoke(17, **WHO)
    assert bandit.verify().ok


def test_what_is_frozen_out_is_stored_and_never_learned(bandit: Bandit) -> None:
    def rewards() -> list[int]:
        return [belief.rewards for belief in bandit.beliefs({})]

    early = bandit.select_arm({}, "early")
    bandit.update_reward(early, reward=0.5)
    learned = rewards()
    order = bandit.override("freeze", **WHO)
    late = bandit.select_arm({}, "late")
    bandit.update_reward(late, reward=0.25)
    bandit.update_reward(late, reward=0.75, corrects=0)
    bandit.learn_history([({}, "a", 0.5)])
    assert rewards() == learned
    bandit.revoke(order.seq, **WHO)
    bandit.retract("late")  # what never joined does not leave
    assert rewards() == learned
    bandit.retract("early")  # what joined before leaves, also what is corrected while frozen
    assert sum(rewards()) == 0
    bandit.update_reward(bandit.select_arm({}, "after"), reward=0.5)
    assert sum(rewards()) == 1
    assert bandit.verify().ok
    again = Bandit.from_json(bandit.to_json())
    assert again.to_json() == bandit.to_json()
    assert again.verify().ok


def test_the_document_keeps_orders_and_a_damaged_one_is_refused(bandit: Bandit) -> None:
    bandit.override("cap", "b", share=0.1, until=500.0, time=5.0, **WHO)
    bandit.select_arm({}, "one", time=6.0)
    text = bandit.to_json()
    again = Bandit.from_json(text)
    assert again.overrides() == bandit.overrides()
    assert again.select_arm({}, "two", time=7.0) == bandit.select_arm({}, "two", time=7.0)
    assert '"version":4' in text
    event = bandit.events[0]
    rule = {**event.consequence["guardrail"], "share": 3.0}
    with pytest.raises(DocumentInvalid):
        Override.of(type(event)(**{**_fields(event), "consequence": {"guardrail": rule}}))


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__slots__}


def test_a_space_takes_strategies_out_and_caps_nothing() -> None:
    space = Bandit(
        BanditSpec(
            "space",
            [Strategy("a", {"x": Range(0.0, 1.0)}), Strategy("b")],
            policy=PolicySpec("uniform"),
            baseline_arm="b",
        )
    )
    space.override("exclude", "a", **WHO)
    assert {space.select_arm({}, f"{i}").arm_id for i in range(20)} == {"b"}
    with pytest.raises(InputInvalid, match="listed arms"):
        space.override("cap", "b", share=0.1, **WHO)
    space.override("kill_switch", **WHO)
    assert space.select_arm({}, "last").reason == "kill_switch"
    assert space.verify().ok
