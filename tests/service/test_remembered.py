"""What a process remembers of its decisions is bounded, and what it forgets is the oldest."""

import pytest

from nyx_learning import Bandit, BanditSpec, Strategy
from nyx_learning.service import remembered as module
from nyx_learning.service.remembered import Remembered


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    bandit = Bandit(BanditSpec("few", [Strategy("a"), Strategy("b")]))
    decisions = [bandit.select_arm({}, f"d-{i}") for i in range(100)]
    remembered = Remembered()
    for decision in decisions:
        remembered.add(decision, behind=True)
        assert remembered.get(decision.decision_id) == decision
        if decision.decision_id != "d-5" and remembered.get("d-5") is not None:
            remembered.add(decisions[5], behind=True)  # asked for again and again
    assert remembered.get("d-5") == decisions[5]
    assert [d.decision_id for d in decisions if remembered.get(d.decision_id)] == [
        "d-5",
        *(f"d-{i}" for i in range(91, 100)),
    ]
    assert [d.decision_id for d in decisions if remembered.is_behind(d.decision_id)] == [
        "d-5",
        *(f"d-{i}" for i in range(91, 100)),
    ]
    for decision in decisions:
        remembered.lose(decision)
    assert [d.decision_id for d in decisions if remembered.lost(d.decision_id)] == [
        f"d-{i}" for i in range(90, 100)
    ]
    assert not any(remembered.get(d.decision_id) or remembered.is_behind(d.decision_id) for d in decisions)
