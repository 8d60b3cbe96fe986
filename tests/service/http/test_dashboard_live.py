"""News for open pages: told when something changed, from one look for all, and bounded in number."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from nyx_learning.errors import NyxError, Overloaded
from nyx_learning.service.http.dashboard.estimates import mean_of, share_of
from nyx_learning.service.http.dashboard.kept import Kept
from nyx_learning.service.http.dashboard.live import Live, ending
from nyx_learning.service.http.problems import Refused


async def here() -> bool:
    return False


def row() -> int:
    return 7


async def heard(stream: AsyncIterator[str], kind: str) -> str:
    async with asyncio.timeout(30.0):
        async for text in stream:
            if f"event: {kind}" in text:
                return text
    raise AssertionError("the stream has ended")


async def test_all_clients_of_a_bandit_share_one_look() -> None:
    live, state, looks, looked = Live(10, 10), [0], 0, asyncio.Event()

    async def look() -> object:
        nonlocal looks
        looks += 1
        looked.set()
        return state[0]

    streams = [live.stream("a", look, here, row) for _ in range(5)]
    for stream in streams:
        await heard(stream, "hello")
    await asyncio.wait_for(looked.wait(), 30.0)
    before = looks
    state[0] = 1
    for stream in streams:
        assert await heard(stream, "change") == "event: change\ndata: 7\n\n"
    assert len([task for task in asyncio.all_tasks() if task.get_name() == "nyx-dashboard-live"]) == 1
    assert looks > before
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    await live.close()
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "nyx-dashboard-live"]


async def test_a_look_that_fails_is_a_change_and_no_end() -> None:
    live, fails, looked = Live(1, 1), [False], asyncio.Event()

    async def look() -> object:
        looked.set()
        if fails[0]:
            raise NyxError("away", expected="", found="", fix="")
        return 1

    stream = live.stream(None, look, here, row)
    await heard(stream, "hello")
    await asyncio.wait_for(looked.wait(), 30.0)
    fails[0] = True
    await heard(stream, "change")
    fails[0] = False
    await heard(stream, "change")
    await stream.aclose()  # type: ignore[attr-defined]


def test_one_key_takes_no_more_than_its_places_and_gives_each_back_once() -> None:
    live = Live(4, 2)
    first, second = live.enter("a"), live.enter("a")
    with pytest.raises(Refused, match="this key") as refused:
        live.enter("a")
    assert (refused.value.status, refused.value.code) == (429, "streams_limited")
    live.enter("b")
    live.enter(None)
    with pytest.raises(Overloaded):
        live.enter("c")
    first()
    live.enter("a")
    assert live.clients == 4
    second()
    assert live.clients == 3


async def test_who_may_no_longer_look_is_told_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nyx_learning.service.http.dashboard.live._CHECK_S", 0.0)

    async def look() -> object:
        return 1

    async def gone() -> bool:
        return True

    live = Live(1, 1)
    assert len([text async for text in live.stream("a", look, gone, row)]) == 1  # the greeting


async def test_a_question_is_asked_once_at_a_time_and_again_when_something_changed() -> None:
    kept, asked, go = Kept(), 0, asyncio.Event()

    async def ask() -> int:
        nonlocal asked
        asked += 1
        number = asked
        await go.wait()
        return number

    first = [asyncio.create_task(kept.get("q", ask, stamp=1, fresh_s=60.0)) for _ in range(9)]
    await asyncio.sleep(0)
    go.set()
    assert {answer.value for answer in await asyncio.gather(*first)} == {1}
    assert (await kept.get("q", ask, stamp=1, fresh_s=60.0)).value == 1
    assert (await kept.get("q", ask, stamp=2, fresh_s=60.0)).value == 2
    assert (await kept.get("q", ask, stamp=2, fresh_s=-1.0)).value == 3
    assert asked == 3
    await kept.close()


async def test_what_takes_long_is_shown_later_and_what_fails_says_why() -> None:
    kept, go = Kept(), asyncio.Event()

    async def slow() -> int:
        await go.wait()
        return 7

    answer = await kept.get("slow", slow, fresh_s=60.0, wait_s=0.0)
    assert (answer.value, answer.pending) == (None, True)
    go.set()
    answer = await kept.get("slow", slow, fresh_s=60.0, wait_s=60.0)
    assert (answer.value, answer.pending) == (7, False)

    async def wrong() -> int:
        raise ZeroDivisionError

    answer = await kept.get("wrong", wrong, fresh_s=60.0)
    assert answer.error is not None
    assert answer.error.found == "ZeroDivisionError"
    await kept.close()


def test_intervals_by_hand() -> None:
    few = mean_of(4, 0.5, 0.1)
    assert (few.low, few.high) == (None, None)
    found = mean_of(11, 0.5, 0.1)  # t(.975, 10) = 2.22814; 2.22814 × 0.1 / √11 = 0.06718
    assert found.bounds == pytest.approx((0.43282, 0.56718), abs=1e-5)
    assert mean_of(5, 0.99, 0.5).bounds[1] == 1.0
    assert share_of(0, 0) is None
    half = share_of(5, 10)  # Wilson (1927)
    assert half is not None
    assert half.bounds == pytest.approx((0.23659, 0.76341), abs=1e-5)


async def test_a_stream_ends_when_its_server_is_told_to_end() -> None:
    """As uvicorn does it: the handler of the signal is a method of the server."""

    class Server:
        should_exit = False

        def handle_exit(self, number: int, frame: object) -> None:
            self.should_exit = True

    async def look() -> object:
        return 1

    server, live = Server(), Live(1, 1)
    kept = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        stream = live.stream("a", look, here, row)
        await heard(stream, "hello")
        assert not ending()
        signal.raise_signal(signal.SIGTERM)
        assert ending()
        async with asyncio.timeout(30.0):
            assert [text async for text in stream] == []
    finally:
        signal.signal(signal.SIGTERM, kept)
