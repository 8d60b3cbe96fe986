"""The files for Grafana, Prometheus and containers name what there is."""

import argparse
import asyncio
import json
import os
import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec
from nyx_learning.bandit import Receipt
from nyx_learning.service.cli import key, serve
from nyx_learning.service.http.metrics import OTHER, Metrics, forget_dead
from nyx_learning.service.settings import Settings

from .conftest import Serve

DEPLOY = Path(__file__).parents[3] / "deploy"
WORD = re.compile(r"\bnyx_[a-z_]+")
SELECTED = re.compile(r"(nyx_[a-z_]+)\{([^}]*(?:\{[^}]*\}[^}]*)*)\}")


def _expressions() -> list[str]:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [each["query"] for each in board["templating"]["list"] if each["type"] == "query"]
    groups = _yaml("prometheus-alerts.yaml")["groups"]
    return asked + [rule["expr"] for group in groups for rule in group["rules"]]


def _yaml(name: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="no reader of YAML is installed")
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


async def test_boards_and_alerts_ask_for_what_the_server_tells(
    serve: Serve, spec: BanditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nyx_learning.service.http.standings._PATIENCE_S", 60.0)  # all counts are told
    client = await serve()
    (await client.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    asked = {"context": {"task": "code", "size": 1.5}, "decision_id": "a"}
    (await client.post("/v1/bandits/orchestration/decisions", json=asked)).raise_for_status()
    text = (await client.get("/metrics")).text
    told = set(re.findall(r"^# TYPE (nyx_[a-z_]+)", text, flags=re.MULTILINE))
    told |= {f"{name}{end}" for name in told for end in ("_bucket", "_count", "_sum")}
    labels = {name: _labels(text, name) for name in told}
    expressions = _expressions()
    assert len(expressions) > 20
    for expression in expressions:
        names = set(WORD.findall(expression))
        assert names
        assert names <= told, (expression, names - told)
        for name, matchers in SELECTED.findall(expression):
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers)))
            assert not labels[name] or used <= labels[name], expression
    assert 'nyx_recent_decisions{bandit="orchestration",state="pending"} 1.0' in text


def _labels(text: str, name: str) -> set[str]:
    found = re.search(rf"^{name}(?:_total)?{{([^}}]*(?:{{[^}}]*}}[^}}]*)*)}} ", text, flags=re.MULTILINE)
    return set() if found is None else set(re.findall(r'(\w+)="', found.group(1)))


def test_no_alert_waits_for_a_change_of_a_series_that_begins_with_what_it_counts() -> None:
    rules = [rule for group in _yaml("prometheus-alerts.yaml")["groups"] for rule in group["rules"]]
    counting = [rule for rule in rules if "nyx_monitor_events" in rule["expr"]]
    assert len(counting) == 2
    for rule in counting:
        assert not re.search(r"\b(delta|idelta|rate|increase|changes)\(", rule["expr"]), rule["alert"]
        assert "or 0 * max by (bandit) (nyx_state_seq offset 15m)" in rule["expr"]


async def test_overrides_are_counted_and_names_beyond_the_first_hundred_are_others(
    serve: Serve, spec: BanditSpec
) -> None:
    client = await serve()
    (await client.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    pin = {"rule": "pin", "arms": ["direct"], "reason": "x"}
    (await client.post("/v1/bandits/orchestration/overrides", json=pin)).raise_for_status()
    told = (await client.get("/metrics")).text
    assert 'nyx_monitor_events{bandit="orchestration",kind="guardrail",monitor="person"} 1.0' in told
    app: Any = client._transport.app  # type: ignore[attr-defined]
    metrics = app.state.metrics
    for i in range(150):
        metrics.rewarded(f"bandit-{i}", Receipt(str(i), i, 0.5, applied=True, components={}, missing=()))
    series = re.findall(r'^nyx_rewards_total\{bandit="([^"]*)"', _text(metrics), flags=re.MULTILINE)
    assert len(series) == 100
    assert OTHER in series


async def test_a_worker_notes_where_it_stands_without_being_asked(serve: Serve, spec: BanditSpec) -> None:
    client = await serve()
    (await client.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    app: Any = client._transport.app  # type: ignore[attr-defined]
    metrics = Metrics(shared=False)
    assert "nyx_learning{" not in _text(metrics)
    noting = asyncio.create_task(metrics.noting(lambda: app.state.bandits.opened, dict))
    await asyncio.sleep(0)
    assert 'nyx_learning{bandit="orchestration"} 1.0' in _text(metrics)
    noting.cancel()


def test_workers_that_ended_say_nothing_more(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    gone, kept = (
        f"gauge_livemin_{ended.pid}.db",
        {f"gauge_livemin_{os.getpid()}.db", f"counter_{ended.pid}.db"},
    )
    for name in (gone, *kept):
        (tmp_path / name).touch()
    forget_dead(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


def _text(metrics: Any) -> str:
    text: str = metrics.text({}).decode()
    return text


def test_containers_use_options_and_variables_that_exist() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    serve.add_arguments(commands.add_parser("serve"))
    key.add_arguments(commands.add_parser("key"))
    compose = _yaml("compose.yaml")
    docker = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    (told,) = re.findall(r"^CMD (\[.*\])$", docker, flags=re.MULTILINE)
    for command in (json.loads(told), compose["services"]["nyx-learning"]["command"]):
        assert command[0] == "nyx-learning"
        assert parser.parse_args(command[1:]).host == "0.0.0.0"  # noqa: S104 - of a container
    head = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (line,) = re.findall(r"nyx-learning (key create .*)$", head, flags=re.MULTILINE)
    assert parser.parse_args(line.split()).role == "admin"
    variables = set(re.findall(r"\b(NYX_[A-Z_]+)=", docker))
    variables |= set(compose["services"]["nyx-learning"]["environment"])
    settings = Settings.read({name: f"/x/{name}" for name in variables})
    values = {str(getattr(settings, field.name)) for field in fields(Settings)}
    assert {f"/x/{name}" for name in variables} <= values
    assert (DEPLOY.parent / compose["services"]["nyx-learning"]["build"]["dockerfile"]).is_file()
    extras = re.findall(r"\.\[([a-z,-]+)\]", docker)[0].split(",")
    project = (DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", project, flags=re.MULTILINE) for extra in extras)
