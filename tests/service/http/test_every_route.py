"""What holds of every route of the OpenAPI document, also of those to come: keys, lengths, tricks, texts."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from nyx_learning import BanditSpec
from nyx_learning.service.http.keys import KeyFile, Role

from .conftest import Serve

WITHOUT_KEY = {"/health/live", "/health/ready"}
KNOWN = {"name": "orchestration", "decision_id": "a", "seq": "1"}
TRICKS = (
    "../../../etc/passwd",
    "..%2f..",
    "'; DROP TABLE nyx.log; --",
    "<script>alert(1)</script>",
    "a\x00b",
    "a\r\nSet-Cookie: x=1",
    "\ud800",
    "a" * 3000,
)
WRONG_KEYS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer nyx_0_wrong"},
    {"Authorization": "Basic YTpi"},
)
JSON = {"Content-Type": "application/json"}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _filled(path: str, **values: str) -> str:
    for name, value in {**KNOWN, **values}.items():
        path = path.replace(f"{{{name}}}", quote(value, safe="", errors="surrogatepass"))
    return path


def _body(document: dict[str, Any], operation: dict[str, Any], text: str) -> dict[str, Any] | None:
    """The text in every field that the operation knows, and in some that hold others."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    fields = schema.get("properties", {})
    if not content:
        return None
    shapes: dict[str, Any] = {"object": {text: text}, "array": [text], "string": text}
    return {name: shapes.get(_kind(field), text) for name, field in fields.items()} or {text: text}


def _kind(field: dict[str, Any]) -> str:
    kinds = [field, *field.get("anyOf", ())]
    return str(next((kind["type"] for kind in kinds if kind.get("type") not in {None, "null"}), "string"))


def _is_safe(answer: httpx.Response) -> bool:
    """No mistake of the server, and nothing that a browser would run."""
    kind = answer.headers["content-type"]
    harmless = kind.startswith(("application/json", "application/problem+json", "text/plain"))
    return answer.status_code < 500 and harmless and "set-cookie" not in answer.headers


async def test_every_documented_route_refuses_what_it_must(
    serve: Serve, keys: KeyFile, spec: BanditSpec
) -> None:
    client = await serve(body_bytes=8192)
    # Made before the keys are: from here on, each request needs one.
    admin = {"Authorization": f"Bearer {keys.create('one', Role.ADMIN)[1]}"}
    guarded = await serve(body_bytes=8192)
    assert (await client.post("/v1/bandits", json=spec.to_dict())).status_code == 200
    decided = {"context": {"task": "code", "size": 1}, "decision_id": "a"}
    assert (await client.post("/v1/bandits/orchestration/decisions", json=decided)).status_code == 200
    document = (await client.get("/openapi.json")).json()
    operations = list(_operations(document))
    assert len(operations) > 35
    for method, path, operation in operations:
        filled = _filled(path)
        for wrong in WRONG_KEYS:
            told = await guarded.request(method, filled, headers=wrong)
            assert (told.status_code == 401) is (path not in WITHOUT_KEY), (method, path, wrong)
        long = await guarded.request(method, filled, content=b" " * 8193, headers={**admin, **JSON})
        assert long.status_code == 413, (method, path)
        named = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        for trick in TRICKS:
            body = _body(document, operation, trick.replace("\ud800", "�"))
            query = dict.fromkeys(named, trick.encode("utf-8", "replace").decode())
            answers = [
                await client.request(method, filled, json=body, params=query),
                await client.request(method, filled, json=body),
            ]
            parts = [name for name in KNOWN if f"{{{name}}}" in path]
            answers += [
                await client.request(method, _filled(path, **{name: trick}), json=body) for name in parts
            ]
            for answer in answers:
                assert _is_safe(answer), (method, path, trick[:40], answer.status_code, answer.text[:300])
    stored = await client.get("/v1/decisions/a")
    assert (stored.status_code, stored.json()["state"]) == (200, "pending")
    assert (await client.get("/v1/bandits")).json() == {"bandits": [spec.name]}
