"""Health for three who ask, and counts for Prometheus, without a word of any context."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from nyx_learning import BanditSpec
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.persistence.queries import query
from nyx_learning.service.http.metrics import Metrics

from .conftest import Serve


async def test_health_answers_three_questions(client: httpx.AsyncClient) -> None:
    for question in ("live", "ready"):
        told = await client.get(f"/health/{question}")
        assert (told.status_code, told.json()) == (200, {"ok": True, "bandits": {}})
    learning = (await client.get("/health/learning")).json()
    assert learning["ok"]
    assert learning["bandits"]["orchestration"]["learning"]
    assert "folder" not in learning["bandits"]["orchestration"]["spool"]


async def test_metrics_count_decisions_rewards_and_duplicates(client: httpx.AsyncClient) -> None:
    asked = {"context": {"task": "code", "size": 1.5}, "decision_id": "a"}
    await client.post("/v1/bandits/orchestration/decisions", json=asked)
    for _ in range(3):
        await client.post("/v1/decisions/a/outcome", json={"reward": 1})
    text = (await client.get("/metrics")).text
    assert _value(text, "nyx_decisions_total") == 1
    assert _value(text, "nyx_rewards_total") == 1
    assert _value(text, "nyx_reward_duplicates_total") == 2
    assert _value(text, "nyx_state_seq") == 1
    assert _value(text, "nyx_learning") == 1
    assert 'route="/v1/decisions/{decision_id:path}/outcome"' in text
    assert "1.5" not in re.sub(r" [0-9.e+-]+$|le=\"[^\"]*\"", "", text, flags=re.MULTILINE)


def test_the_entropy_of_a_pmf_is_told_over_that_of_a_uniform_one() -> None:
    metrics = Metrics(shared=False)
    halves = (TOTAL // 2, TOTAL // 2, 0, 0)  # log 2 over log 4
    for pmf in (halves, (TOTAL // 4,) * 4, (TOTAL, 0, 0, 0)):
        decided: Any = SimpleNamespace(bandit="b", strategy="s", mode="normal", pmf=pmf)
        metrics.decided(decided)
    text = metrics.text({}).decode()
    assert _value(text, "nyx_decision_entropy_ratio_sum") == pytest.approx(1.5)
    assert _value(text, "nyx_decision_entropy_ratio_count") == 3.0
    assert re.search(r'ratio_bucket\{bandit="b",le="0.7"\} 2.0', text)


async def test_another_server_goes_over_to_a_changed_spec_by_itself(serve: Serve, spec: BanditSpec) -> None:
    first, second = await serve(), await serve()
    await first.post("/v1/bandits", json=spec.to_dict())
    path = "/v1/bandits/orchestration"
    assert (await second.get(path)).json()["spec_hash"] == spec.spec_hash
    changed = replace(spec, seed=9)
    await first.post("/v1/bandits", json=changed.to_dict())
    for _ in range(200):
        if (await second.get(path)).json()["spec_hash"] == changed.spec_hash:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the second server still decides by the old spec")


def _value(text: str, name: str) -> float:
    (found,) = re.findall(rf"^{name}\{{[^}}]*\}} (\S+)$", text, flags=re.MULTILINE)
    return float(found)


async def test_metrics_read_no_more_decisions_than_they_tell_of(client: httpx.AsyncClient, sql: Any) -> None:
    """Nothing was learned yet: all decisions know the same row of the log."""
    asked = [{"context": {"task": "code", "size": 1}, "decision_id": f"d{i}"} for i in range(200)]
    told = await client.post("/v1/bandits/orchestration/decisions/batch", json={"requests": asked})
    assert told.status_code == 200
    statement = query("newest_states").replace("$1", "'orchestration'").replace("$2", "7")
    for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
        await sql(f"SET {setting} = off")  # as with many rows
    (row,) = await sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
    nodes = list(_nodes(json.loads(row[0])[0]["Plan"]))
    read = [node["Actual Rows"] for node in nodes if node.get("Relation Name", "").startswith("decision")]
    assert 0 < max(read) <= 8  # a merge of partitions looks one row ahead


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
