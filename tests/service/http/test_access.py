"""Keys, roles and limits: who may do what, how often, and how long the bodies may be."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nyx_learning import BanditSpec
from nyx_learning.errors import InputInvalid, KeysUnreadable
from nyx_learning.service.cli import main
from nyx_learning.service.http.app import create_app
from nyx_learning.service.http.keys import KeyFile, Role
from nyx_learning.service.http.options import ServeOptions

from .conftest import Serve

ASKED = {"context": {"task": "code", "size": 1}}
EXECUTION = {"agent_id": "agent-7", "result": {"success": True}}
EVALUATION = {
    "nyx.decision.id": "a",
    "gen_ai.evaluation.name": "success",
    "gen_ai.evaluation.score.value": 1,
}


async def test_each_role_may_do_what_it_may(serve: Serve, keys: KeyFile, spec: BanditSpec) -> None:
    texts = {role: keys.create(role.name, role)[1] for role in Role}
    client = await serve()
    steps: list[tuple[str, str, dict[str, Any] | None, Role]] = [
        ("POST", "/v1/bandits", spec.to_dict(), Role.ADMIN),
        ("POST", "/v1/bandits/orchestration/decisions", {**ASKED, "decision_id": "a"}, Role.WRITER),
        ("POST", "/v1/decisions/a/outcome", {"reward": 1}, Role.WRITER),
        ("POST", "/v1/bandits/orchestration/beliefs", ASKED, Role.READER),
        ("GET", "/v1/decisions/a", None, Role.READER),
        ("GET", "/v1/decisions/a/explain", None, Role.READER),
        ("POST", "/v1/bandits/orchestration/recommendation", ASKED, Role.READER),
        ("GET", "/v1/bandits/orchestration/overrides", None, Role.READER),
        ("GET", "/v1/bandits/orchestration/anomalies", None, Role.READER),
        ("POST", "/v1/bandits/orchestration/patterns/stored", {}, Role.WRITER),
        ("GET", "/v1/bandits/orchestration/patterns/stored", None, Role.READER),
        ("POST", "/v1/bandits/orchestration/evidence", {"evidence": {}}, Role.READER),
        ("POST", "/v1/bandits/orchestration/executions", {**EXECUTION, "execution_id": "e"}, Role.WRITER),
        ("POST", "/v1/bandits/orchestration/evaluations", {"evaluations": [EVALUATION]}, Role.WRITER),
        ("POST", "/v1/bandits/orchestration/overrides", {"rule": "shadow", "reason": "x"}, Role.ADMIN),
        ("POST", "/v1/bandits/orchestration/overrides/2/revocation", {"reason": "x"}, Role.ADMIN),
        ("GET", "/metrics", None, Role.READER),
        ("GET", "/health/learning", None, Role.READER),
    ]
    for method, path, body, needed in steps:
        assert (await client.request(method, path, json=body)).status_code == 401
        for role in Role:
            headers = {"Authorization": f"Bearer {texts[role]}"}
            told = await client.request(method, path, json=body, headers=headers)
            assert told.status_code == (200 if role >= needed else 403), (path, role)
    assert (await client.get("/health/live")).status_code == 200


async def test_a_wrong_or_revoked_key_is_refused_at_once(serve: Serve, keys: KeyFile) -> None:
    key, text = keys.create("someone", Role.READER)
    client = await serve()
    for wrong in (text[:-1], text + "x", text.upper(), "nyx_", "nyx__", f"nyx_{key.id}_", f"x{text}", ""):
        told = await client.get("/v1/bandits", headers={"Authorization": f"Bearer {wrong}"})
        assert told.status_code == 401
        assert told.headers["www-authenticate"] == "Bearer"
    headers = {"Authorization": f"Bearer {text}"}
    assert (await client.get("/v1/bandits", headers=headers)).status_code == 200
    KeyFile(keys.path).revoke(key.id)
    assert (await client.get("/v1/bandits", headers=headers)).status_code == 401


def test_the_file_holds_no_secret_and_is_for_its_owner_alone(keys: KeyFile) -> None:
    key, text = keys.create("someone", Role.READER)
    written = keys.path.read_text(encoding="utf-8")
    assert text.split("_", 2)[2] not in written  # the secret may hold further ones
    assert key.hash in written
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert keys.check(text) == key


def test_a_file_of_something_else_is_refused_and_kept(keys: KeyFile) -> None:
    keys.path.write_text(json.dumps({"keys": []}), encoding="utf-8")
    for change in (lambda: keys.create("x", Role.READER), lambda: keys.revoke("x"), keys.keys):
        with pytest.raises(KeysUnreadable):
            change()
    assert keys.path.read_text(encoding="utf-8") == '{"keys": []}'


WRONG_LINES: tuple[dict[str, Any], ...] = (
    {"role": "owner"},
    {"hash": "no hash"},
    {"id": 7},
    {"id": "../x"},
    {"name": None},
    {"created_at": "today"},
    {"more": 1},
)


@pytest.mark.parametrize("change", WRONG_LINES, ids=str)
def test_a_line_that_is_no_key_damages_the_file(keys: KeyFile, change: dict[str, Any]) -> None:
    keys.create("x", Role.READER)
    document = json.loads(keys.path.read_text(encoding="utf-8"))
    document["keys"][0] |= change
    keys.path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KeysUnreadable):
        KeyFile(keys.path).keys()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"\xff", b"[]", b'{"format": 1}', None], ids=str
)
def test_a_server_does_not_start_with_a_damaged_file_of_keys(
    keys: KeyFile, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        keys.path.mkdir()
    else:
        keys.path.write_bytes(content)
    assert main(["serve", "--keys", str(keys.path), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "keys_unreadable"
    assert str(keys.path) in told["what"]
    assert told["fix"].startswith("restore it")


async def test_a_server_goes_on_with_the_keys_that_it_had_and_says_so(
    serve: Serve, keys: KeyFile, caplog: pytest.LogCaptureFixture
) -> None:
    key, text = keys.create("ops", Role.ADMIN)
    client = await serve(key=text)
    kept = keys.path.read_bytes()
    keys.path.write_bytes(kept[:-20])
    for _ in range(3):
        assert (await client.get("/v1/bandits")).status_code == 200
    unknown = {"Authorization": "Bearer nyx_00000000_x"}
    assert (await client.get("/v1/bandits", headers=unknown)).status_code == 401
    (said,) = [record for record in caplog.records if "hold on" in record.getMessage()]
    assert (said.levelname, text in said.getMessage(), key.hash in said.getMessage()) == (
        "ERROR",
        False,
        False,
    )
    (problem,) = (await client.get("/health/learning")).json()["server"]["problems"]
    assert problem["code"] == "keys_unreadable"
    assert str(keys.path) not in str(problem)
    assert 'nyx_server_problem{code="keys_unreadable"} 1.0' in (await client.get("/metrics")).text
    keys.path.write_bytes(kept)
    assert (await client.get("/health/learning")).json()["server"]["problems"] == []
    assert "can be read again" in caplog.text
    KeyFile(keys.path).revoke(key.id)
    assert (await client.get("/v1/bandits")).status_code == 401


def test_without_keys_it_does_not_listen_to_other_machines(tmp_path: Path) -> None:
    options = ServeOptions(host="0.0.0.0", keys=str(tmp_path / "none.json"))  # noqa: S104 - what is refused
    with pytest.raises(InputInvalid, match="open to everybody"):
        create_app(options)


async def test_without_keys_it_answers_only_under_this_machine_s_names(serve: Serve) -> None:
    client = await serve()
    for host, status in (("localhost", 200), ("127.0.0.1:80", 200), ("[::1]:80", 200), ("evil.example", 400)):
        assert (await client.get("/v1/bandits", headers={"Host": host})).status_code == status


async def test_a_long_body_is_refused_however_it_comes(serve: Serve) -> None:
    client = await serve(body_bytes=2048)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 1000

    assert (await client.post("/v1/bandits", content=b" " * 2049)).status_code == 413
    assert (await client.post("/v1/bandits", content=parts())).status_code == 413
    kind = {"Content-Type": "application/json"}
    assert (await client.post("/v1/bandits", content=b" " * 2048, headers=kind)).status_code == 400


async def test_a_caller_that_asks_too_often_waits_and_others_do_not(serve: Serve, keys: KeyFile) -> None:
    one, other = (keys.create(name, Role.READER)[1] for name in ("one", "other"))
    client = await serve(rate=0.001, burst=3)

    async def ask(key: str) -> httpx.Response:
        return await client.get("/v1/bandits", headers={"Authorization": f"Bearer {key}"})

    told = [(await ask(one)).status_code for _ in range(4)]
    assert told == [200, 200, 200, 429]
    assert (await ask(one)).headers["retry-after"] == "1"
    assert (await ask(other)).status_code == 200


async def test_a_batch_that_is_too_long_is_refused(serve: Serve, spec: BanditSpec) -> None:
    client = await serve(batch=2)
    await client.post("/v1/bandits", json=spec.to_dict())
    told = await client.post("/v1/bandits/orchestration/decisions/batch", json={"requests": [ASKED] * 3})
    assert (told.status_code, told.json()["code"]) == (413, "batch_too_long")


async def test_two_who_create_keys_at_once_lose_none(keys: KeyFile) -> None:
    made = [asyncio.to_thread(KeyFile(keys.path).create, f"n{i}", Role.READER) for i in range(8)]
    created = {key.id for key, _ in await asyncio.gather(*made)}
    assert set(keys.keys()) == created
