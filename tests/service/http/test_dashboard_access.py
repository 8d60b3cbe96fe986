"""Who may look at the dashboard, and who may order: sessions, forms, keys that are revoked."""

import asyncio
import json
import re
from typing import Any

import httpx

from nyx_learning import BanditSpec
from nyx_learning.service.http.dashboard.render import HEADERS
from nyx_learning.service.http.dashboard.session import COOKIE, Sessions
from nyx_learning.service.http.keys import KeyFile, Role

from .conftest import Serve

GUARDRAILS = "/ui/guardrails?bandit=orchestration"


async def log_in(client: httpx.AsyncClient, key: str, after: str = "/") -> httpx.Response:
    csrf = token(await client.get("/ui/login"))
    return await client.post("/ui/login", data={"csrf": csrf, "key": key, "next": after})


def token(answer: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', answer.text)
    assert found is not None, answer.text
    return found[1]


def order(csrf: str, **further: Any) -> dict[str, Any]:
    told = {
        "bandit": "orchestration",
        "rule": "exclude",
        "arms": "parallel",
        "reason": "slow",
        "expires": "1h",
    }
    return {"csrf": csrf, **told, **further}


async def test_without_a_key_there_is_only_the_login(serve: Serve, keys: KeyFile) -> None:
    keys.create("ops", Role.ADMIN)
    client = await serve()
    for path in ("/", GUARDRAILS, "/ui/decision?bandit=x&id=y"):
        answer = await client.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/ui/login?next=%2F")
    assert (await client.post("/ui/override", data=order("x"))).headers["location"] == "/ui/login?next=%2F"
    assert (await client.get("/ui/login")).status_code == 200


async def test_without_a_session_there_is_no_news_and_no_cookie(serve: Serve, keys: KeyFile) -> None:
    known, key = keys.create("ops", Role.READER)
    client = await serve()
    for path in ("/ui/events", "/ui/events?bandit=orchestration"):
        answer = await client.get(path)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "session_ended"
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "set-cookie" not in answer.headers
    await log_in(client, key)
    keys.revoke(known.id)
    ended = await client.get("/ui/events")
    assert (ended.status_code, ended.json()["code"]) == (401, "session_ended")
    # The cookie of a login in another window would be lost with it.
    assert "set-cookie" not in ended.headers
    sent_away = await client.get("/")
    assert sent_away.status_code == 303
    assert "set-cookie" not in sent_away.headers


async def test_a_key_begins_a_session_and_stands_in_no_cookie(serve: Serve, keys: KeyFile) -> None:
    _, key = keys.create("ops", Role.ADMIN)
    client = await serve()
    wrong = await log_in(client, "nyx_00000000_no")
    assert wrong.status_code == 401
    assert "This key is not known" in wrong.text
    answer = await log_in(client, key, "/ui/bandit?bandit=a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/bandit?bandit=a")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert key.split("_", 2)[2] not in cookie  # the secret may hold further ones
    home = await client.get("/")
    assert home.status_code == 200
    assert "ops · admin" in home.text
    out = await client.post("/ui/logout", data={"csrf": token(home)})
    assert out.headers["location"] == "/ui/login"
    assert (await client.get("/")).status_code == 303


async def test_the_login_leads_nowhere_else(serve: Serve, keys: KeyFile) -> None:
    _, key = keys.create("ops", Role.ADMIN)
    client = await serve()
    elsewhere = (
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/v1/bandits",
        "//[",
    )
    for after in elsewhere:
        assert (await client.get("/ui/login", params={"next": after})).status_code == 200, after
        assert (await log_in(client, key, after)).headers["location"] == "/", after


async def test_a_reader_looks_and_an_admin_orders(serve: Serve, keys: KeyFile, spec: BanditSpec) -> None:
    _, admin = keys.create("ops", Role.ADMIN)
    _, reads = keys.create("eyes", Role.READER)
    first = await serve(key=admin)
    assert (await first.post("/v1/bandits", json=spec.to_dict())).status_code == 200
    await log_in(first, reads)
    seen = await first.get(GUARDRAILS)
    assert "Ordering needs a key of role admin" in seen.text
    refused = await first.post("/ui/override", data=order(token(seen)))
    assert refused.status_code == 403
    assert "your key may look, and not do this" in refused.text
    await log_in(first, admin)
    done = await first.post("/ui/override", data=order(token(await first.get(GUARDRAILS)), author="mallory"))
    assert done.headers["location"] == f"{GUARDRAILS}&ordered=1"
    page = await first.get(GUARDRAILS)
    assert "ops, " in page.text  # who orders is who has logged in
    assert "mallory" not in page.text
    listed = (await first.get("/v1/bandits/orchestration/overrides")).json()["overrides"]
    assert [(o["author"], o["rule"], o["reason"]) for o in listed] == [("ops", "exclude", "slow")]
    assert listed[0]["until"] - listed[0]["set_at"] > 3590.0
    told = {"csrf": token(page), "bandit": "orchestration", "seq": "1", "reason": "fixed"}
    assert (await first.post("/ui/revoke", data=told)).status_code == 303
    assert "None: the learner chooses by itself" in (await first.get(GUARDRAILS)).text


async def test_a_form_needs_the_token_of_its_session(client: httpx.AsyncClient) -> None:
    csrf = token(await client.get(GUARDRAILS))
    mine = {"author": "ada"}
    for data, headers in (
        (order("", **mine), {}),
        (order("0" * 64, **mine), {}),
        (order("é", **mine), {}),
        (order(csrf, **mine), {"Origin": "http://evil.example"}),
        (order(csrf, **mine), {"Origin": "http://["}),
        (order(csrf, **mine), {"Origin": "null"}),
        (order(csrf, **mine), {"Sec-Fetch-Site": "cross-site"}),
        (order(csrf, **mine), {"Sec-Fetch-Site": "same-site"}),
        (order(csrf, **mine), {"Cookie": f"{COOKIE}=x.y.z.w"}),
    ):
        answer = await client.post("/ui/override", data=data, headers=headers)
        assert answer.status_code == 403, (data, headers)
    as_json = await client.post("/ui/override", json=order(csrf, **mine))
    assert as_json.status_code == 422
    assert (await client.get("/v1/bandits/orchestration/overrides")).json()["overrides"] == []
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    csrf = token(await client.get(GUARDRAILS))  # the cookie that was none of ours was replaced
    done = await client.post("/ui/override", data=order(csrf, **mine), headers=own)
    assert done.status_code == 303


async def test_a_wrong_order_changes_nothing_and_keeps_what_was_typed(client: httpx.AsyncClient) -> None:
    csrf = token(await client.get(GUARDRAILS))
    wrong: list[dict[str, Any]] = [
        {"arms": ["direct", "parallel"]},
        {"arms": []},
        {"rule": "cap", "share": "many"},
        {"rule": "ramp", "share": "10", "rows": "-1"},
        {"rule": "dance"},
        {"expires": "soon"},
        {"reason": " "},
        {"further": "<b>no such</b>"},
        {"rule": "freeze", "expires": "1h"},
    ]
    for part in wrong:
        answer = await client.post("/ui/override", data=order(csrf, author="ada <i>", **part))
        assert answer.status_code in {409, 422}, part
        assert "Nothing was changed:" in answer.text
        assert 'value="ada &lt;i&gt;"' in answer.text
    for seq in ("1", "x", "9" * 30, ""):
        told = {"csrf": csrf, "bandit": "orchestration", "seq": seq, "reason": "r", "author": "a"}
        assert (await client.post("/ui/revoke", data=told)).status_code == 422
    assert (await client.get("/v1/bandits/orchestration/overrides")).json()["overrides"] == []


async def test_only_the_own_host_is_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 400


async def test_without_keys_pages_of_other_sites_send_nothing(client: httpx.AsyncClient) -> None:
    pin = {"rule": "pin", "arms": ["direct"], "reason": "x"}
    for origin in ("http://evil.example", "http://localhost:3000", "null", "http://["):
        answer = await client.post(
            "/v1/bandits/orchestration/overrides", json=pin, headers={"Origin": origin}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused"), origin
        assert (await client.get("/", headers={"Origin": origin})).status_code == 200  # a link leads here
    own = {"Origin": "http://localhost"}
    answer = await client.post("/v1/bandits/orchestration/overrides", json=pin, headers=own)
    assert answer.status_code == 200


def test_sessions_are_those_of_one_secret_and_of_keys_that_are_there(keys: KeyFile) -> None:
    known, key = keys.create("ops", Role.WRITER)
    sessions, worker, stranger = Sessions("a", keys), Sessions("a", keys), Sessions("b", keys)
    opened = sessions.open(key)
    assert opened is not None
    cookies = {COOKIE: opened.token}
    assert worker.visitor(cookies).role is Role.WRITER
    assert worker.visitor(cookies).csrf == opened.csrf
    assert stranger.visitor(cookies).role is None
    name, number, end, signature = opened.token.split(".")
    for forged in (
        f"{name}.{number}.{int(end) + 9}.{signature}",
        f"{name}.-.{end}.{signature}",
        f"{name}.{number}.{end}.",
        opened.token + ".x",
        "....",
        "é.é.é.é",
    ):
        assert sessions.visitor({COOKIE: forged}).role is None, forged
    nobody = sessions.closed().token
    assert sessions.visitor({COOKIE: nobody}).role is None
    keys.revoke(known.id)
    assert worker.visitor(cookies).role is None


def test_a_session_ends(keys: KeyFile, monkeypatch: Any) -> None:
    _, key = keys.create("ops", Role.READER)
    sessions = Sessions("a", keys)
    opened = sessions.open(key)
    assert opened is not None
    monkeypatch.setattr("time.time", lambda: 1e11)
    assert sessions.visitor({COOKIE: opened.token}).role is None


class Stream:
    """A request for news, as a browser makes it: it lasts until the browser leaves."""

    def __init__(self, app: Any, cookie: str) -> None:
        self._left, self._head, self._parts = asyncio.Event(), asyncio.Event(), list[bytes]()
        self.status, self.headers = 0, dict[bytes, bytes]()
        self._asked = False
        headers = [(b"host", b"localhost"), (b"cookie", f"{COOKIE}={cookie}".encode())]
        line = {"type": "http", "method": "GET", "path": "/ui/events", "raw_path": b"/ui/events"}
        rest = {"query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http"}
        scope = {**line, **rest, "http_version": "1.1", "server": ("localhost", 80), "root_path": ""}
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            self._head.set()
        else:
            self._parts.append(message["body"])

    async def begun(self) -> int:
        await asyncio.wait_for(self._head.wait(), 30.0)
        return self.status

    async def text(self) -> str:
        await asyncio.wait_for(self._task, 30.0)
        return b"".join(self._parts).decode()

    async def leave(self) -> None:
        self._left.set()
        await asyncio.wait_for(self._task, 30.0)


async def test_one_key_does_not_take_all_streams(serve: Serve, keys: KeyFile) -> None:
    (_, one), (_, other) = keys.create("one", Role.READER), keys.create("other", Role.READER)
    client = await serve(streams=4, streams_each=2)
    app, cookies = client._transport.app, []  # type: ignore[attr-defined]
    for key in (one, one, other):  # two sessions of the first key
        client.cookies.clear()
        await log_in(client, key)
        cookies.append(client.cookies[COOKIE])
    streams = [Stream(app, cookie) for cookie in cookies]
    assert [await stream.begun() for stream in streams] == [200, 200, 200]
    refused = Stream(app, cookies[0])
    assert await refused.begun() == 429
    told = json.loads(await refused.text())
    assert (told["code"], told["retryable"]) == ("streams_limited", True)
    assert all(told[part] for part in ("title", "expected", "found", "fix"))
    assert refused.headers[b"content-type"] == b"application/problem+json"
    assert refused.headers[b"retry-after"] == b"1"
    await streams[0].leave()
    streams[0] = Stream(app, cookies[1])
    assert await streams[0].begun() == 200
    for stream in streams:
        await stream.leave()
    assert app.state.dashboard.live.clients == 0
