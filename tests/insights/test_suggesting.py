"""``suggest-spec``: columns that were planted are found, and the spec that comes out works."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning import Bandit, BanditSpec, Categorical, Flag, Numeric, Ordinal
from nyx_learning.errors import InputInvalid, LogUnreadable, TableInvalid
from nyx_learning.features import Value
from nyx_learning.insights.suggesting import Hints, Suggestion, Table, read_table, suggest_spec
from nyx_learning.insights.suggesting.leaks import association
from nyx_learning.insights.suggesting.schema import feature_of
from nyx_learning.insights.suggesting.signal import bins_of, discoveries, signals
from nyx_learning.service.cli import main

STRATEGIES = ("direct", "parallel", "recursive")
TASKS = ("code", "text", "math")
LEVELS = ("simple", "moderate", "complex")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def planted(n: int = 1200, seed: int = 1, *, signal: bool = True) -> dict[str, list[Value]]:
    """Executions in which task_type decides which strategy is best, and complexity how well all do."""
    rng = np.random.default_rng(seed)
    arm, task, level = rng.choice(3, n, p=[0.6, 0.3, 0.1]), rng.integers(0, 3, n), rng.integers(0, 3, n)
    p = np.array([0.7, 0.6, 0.5])[arm]
    if signal:
        p = p + np.where((task == 0) == (arm != 0), 0.25, -0.15) - 0.1 * level
    ok = rng.random(n) < p
    size = np.exp(rng.normal(5, 1.5, n))
    return {
        "run_id": [f"run-{i}" for i in range(n)],
        "number": [float(i) for i in range(n)],
        "started_at": [f"2025-01-{1 + i % 28:02d}T10:00:00Z" for i in range(n)],
        "strategy": [STRATEGIES[a] for a in arm],
        "workers": [float([2, 4, 8][rng.integers(3)]) if a == 1 else None for a in arm],
        "task_type": [TASKS[t] for t in task],
        "same_thing": [TASKS[t].upper() for t in task],
        "complexity": [LEVELS[k] for k in level],
        "size": [None if rng.random() < 0.1 else float(s) for s in size],
        "noise": [float(x) for x in rng.normal(size=n)],
        "city": [f"city{k}" for k in rng.integers(0, 4, n)],
        "user": [f"user{k}" for k in rng.integers(0, 300, n)],
        "urgent": [bool(k) for k in rng.integers(0, 2, n)],
        "constant": ["x"] * n,
        "nothing": [None] * n,
        "host": [f"host-{STRATEGIES[a]}" for a in arm],
        "ticks": [float((1 if k else 9) + rng.normal() * 0.1) for k in ok],
        "verdict_text": ["fine" if k else None for k in ok],
        "output_tokens": [float(rng.integers(1, 999)) for _ in range(n)],
        "success": [bool(k) for k in ok],
    }


@pytest.fixture(scope="module")
def suggestion() -> Suggestion:
    return suggest_spec(Table(planted()), name="planted", seed=3)


def roles(found: Suggestion) -> dict[str, str]:
    return {column.name: column.role for column in found.columns}


def test_each_column_gets_its_role(suggestion: Suggestion) -> None:
    assert roles(suggestion) == {
        "run_id": "left out",  # an identifier
        "number": "left out",  # a counter
        "started_at": "left out",  # a date
        "strategy": "strategy",
        "workers": "parameter",
        "task_type": "left out",  # says what same_thing says: of two the first by name
        "same_thing": "context",
        "complexity": "context",
        "size": "no signal",
        "noise": "no signal",
        "city": "no signal",
        "user": "left out",  # too many levels
        "urgent": "no signal",
        "constant": "left out",
        "nothing": "left out",
        "host": "left out",  # the strategy's
        "ticks": "after the run",  # explains nearly everything
        "verdict_text": "after the run",  # is there where runs succeed
        "output_tokens": "after the run",  # by its name
        "success": "outcome",
    }
    by_name = {column.name: column for column in suggestion.columns}
    assert by_name["same_thing"].changes_best
    assert not by_name["complexity"].changes_best
    assert by_name["same_thing"].explained == pytest.approx(0.15, abs=0.06)
    assert by_name["size"].missing == pytest.approx(0.1, abs=0.03)
    for leak in ("ticks", "verdict_text"):
        assert any(f"'{leak}'" in warning for warning in suggestion.warnings)


def test_the_spec_starts_a_bandit_that_takes_the_table(suggestion: Suggestion) -> None:
    assert suggestion.spec is not None
    spec = BanditSpec.from_dict(json.loads(json.dumps(suggestion.spec.to_dict())))
    assert spec == suggestion.spec
    assert spec.baseline_arm == "direct"
    assert spec.arms.units == (
        "direct",
        "parallel(workers=2)",
        "parallel(workers=4)",
        "parallel(workers=8)",
        "recursive",
    )
    columns, bandit = planted(), Bandit(spec)
    rows = [
        ({name: columns[name][i] for name in spec.context}, "direct", float(bool(columns["success"][i])))
        for i in range(100)
    ]
    assert len(bandit.learn_history(rows)) == 100
    assert bandit.select_arm(rows[0][0]).propensity > 0.0


def test_the_same_table_gives_the_same_suggestion(suggestion: Suggestion) -> None:
    columns = planted()
    assert suggest_spec(Table(columns), name="planted", seed=3).to_dict() == suggestion.to_dict()


def test_without_signal_the_context_is_empty() -> None:
    named = 0
    for seed in range(6):
        columns = planted(300, seed, signal=False)
        for leak in ("ticks", "verdict_text"):
            del columns[leak]
        found = suggest_spec(Table(columns), seed=seed)
        assert found.spec is not None
        named += bool(len(found.spec.context))
    assert named <= 1  # at a false discovery rate of .05


def test_hints_overrule() -> None:
    columns = planted(400)
    columns["worth"] = [0.9 if k else 0.1 for k in columns["success"]]
    hints = Hints(
        strategy="city",
        parameters=(),
        outcomes={"reward": "worth"},
        before=("ticks", "noise"),
        after=("same_thing",),
    )
    found = suggest_spec(Table(columns), hints)
    told = roles(found)
    assert (told["city"], told["worth"], told["ticks"], told["noise"]) == (
        "strategy",
        "outcome",
        *["context"] * 2,
    )
    assert told["same_thing"] == "after the run"
    assert found.spec is not None
    assert {"ticks", "noise"} <= set(found.spec.context)


def test_what_differs_within_a_task_is_no_context() -> None:
    """30 tasks, each with all three strategies twice: rows of a task stand or fall together."""
    rng = np.random.default_rng(5)
    hard, kind = rng.random(30), rng.integers(0, 2, 30)
    rows = [(t, s) for t in range(30) for s in range(3) for _ in range(2)]
    columns: dict[str, list[Value]] = {
        "task_id": [f"t{t}" for t, _ in rows],
        "strategy": [STRATEGIES[s] for _, s in rows],
        "hardness": [float(hard[t]) for t, _ in rows],
        "kind": [f"k{kind[t]}" for t, _ in rows],
        "trial": [float(rng.integers(0, 9)) for _ in rows],
        "error_specificity": [float(t % 3) for t, _ in rows],
        "error_count": [float(rng.integers(0, 3)) for _ in rows],
        "success": [bool(rng.random() > hard[t]) for t, _ in rows],
    }
    found = suggest_spec(Table(columns))
    assert [w for w in found.warnings if "--before error_specificity" in w]
    assert not [w for w in found.warnings if "error_count" in w]
    assert found.tasks == 30
    told = roles(found)
    assert (told["task_id"], told["trial"], told["hardness"]) == ("left out", "after the run", "context")
    assert told["kind"] == "no signal"


def test_rows_of_a_task_are_no_evidence_of_their_own() -> None:
    """A column of 20 tasks, each run 30 times, where tasks differ: by rows it would always be significant."""
    rng = np.random.default_rng(2)
    false = {"rows": 0, "tasks": 0}
    for _ in range(30):
        tasks = np.repeat(np.arange(20), 30)
        rewards = (rng.random(600) < rng.random(20)[tasks]).astype(float)
        column, arms = rng.integers(0, 2, 20)[tasks], rng.integers(0, 2, 600)
        false["rows"] += signals([column], arms, rewards, None, 0)[0].p_value <= 0.05
        false["tasks"] += signals([column], arms, rewards, tasks, 0)[0].p_value <= 0.05
    assert false["tasks"] <= 5  # P of more at .05: .003
    assert false["rows"] >= 10


def test_false_discoveries_are_held() -> None:
    """20 columns of noise in 30 tables: the rate of tables with a discovery is at most .05."""
    rng, wrong = np.random.default_rng(7), 0
    for seed in range(30):
        columns = [rng.integers(0, 4, 200) for _ in range(20)]
        found = signals(columns, rng.integers(0, 3, 200), rng.random(200), None, seed)
        wrong += any(discoveries([s.p_value for s in found], 0.05))
    assert wrong <= 5


def test_interactions_are_told_from_main_effects() -> None:
    rng = np.random.default_rng(3)
    arms, column = rng.integers(0, 2, 800), rng.integers(0, 2, 800)
    both = signals([column], arms, 0.5 * column + 0.2 * rng.random(800), None, 0)[0]
    assert both.p_value <= 0.001
    assert both.p_interaction > 0.01
    crossed = signals([column], arms, 0.3 * (column == arms) + 0.2 * rng.random(800), None, 0)[0]
    assert crossed.p_interaction <= 0.001


def test_by_hand() -> None:
    assert bins_of(["b", "a", None, "a"]).tolist() == [2, 1, 0, 1]
    assert bins_of([5.0, None, 1.0, 5.0]).tolist() == [1, 2, 0, 1]
    assert len(set(bins_of([float(i) for i in range(100)]).tolist())) == 5
    assert len(set(bins_of([f"{i % 40}" for i in range(400)]).tolist())) == 9
    assert discoveries([0.001, 0.04, 0.02, 0.5], 0.05) == [True, False, True, False]
    one = np.arange(90) % 3
    assert association(one, one) == pytest.approx(1.0)
    assert association(one, np.arange(90) // 45) < 0.1


@pytest.mark.parametrize(
    ("columns", "lack"),
    [
        ({"strategy": ["a", "b"] * 10, "success": [True, False] * 10}, "50 are needed"),
        ({"strategy": ["a"] * 80, "success": [True, False] * 40}, "1 value with"),
        ({"strategy": ["a", "b"] * 40, "success": [True] * 80}, "worth the same"),
    ],
)
def test_too_little_is_said_to_be_too_little(columns: Mapping[str, Sequence[Value]], lack: str) -> None:
    found = suggest_spec(Table(columns))
    assert found.spec is None
    assert lack in found.reasons[0]


def test_kinds_of_features() -> None:
    rng = np.random.default_rng(0)
    assert feature_of(["low", "high", None, "medium"])[0] == Ordinal(["low", "medium", "high"], optional=True)
    assert feature_of([True, False])[0] == Flag()
    assert feature_of(["a"] * 9 + ["b"] * 9 + ["rare"])[0] == Categorical(["a", "b"])
    assert feature_of([1.0, 2.0, 3.0])[0] == Numeric(1, 3)
    skewed = feature_of([float(x) for x in np.exp(rng.normal(0, 3, 500))])[0]
    assert isinstance(skewed, Numeric)
    assert skewed.log
    assert feature_of([7.0, None])[0] == Numeric(7, 14, optional=True)


def test_reading(tmp_path: Path) -> None:
    text = "strategy,n,flag,note\na,1,true,x\nb,,false,nan\n"
    wanted = {"strategy": ("a", "b"), "n": (1.0, None), "flag": (True, False), "note": ("x", None)}
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with gzip.open(tmp_path / "t.csv.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    documents = [{"a": 1, "context": {"x": "u"}}, {"context": {"x": None, "y": True}}]
    lines = "\n".join(json.dumps(d) for d in documents)
    (tmp_path / "t.jsonl").write_text(lines, encoding="utf-8")
    for name in ("t.csv", "t.csv.gz"):
        assert dict(read_table(tmp_path / name).columns) == wanted
    assert dict(read_table(tmp_path / "t.jsonl").columns) == {
        "a": [1.0, None],
        "context.x": ["u", None],
        "context.y": [None, True],
    }
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(documents), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").columns["context.x"] == ["u", None]


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,b\n1\n", "a,b\n", 'a,b\n"1,2\n'])
def test_what_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(TableInvalid):
        read_table(tmp_path / "t.csv")


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(TableInvalid, match="no plain one"):
        Table({"a": [float("nan")]})
    with pytest.raises(TableInvalid):
        Table({"a": [1.0], "b": []})
    columns = planted(100)
    for hints in (Hints(strategy="absent"), Hints(outcomes={"joy": "success"}), Hints(before=("a",))):
        with pytest.raises(InputInvalid, match="hints"):
            suggest_spec(Table(columns), hints)
    with pytest.raises(InputInvalid, match="what came out"):
        suggest_spec(Table({"strategy": columns["strategy"], "x": columns["noise"]}))
    with pytest.raises(InputInvalid, match="the strategy"):
        suggest_spec(Table({"success": columns["success"], "x": columns["noise"]}))
    with pytest.raises(TableInvalid, match="no such outcome"):
        suggest_spec(Table(columns), Hints(outcomes={"success": "city"}))
    with pytest.raises(InputInvalid, match="rate"):
        suggest_spec(Table(columns), false_discovery_rate=2.0)


def _written(columns: Mapping[str, Sequence[Value]], path: Path) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, out = _written(planted(400), tmp_path / "history.csv"), tmp_path / "spec.json"
    assert main(["suggest-spec", file, "--json", "--out", str(out), "--name", "mine", "--seed", "9"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    spec = BanditSpec.from_dict(json.loads(out.read_text("utf-8")))
    assert (spec.name, spec.seed, document["out"]) == ("mine", 9, str(out))
    assert spec.to_dict() == document["spec"]
    assert main(["suggest-spec", file, "--after", "task_type,same_thing"]) == 0
    assert "as the hints say" in capsys.readouterr().out
    few = _written(planted(20), tmp_path / "few.csv")
    assert main(["suggest-spec", few, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["spec"] is None
    for wrong in (["--strategy", "absent"], ["--outcome", "success"], ["--seed", "-1"], ["--fdr", "0"]):
        assert main(["suggest-spec", file, "--json", *wrong]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["fix"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded histories are not beside the repository")
def test_a_negative_control() -> None:
    """Real runs of 13 agents: what they measured is no context, and neither is the name of a task."""
    with gzip.open(SHARED / "terminalbench_runs" / "runs.csv.gz", "rt", encoding="utf-8") as file:
        runs = list(csv.DictReader(file))[:2000]
    columns: dict[str, list[Value]] = {name: [row[name] or None for row in runs] for name in runs[0]}
    columns["resolved"] = [row["resolved"] == "1" for row in runs]
    for name in ("test_frac", "duration_s", "agent_s", "input_tokens"):
        columns[name] = [float(row[name]) if row[name] else None for row in runs]
    found = suggest_spec(Table(columns), Hints(strategy="agent", outcomes={"success": "resolved"}))
    told = roles(found)
    assert {told[name] for name in ("agent_s", "input_tokens", "failure_mode")} == {"after the run"}
    assert told["task"] == "left out"
