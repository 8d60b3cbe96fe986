"""Reward windows close by themselves, by one server of all, whoever opened the bandit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from nyx_learning import BanditSpec, LearningEngine, RewardSpec
from nyx_learning.errors import DatabaseRefused
from nyx_learning.persistence.store import Store
from nyx_learning.service.http import windows
from nyx_learning.service.http.windows import Windows, WindowsStatus
from nyx_learning.service.retaining import expire_stored

from .conftest import Serve

Start = Callable[..., Awaitable[FastAPI]]
OFTEN_S = 0.02
SHORT = RewardSpec(weights={"success": 1}, window_s=0.0, default=0.25)
AT_HAND: dict[str, Any] = {"task": "code", "size": 1.0}


@pytest.fixture
def closing(spec: BanditSpec) -> BanditSpec:
    """A bandit whose windows have passed at once."""
    return replace(spec, name="closing", reward=SHORT)


async def until(found: Callable[[], Any]) -> Any:
    """What ``found`` says, as soon as it says something."""
    for _ in range(2000):
        if told := found():
            return told
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


def windows_of(app: FastAPI) -> WindowsStatus:
    closer: Windows = app.state.windows
    return closer.status()


async def states(sql: Any) -> dict[str, str]:
    return dict(await sql("SELECT decision_id, state FROM nyx.log WHERE kind <> 'adoption' ORDER BY seq"))


async def test_a_decision_nobody_reports_on_gets_the_default_in_an_open_bandit(
    serve: Serve, closing: BanditSpec
) -> None:
    client = await serve(close_windows_s=OFTEN_S)
    (await client.post("/v1/bandits", json=closing.to_dict())).raise_for_status()
    app: Any = client._transport.app  # type: ignore[attr-defined]
    for i in range(3):
        asked = {"context": AT_HAND, "decision_id": f"d{i}"}
        (await client.post("/v1/bandits/closing/decisions", json=asked)).raise_for_status()
    await until(lambda: windows_of(app).closed == 3)
    stored = (await client.get("/v1/decisions/d0")).json()
    assert (stored["state"], stored["reward"]) == ("defaulted", 0.25)
    assert app.state.bandits.opened["closing"].state_seq == 3  # learned here at once
    told = (await client.get("/metrics")).text
    assert 'nyx_windows_closed_total{bandit="closing"} 3.0' in told
    assert 'nyx_windows_looked_timestamp_seconds{bandit="closing"}' in told
    assert 'nyx_server_problem{code="windows_open"} 0.0' in told
    health = (await client.get("/health/learning")).json()["server"]
    assert health["problems"] == []
    assert (health["windows"]["leading"], health["windows"]["closed"]) == (True, 3)
    assert health["windows"]["looked_age_s"] >= 0.0


async def test_bandits_that_no_server_has_open_are_closed_too_and_others_left_alone(
    applications: Start, spec: BanditSpec, closing: BanditSpec, database_dsn: str, sql: Any
) -> None:
    for each in (spec, closing):
        engine = await LearningEngine.open(each, database_dsn, deadline_s=60.0)
        for number in range(2):
            await engine.select_arm(AT_HAND, f"{each.name} {number}")
        if each is closing:
            await engine.update_reward("closing 0", reward=1.0)
        await engine.close()
    app = await applications(close_windows_s=OFTEN_S)
    await until(lambda: windows_of(app).closed)
    assert app.state.bandits.opened == {}
    assert await states(sql) == {"closing 0": "final", "closing 1": "defaulted"}


async def test_one_leads_and_another_takes_over_when_it_ends(applications: Start) -> None:
    apps = [await applications(close_windows_s=OFTEN_S) for _ in range(2)]
    await until(lambda: any(windows_of(app).leading for app in apps))
    for _ in range(20):
        assert sum(windows_of(app).leading for app in apps) == 1
        await asyncio.sleep(OFTEN_S)
    first = next(app for app in apps if windows_of(app).leading)
    (other,) = (app for app in apps if app is not first)
    first.state.windows.stop()
    await until(lambda: windows_of(other).leading)
    await until(lambda: not windows_of(first).leading)


async def test_a_leader_that_lost_its_connection_leads_no_more_and_comes_back(
    applications: Start, sql: Any
) -> None:
    app = await applications(close_windows_s=OFTEN_S)
    await until(lambda: windows_of(app).leading)
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nyx-windows'"
    assert await sql(killed) == [(True,)]
    await until(lambda: windows_of(app).problem)
    await until(lambda: windows_of(app).leading and not windows_of(app).problem)


async def test_nothing_closes_where_it_is_turned_off(
    applications: Start, closing: BanditSpec, database_dsn: str, sql: Any
) -> None:
    engine = await LearningEngine.open(closing, database_dsn, deadline_s=60.0)
    await engine.select_arm(AT_HAND, "d")
    await engine.close()
    app = await applications(close_windows_s=0.0)
    task = next(t for t in asyncio.all_tasks() if t.get_name() == "nyx-windows")
    await task  # it has nothing to do
    assert windows_of(app) == WindowsStatus(0.0, False, 0, None, None)
    assert await states(sql) == {}


@pytest.mark.parametrize("unforeseen", [False, True])
async def test_what_fails_with_one_bandit_is_told_and_holds_up_no_other(
    applications: Start,
    closing: BanditSpec,
    database_dsn: str,
    monkeypatch: Any,
    *,
    unforeseen: bool,
) -> None:
    broken = replace(closing, name="broken")
    for each in (broken, closing):
        engine = await LearningEngine.open(each, database_dsn, deadline_s=60.0)
        await engine.select_arm(AT_HAND, f"in {each.name}")
        await engine.close()

    async def refused(store: Store, now: float) -> int:
        if store.bandit == "broken" and unforeseen:
            raise OverflowError(f"nobody thought of it, at {now:.0f}")
        if store.bandit == "broken":
            raise DatabaseRefused("no", expected="rights", found=f"none at {now:.0f}", fix="grant them")
        return await expire_stored(store, now)

    monkeypatch.setattr(windows, "expire_stored", refused)
    app = await applications(close_windows_s=OFTEN_S)
    await until(lambda: windows_of(app).closed == 1)
    assert "'broken'" in await until(lambda: windows_of(app).problem)


async def test_what_waits_for_the_database_comes_before_what_closes(
    applications: Start, closing: BanditSpec, monkeypatch: Any
) -> None:
    app = await applications(close_windows_s=0.0)
    engine = await app.state.bandits.put(closing.to_dict())
    await engine.select_arm(AT_HAND, "d")
    health = engine.health()
    waits = replace(health, spool=replace(health.spool, records=1))
    closer = Windows(app.state.bandits, OFTEN_S, lambda *_: None)
    monkeypatch.setattr(engine, "health", lambda: waits)
    assert await closer._close("closing") is None
    monkeypatch.undo()
    assert await closer._close("closing") == 1


async def test_whatever_keeps_one_from_leading_is_told_and_tried_again(
    applications: Start, monkeypatch: Any
) -> None:
    asked = 0

    async def away(_address: str, _name: str) -> None:
        nonlocal asked
        asked += 1
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr(windows, "leader_session", away)
    app = await applications(close_windows_s=OFTEN_S)
    assert "nobody thought of it" in await until(lambda: windows_of(app).problem)
    await until(lambda: asked > 2)


async def test_who_leads_anew_waits_before_it_looks_for_what_others_spooled(
    applications: Start, monkeypatch: Any
) -> None:
    app = await applications(close_windows_s=0.0)
    closer = Windows(app.state.bandits, 3600.0, lambda *_: None)
    done: list[float | str] = []

    async def pause(seconds: float) -> None:
        done.append(seconds)

    async def look() -> None:
        done.append("looked")
        closer.stop()

    monkeypatch.setattr(closer, "_pause", pause)
    monkeypatch.setattr(closer, "_look", look)
    await closer._try_to_lead()
    assert done == [60.0, "looked", 3600.0]
