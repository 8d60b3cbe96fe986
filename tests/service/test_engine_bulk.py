"""Many at once: in order, in few statements, and one bad item refuses either all of them or only itself."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import ArmRequest, BanditSpec, Outcome, RewardReport
from nyx_learning.errors import (
    ArmUnknown,
    ContextInvalid,
    DecisionConflict,
    DecisionUnknown,
    InputInvalid,
    NyxError,
    OutcomeInvalid,
    Overloaded,
    RewardConflict,
)
from nyx_learning.persistence import store as store_module
from nyx_learning.persistence.queries import query

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the statements that the store sends."""
    names: list[str] = []

    def noted(name: str) -> str:
        names.append(name)
        return query(name)

    monkeypatch.setattr(store_module, "query", noted)
    return names


def requests(contexts: Contexts, count: int) -> list[ArmRequest]:
    return [ArmRequest(contexts(i), f"wf-{i}") for i in range(count)]


async def test_in_order_and_in_few_statements(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, sent: list[str]
) -> None:
    engine, alone = await open_engine(spec), await open_engine(spec)
    sent.clear()
    decisions = await engine.select_arms(requests(contexts, 300))
    assert [d.decision_id for d in decisions] == [f"wf-{i}" for i in range(300)]
    assert [d.mode for d in decisions] == ["normal"] * 300
    for i in (0, 7, 299):
        assert await alone.select_arm(contexts(i), f"wf-{i}") == decisions[i]
    assert sent.count("insert_decisions") == 1 + 3  # and those of the other engine
    again = await engine.select_arms(requests(contexts, 300))
    assert again == decisions
    sent.clear()
    reports = [RewardReport(d, reward=i % 5 / 4) for i, d in enumerate(decisions)]
    receipts = await engine.update_rewards(reports)
    assert [r.decision_id for r in receipts] == [d.decision_id for d in decisions]
    assert [r.reward for r in receipts] == [i % 5 / 4 for i in range(300)]
    assert all(r.applied for r in receipts)
    assert len([name for name in sent if name.startswith("append")]) <= 3
    assert not any(r.applied for r in await engine.update_rewards(reports))
    assert await sql("SELECT count(*), max(seq) FROM nyx.log") == [(300, 300)]
    assert (await engine.verify()).ok


async def test_one_bad_request_refuses_all(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    good = requests(contexts, 5)
    for bad, kind in (
        (ArmRequest({"task": "code"}), ContextInvalid),
        (ArmRequest(contexts(0), eligible=["nowhere"]), ArmUnknown),
        (ArmRequest(contexts(0), "\x00"), InputInvalid),
        (contexts(0), InputInvalid),
        (ArmRequest(contexts(1), "wf-0"), DecisionConflict),
    ):
        with pytest.raises(kind, match="item 5"):
            await engine.select_arms([*good, bad])
    assert await sql("SELECT count(*) FROM nyx.decision_key") == [(0,)]
    assert await engine.select_arms([]) == []


async def test_one_bad_report_refuses_all(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decisions = await engine.select_arms(requests(contexts, 4))
    good = [RewardReport(d, Outcome(success=True)) for d in decisions[:3]]
    for bad, kind in (
        (RewardReport(decisions[3], reward=1.5), OutcomeInvalid),
        (RewardReport(decisions[3]), OutcomeInvalid),
        (RewardReport("unknown", reward=0.5, source=7), InputInvalid),  # type: ignore[arg-type]
        (RewardReport("", reward=0.5), InputInvalid),
        (decisions[3], InputInvalid),
    ):
        with pytest.raises(kind, match="item 3"):
            await engine.update_rewards([*good, bad])
    with pytest.raises(InputInvalid, match="errors"):
        await engine.update_rewards(good, errors="ignore")
    assert await sql("SELECT count(*) FROM nyx.log") == [(0,)]


async def test_what_is_stored_refuses_only_its_own_report(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decisions = await engine.select_arms(requests(contexts, 4))
    await engine.update_reward(decisions[1], reward=0.25)
    reports = [
        RewardReport(decisions[0], reward=0.5),
        RewardReport(decisions[1], reward=0.5),
        RewardReport("unknown", reward=0.5),
        RewardReport("wf-3", reward=0.5),
    ]
    told: list[Any] = await engine.update_rewards(reports, errors="return")
    assert [type(item) for item in told[1:3]] == [RewardConflict, DecisionUnknown]
    assert [item.applied for item in (told[0], told[3])] == [True, True]
    with pytest.raises(RewardConflict):
        await engine.update_rewards(reports)
    assert await sql("SELECT count(*) FROM nyx.log") == [(3,)]


async def test_ids_are_looked_up_at_once(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, sent: list[str]
) -> None:
    """As another process does, which has not made the decisions."""
    one, two = await open_engine(spec), await open_engine(spec)
    await one.select_arms(requests(contexts, 50))
    sent.clear()
    receipts = await two.update_rewards([RewardReport(f"wf-{i}", reward=0.5) for i in range(50)])
    assert all(r.applied for r in receipts)
    assert sent.count("decisions_by_id") == 1


async def test_a_full_queue_refuses_or_waits(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    patient = await open_engine(spec, queue_limit=10, deadline_s=30.0)
    decisions = await patient.select_arms(requests(contexts, 100))
    assert len(await patient.update_rewards([RewardReport(d, reward=0.5) for d in decisions])) == 100
    strict = await open_engine(spec, queue_limit=10, when_full="refuse", deadline_s=30.0)
    told = await asyncio.gather(
        *(strict.select_arm(contexts(i), f"new-{i}") for i in range(100)), return_exceptions=True
    )
    refused = [error for error in told if isinstance(error, Overloaded)]
    assert refused
    assert not [error for error in told if isinstance(error, NyxError) and error not in refused]
    for name, value in (("queue_limit", 0), ("when_full", "never")):
        with pytest.raises(InputInvalid, match=name):
            await open_engine(spec, **{name: value})
