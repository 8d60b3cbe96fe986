"""Queries of the board and of the alert rules, parsed as Prometheus reads them: metrics, labels, matching."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nyx_learning.service.http.metrics import Metrics

promql = pytest.importorskip("promql_parser", reason="no parser of PromQL is installed (promql-parser)")
yaml = pytest.importorskip("yaml", reason="no reader of YAML is installed")

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
NAMED = re.compile(r"\{\{\s*\$labels\.(\w+)\s*\}\}")


@cache
def series() -> dict[str, frozenset[str]]:
    """The labels of every series that the server's metrics can have, by the name that is asked for."""
    found = {}
    collectors: list[Any] = list(Metrics(shared=False)._registry._collector_to_names)
    for collector in collectors:
        (family,) = collector.describe()
        labels = frozenset(collector._labelnames)
        if family.type == "counter":
            found[f"{family.name}_total"] = labels
        elif family.type == "histogram":
            found[f"{family.name}_bucket"] = labels | {"le"}
            found |= {f"{family.name}_{end}": labels for end in ("count", "sum")}
        else:
            found[family.name] = labels
    return found


def labels_of(node: Any) -> frozenset[str] | None:
    """Labels of what an expression gives, None for a scalar; fails where it asks for what there is not."""
    match type(node).__name__:
        case "NumberLiteral" | "StringLiteral":
            return None
        case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
            return labels_of(node.expr)
        case "MatrixSelector":
            return labels_of(node.vector_selector)
        case "VectorSelector":
            assert node.name in series(), f"no metric {node.name}"
            asked = {matcher.name for matcher in node.matchers.matchers}
            assert asked <= series()[node.name], f"{node.name} has no {asked - series()[node.name]}"
            return series()[node.name]
        case "Call":
            given = [found for each in node.args if (found := labels_of(each)) is not None]
            (labels,) = given
            if node.func.name == "histogram_quantile":
                assert "le" in labels, "a quantile needs the bounds of the buckets"
                return labels - {"le"}
            return labels
        case "AggregateExpr":
            labels = labels_of(node.expr) or frozenset()
            kept = frozenset(node.modifier.labels) if node.modifier else frozenset()
            assert node.modifier is None or node.modifier.type == promql.AggModifierType.By
            assert kept <= labels, f"by {kept - labels}, of what has {labels}"
            return kept
        case "BinaryExpr":
            return labels_of_both(node)
    raise AssertionError(f"unknown: {node}")


def labels_of_both(node: Any) -> frozenset[str] | None:
    left, right = labels_of(node.lhs), labels_of(node.rhs)
    if left is None or right is None:
        return right if left is None else left
    assert node.modifier is None or str(node.modifier).strip() in {"", "bool"}, node
    assert left == right, f"no sample of {left} matches one of {right}: {node}"
    return left


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_what_there_is_and_names_what_it_has(rule: dict[str, Any]) -> None:
    node = promql.parse(rule["expr"])
    labels = labels_of(node)
    assert labels is not None, "it would always be there"
    assert str(node.op) in COMPARISONS, "without a comparison it is there whenever its series are"
    assert set(NAMED.findall(rule["annotations"]["summary"])) <= labels
    if "for" in rule:
        promql.parse_duration(rule["for"])


def panels() -> list[tuple[str, dict[str, Any]]]:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [(panel["title"], target) for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(("title", "target"), panels(), ids=str)
def test_a_panel_asks_for_what_there_is_and_its_legend_names_what_it_has(
    title: str, target: dict[str, Any]
) -> None:
    labels = labels_of(promql.parse(target["expr"]))
    assert labels is not None, title
    assert set(re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", ""))) <= labels, title


def test_every_series_is_on_the_board_or_in_a_rule_or_known_to_be_in_neither() -> None:
    text = " ".join([*(rule["expr"] for rule in rules()), *(target["expr"] for _, target in panels())])
    unseen = {name for name in series() if not re.search(rf"\b{name}\b", text)}
    unseen -= {name for name in unseen if name.endswith(("_sum", "_count", "_bucket"))}
    assert unseen <= {"nyx_windows_closed_total", "nyx_windows_looked_timestamp_seconds"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("nyx_learnt == 0", "no metric"),
        ("sum by (strategy) (rate(nyx_rewards_total[5m])) > 0", "by "),
        ('nyx_learning{arm="a"} == 0', "has no"),
        ("sum by (bandit) (nyx_unlearned) > sum(nyx_learning)", "no sample"),
        ("histogram_quantile(0.9, sum by (bandit) (rate(nyx_request_seconds_bucket[1m]))) > 1", "by "),
        ("histogram_quantile(0.9, sum by (route) (rate(nyx_request_seconds_bucket[1m]))) > 1", "bounds"),
    ],
)
def test_what_asks_for_nothing_is_found(wrong: str, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        labels_of(promql.parse(wrong))
