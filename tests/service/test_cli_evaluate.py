"""The command ``evaluate``: answers, exit codes, reports, bad input."""

from __future__ import annotations

import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from nyx_learning.service.cli import main
from nyx_learning.simulation.interchange import open_writer

ARMS = ("direct", "parallel(workers=2)", "parallel(workers=4)")
PMF = (0.5, 0.3, 0.2)


def write(path: Path, n: int, rates: tuple[float, float, float], seed: int = 3) -> str:
    chance = random.Random(seed)  # noqa: S311 (a seeded simulation)
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            arm = chance.choices(range(3), PMF)[0]
            success = chance.random() < rates[arm]
            row = {
                "decision_id": f"d{i}",
                "time": float(i),
                "context": {"task": "coding" if i % 2 else "research"},
                "arm_id": ARMS[arm],
                "propensity": PMF[arm],
                "pmf": dict(zip(ARMS, PMF, strict=True)),
                "reward": 0.9 * success,
                "success": success,
            }
            file.write(json.dumps(row) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("logs") / "log.jsonl", 1200, (0.5, 0.9, 0.4))


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main(["evaluate", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_met_not_met_and_open(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [log, "--baseline", "direct"]
    code, found = ask(capsys, *arguments, "--policy", "fixed:arm=parallel(workers=2)")
    assert (code, found["verdict"]) == (0, "met")
    (verdict,) = found["verdicts"]
    assert verdict["method"] == "mover_wilson"
    assert verdict["lift"]["low"] > 0.2
    assert verdict["contexts"] == 2
    code, found = ask(capsys, *arguments, "--policy", "fixed:arm=parallel(workers=4)")
    assert (code, found["verdict"]) == (1, "not met")
    few = write(tmp_path / "few.jsonl", 40, (0.5, 0.7, 0.4))
    code, found = ask(capsys, few, "--policy", "fixed:arm=parallel(workers=2)")
    assert (code, found["verdict"]) == (1, "not enough evidence")
    assert found["verdicts"][0]["baseline"] == "logged"
    assert main(["evaluate", *arguments, "--policy", "uniform"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT ENOUGH EVIDENCE: Is uniform at least 20 % better than direct?")
    assert "would settle it" in out


def test_several_policies_and_one_that_learns(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = ask(capsys, log, "--policy", "hier_ts", "--policy", "uniform", "--baseline", "direct")
    assert (code, found["rows_that_taught"]) == (0, 600)
    assert [v["candidates"] for v in found["verdicts"]] == [2, 2]
    assert [v["rows"] for v in found["verdicts"]] == [600, 600]
    assert found["verdicts"][0]["target"]["value"] > 0.8


def test_a_policy_that_keeps_learning_is_estimated_and_claims_nothing(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "r.html"
    asked = (log, "--policy", "hier_ts", "--policy", "uniform")
    plain = ask(capsys, *asked)[1]
    found = ask(capsys, *asked, "--keep-learning", "--report", str(report))[1]
    assert plain["keep_learning"] == []
    assert found["verdicts"] == plain["verdicts"]
    (one,) = found["keep_learning"]
    assert one["policy"] == "hier_ts"
    assert 0 < one["learned_from"] < one["rows"]
    # It is better than choosing by chance, and no better than what it comes to in the end.
    frozen, uniform = (verdict["target"]["value"] for verdict in found["verdicts"])
    assert uniform < one["value"] < frozen + 2 * one["standard_error"]
    space = tmp_path / "space.json"
    space.write_text('["hier_ts", "ucb1:alpha=1"]', encoding="utf-8")
    (chosen,) = ask(capsys, log, "--search", str(space), "--keep-learning")[1]["keep_learning"]
    assert (chosen["rows"], one["rows"]) == (400, 1200)
    capsys.readouterr()
    main(["evaluate", *asked, "--keep-learning"])
    assert "an estimate and no verdict" in capsys.readouterr().out
    assert "Had it gone on learning" in report.read_text(encoding="utf-8")


def test_options_reach_the_verdict(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [log, "--baseline", "direct", "--policy", "fixed:arm=parallel(workers=2)"]
    _, found = ask(capsys, *arguments, "--adaptive", "--metric", "reward", "--min-lift", "0.1")
    (verdict,) = found["verdicts"]
    assert (verdict["method"], verdict["metric"]) == ("empirical_bernstein_sequence", "reward")
    assert verdict["min_lift"] == 0.1
    _, found = ask(capsys, *arguments, "--fixed", "--metric", "reward", "--confidence", "0.9")
    assert found["verdicts"][0]["method"] == "betting"
    assert found["verdicts"][0]["confidence"] == 0.9


def test_a_search_has_rows_of_its_own(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"thompson_beta": {"floor": [0.01, 0.5]}, "uniform": {}}), encoding="utf-8")
    code, found = ask(capsys, log, "--search", str(space), "--baseline", "direct")
    assert code == 0
    assert found["search"][0]["policy"] == "thompson_beta:floor=0.01"
    assert len(found["search"]) == 3
    (verdict,) = found["verdicts"]
    assert (verdict["candidates"], verdict["rows"], found["rows_that_taught"]) == (1, 400, 800)


def test_a_table_of_shares_is_a_policy(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shares = tmp_path / "mixed.json"
    shares.write_text(json.dumps({ARMS[0]: 0.1, ARMS[1]: 0.9}), encoding="utf-8")
    code, found = ask(capsys, log, "--policy", str(shares), "--baseline", "direct")
    assert (code, found["verdicts"][0]["policy"]) == (0, "mixed")
    shares.write_text(json.dumps({ARMS[0]: 0.1, ARMS[1]: 0.8}), encoding="utf-8")
    code, found = ask(capsys, log, "--policy", str(shares))
    assert (code, found["error"]["code"]) == (2, "input_invalid")


def test_csv_is_read_as_well(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    lines = ["decision_id,context.task,arm_id,propensity,reward,success"]
    lines += [
        f"{row['decision_id']},{row['context']['task']},{row['arm_id']},{row['propensity']},{row['reward']},"
        f"{str(row['success']).lower()}"
        for row in rows
    ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    code, found = ask(capsys, str(path), "--policy", "fixed:arm=parallel(workers=2)", "--baseline", "direct")
    assert (code, found["verdicts"][0]["method"]) == (0, "mover_wilson")


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_log_that_is_longer_than_memory_gets_the_same_answer(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="the extra 'parquet' is missing")
    lines = write(tmp_path / "long.jsonl", 3500, (0.5, 0.7, 0.4))
    path = tmp_path / f"copy.{form}"
    with open_writer(path, dotted=["task"]) as writer:
        writer.write([json.loads(line) for line in Path(lines).read_text(encoding="utf-8").splitlines()])
    arguments = [str(path), "--baseline", "direct", "--policy", "hier_ts", "--policy", "uniform"]
    report = tmp_path / "report.html"
    code, found = ask(capsys, *arguments)
    on_disk, other = ask(capsys, *arguments, "--memory-rows", "1000", "--report", str(report))
    assert code == on_disk
    for one, two in zip(found["verdicts"], other["verdicts"], strict=True):
        assert one["status"] == two["status"]
        assert one["rows"] == two["rows"] == 1750
        assert two["contrast"]["low"] == pytest.approx(one["contrast"]["low"], abs=1e-9)
        assert two["lift"]["low"] == pytest.approx(one["lift"]["low"], abs=1e-9)
    assert "Weights" in report.read_text(encoding="utf-8")
    space = tmp_path / "space.json"
    space.write_text('["uniform", "fixed:arm=direct", "logged"]', encoding="utf-8")
    _, found = ask(capsys, str(path), "--search", str(space))
    _, other = ask(capsys, str(path), "--search", str(space), "--memory-rows", "1000")
    assert [one["policy"] for one in found["search"]] == [one["policy"] for one in other["search"]]
    assert other["search"][0]["held_out_value"] == pytest.approx(found["search"][0]["held_out_value"])


class Page(HTMLParser):
    """Collects what a page would load, and whether its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href"} and value:
                self.loads.append(value)
            if name == "id":
                self.ids.append(value or "")


def test_the_report_is_one_file_that_loads_nothing(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"
    arguments = ["--policy", "hier_ts", "--policy", "uniform", "--baseline", "direct", "--report", str(path)]
    _, found = ask(capsys, log, *arguments)
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert not re.search(r"url\(|@import|https?://", text)
    for words in (
        "Met.",
        "Lift over the baseline",
        "What to doubt",
        "Over the log",
        "Weights",
        "Arms",
        "Contexts",
    ):
        assert words in text
    assert "prefers-color-scheme: dark" in text
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(plots) == 4
    for plot in plots:
        tree = ET.fromstring(plot)  # noqa: S314 (written by the code under test)
        assert tree.attrib["aria-label"]
        colours = set(re.findall(r"(?:fill|stroke):([^;\"]+)", plot))
        assert all(colour.startswith("var(--") for colour in colours)
    inside = re.search(r'<script type="application/json" id="verdict">(.*?)</script>', text, re.DOTALL)
    assert inside is not None
    assert json.loads(inside[1]) == found["verdicts"]


def test_names_in_a_report_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = tmp_path / "odd.jsonl", tmp_path / "odd.html"
    chance = random.Random(1)  # noqa: S311 (a seeded simulation)
    lines = []
    for i in range(200):
        arm = chance.choice(["<script>alert(1)</script>", "b&c"])
        row = {"decision_id": str(i), "arm_id": arm, "propensity": 0.5, "success": chance.random() < 0.5}
        lines.append(json.dumps({**row, "context": {"t": "<b>"}}))
    path.write_text("\n".join(lines), encoding="utf-8")
    code, _ = ask(capsys, str(path), "--policy", "uniform", "--baseline", "b&c", "--report", str(report))
    assert code == 1
    text = report.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "input_invalid"),
        (["--policy", "uniform", "--holdout"], "input_invalid"),
        (["--policy", "uniform", "--bandit", "x"], "input_invalid"),
        (["--holdout", "--baseline", "direct"], "input_invalid"),
        (["--holdout"], "support_missing"),
        (["--policy", "uniform", "--policy", "uniform"], "input_invalid"),
        (["--policy", "fixed:arm=nothing"], "arm_unknown"),
        (["--policy", "uniform", "--baseline", "nothing"], "arm_unknown"),
        (["--policy", "uniform", "--min-lift", "many"], "input_invalid"),
        (["--policy", "uniform", "--min-lift", "99"], "input_invalid"),
        (["--policy", "uniform", "--confidence", "1"], "input_invalid"),
        (["--policy", "uniform", "--adaptive", "--fixed"], "input_invalid"),
        (["--policy", "gone.json"], "input_invalid"),
        (["--search", "gone.json"], "input_invalid"),
        (["--policy", "nonsense"], "spec_invalid"),
        (["--policy", "hier_ts", "--train-share", "1"], "input_invalid"),
        (["--policy", "uniform", "--train-share", "2"], "input_invalid"),
        (["--policy", "uniform", "--keep-learning"], "input_invalid"),
        (["--holdout", "--keep-learning"], "input_invalid"),
        (["--policy", "uniform", "--memory-rows", "10"], "input_invalid"),
        (["--policy", "uniform", "--memory-rows", "many"], "input_invalid"),
        (["--policy", "uniform", "--report", "no/such/folder/r.html"], "input_invalid"),
    ],
)
def test_bad_requests_are_refused(
    log: str, arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code, found = ask(capsys, log, *arguments)
    assert (exit_code, found["error"]["code"]) == (2, code)
    assert all(found["error"][part] for part in ("what", "expected", "found", "fix"))


def test_an_unknown_arm_of_a_table_is_named(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shares.json"
    path.write_text('{"direct": 0.4, "elsewhere": 0.6}', encoding="utf-8")
    code, found = ask(capsys, log, "--policy", str(path))
    assert (code, found["error"]["code"]) == (2, "arm_unknown")
    assert "elsewhere" in found["error"]["found"]


def test_nothing_is_minus_zero(tmp_path: Path, log: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(Path(log).read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    assert main(["evaluate", str(path), "--policy", "logged"]) == 1
    printed = capsys.readouterr().out
    assert "NOT ENOUGH EVIDENCE" in printed
    assert "-0.0000" not in printed
    assert "-0.0 %" not in printed


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"propensity": 0.0}, "log_invalid"),
        ({"propensity": 1.7}, "log_invalid"),
        ({"propensity": None, "pmf": None}, "support_missing"),
        ({"reward": 1.5}, "log_invalid"),
        ({"decision_id": "d1"}, "log_invalid"),
        ({"arm_id": None}, "log_invalid"),
        ({"arm_id": "elsewhere"}, "log_invalid"),
        ({"pmf": {ARMS[0]: 0.7, ARMS[1]: 0.7}}, "log_invalid"),
        ({"propensity": -0.1}, "log_invalid"),
        ({"propensity": "NaN"}, "log_invalid"),
        ({"reward": float("nan")}, "log_invalid"),
        ({"propensity": float("inf")}, "log_invalid"),
        ({"context": {"size": float("nan")}}, "log_invalid"),
        ({"success": 0.5}, "log_invalid"),
    ],
)
def test_damaged_logs_are_refused(
    log: str, tmp_path: Path, row: dict[str, Any], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Path(log).read_text(encoding="utf-8").splitlines()[:50]
    lines[0] = json.dumps({**json.loads(lines[0]), **row})
    path = tmp_path / "damaged.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    exit_code, found = ask(capsys, str(path), "--policy", "uniform")
    assert (exit_code, found["error"]["code"]) == (2, code)


def test_a_policy_outside_of_the_logs_support_is_refused(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()[:100]]
    path = tmp_path / "narrow.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            only = {**line, "arm_id": "direct", "propensity": 1.0}
            only["pmf"] = {"direct": 1.0, ARMS[1]: 0.0}
            file.write(json.dumps(only) + "\n")
    code, found = ask(capsys, str(path), "--policy", f"fixed:arm={ARMS[1]},floor=0")
    assert (code, found["error"]["code"]) == (2, "no_overlap")
    assert all(found["error"][part] for part in ("what", "expected", "found", "fix"))
    code, found = ask(capsys, str(path), "--policy", f"fixed:arm={ARMS[1]},floor=0.5")
    assert code == 2
    assert found["verdict"] == "not supported"


@pytest.mark.parametrize("text", ["", '{"decision_id": "a"'])
def test_an_empty_or_cut_log_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text(text, encoding="utf-8")
    exit_code, found = ask(capsys, str(path), "--policy", "uniform")
    assert exit_code == 2
    assert found["error"]["code"] in {"support_missing", "log_invalid"}
