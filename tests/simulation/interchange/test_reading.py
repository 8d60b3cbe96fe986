"""What is wrong with a log is said line by line, in four parts; what is wrong with a file, for all of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import Categorical, ContextSchema, Numeric
from nyx_learning.errors import LogInvalid, LogUnreadable, LogUnwritable, NyxError, PackageMissing
from nyx_learning.simulation.interchange import Reject, format_of, open_writer, read_log
from nyx_learning.simulation.interchange import parquet as parquet_module

GOOD = {
    "decision_id": "a",
    "time": 1.5,
    "context": {"task": "code"},
    "arm_id": "x",
    "propensity": 0.25,
    "reward": 1,
}


def jsonl(folder: Path, *lines: Any) -> Path:
    path = folder / "log.jsonl"
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(texts) + b"\n")
    return path


def csv(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_bytes(text.encode())
    return path


def rejects_of(path: Path, **options: Any) -> tuple[list[str], list[Reject]]:
    rejects: list[Reject] = []
    good = [choice.decision_id for choice in read_log(path, rejected=rejects.append, **options)]
    for reject in rejects:
        assert f"line {reject.line}: " in reject.error.what
        told = reject.to_dict()
        assert all(told[part] for part in ("what", "expected", "found", "fix", "code"))
    return good, rejects


BAD_JSON: dict[str, Any] = {
    "no JSON": b'{"decision_id": "b", ',
    "no object": b"[1, 2]",
    "NaN": b'{"decision_id": "b", "context": {}, "arm_id": "x", "propensity": NaN}',
    "infinite context": b'{"decision_id": "b", "context": {"size": 1e999}, "arm_id": "x"}',
    "a key twice": b'{"decision_id": "b", "decision_id": "c", "context": {}, "arm_id": "x"}',
    "no UTF-8": b'{"decision_id": "b\xff", "context": {}, "arm_id": "x"}',
    "nested too deeply": b'{"decision_id": "b", "context": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too long": b'{"decision_id": "b", "context": {"task": "' + b"x" * 1_100_000 + b'"}, "arm_id": "x"}',
    "huge integer": b'{"decision_id": "b", "context": {}, "arm_id": "x", "reward": ' + b"9" * 5000 + b"}",
    "no id": {**GOOD, "decision_id": None},
    "an id with a line break": {**GOOD, "decision_id": "a\nb"},
    "an id that is a number": {**GOOD, "decision_id": 7},
    "no arm": {**GOOD, "arm_id": None},
    "an empty arm": {**GOOD, "arm_id": ""},
    "a context that is a list": {**GOOD, "context": [1]},
    "a context that is nested": {**GOOD, "context": {"task": {"a": 1}}},
    "propensity 0": {**GOOD, "propensity": 0},
    "propensity above 1": {**GOOD, "propensity": 1.01},
    "propensity true": {**GOOD, "propensity": True},
    "propensity text": {**GOOD, "propensity": "0.5"},
    "reward above 1": {**GOOD, "reward": 1.5},
    "reward negative": {**GOOD, "reward": -0.001},
    "reward text": {**GOOD, "reward": "1"},
    "time without a zone": {**GOOD, "time": "2026-01-01T00:00:00"},
    "time text": {**GOOD, "time": "yesterday"},
    "time too late": {**GOOD, "time": 1e13},
    "outcome list": {**GOOD, "outcome": [1]},
    "success 1": {**GOOD, "success": 1},
    "success otherwise": {**GOOD, "success": False, "outcome": {"success": True}},
    "eligible text": {**GOOD, "eligible": "x"},
    "eligible empty": {**GOOD, "eligible": []},
    "pmf sum": {**GOOD, "pmf": {"x": 0.5, "y": 0.4}},
    "pmf negative": {**GOOD, "pmf": {"x": 1.5, "y": -0.5}},
    "pmf without the arm": {**GOOD, "propensity": None, "pmf": {"y": 1.0}},
    "pmf below the propensity": {**GOOD, "propensity": 0.5, "pmf": {"x": 0.25, "y": 0.75}},
    "state_seq negative": {**GOOD, "state_seq": -1},
    "state_seq broken": {**GOOD, "state_seq": 1.5},
    "mode number": {**GOOD, "mode": 1},
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_a_bad_line_is_told_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path, GOOD, BAD_JSON[name], {**GOOD, "decision_id": "c"})
    good, rejects = rejects_of(path)
    assert (good, [reject.line for reject in rejects]) == (["a", "c"], [2])
    with pytest.raises(LogInvalid, match="line 2: "):
        list(read_log(path))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("b,x,0.5", "3 values"),
        ("b,x,0.5,1,2", "5 values"),
        ("b,x,nan,1", "'nan'"),
        ("b,x,1e999,1", "1e999"),
        ("b,x,0.5,true", "'true'"),
        ('b,x,0.5,1"2', None),
        ('"b"z,x,0.5,1', "expected after"),
        ("b,,0.5,1", "None"),
    ],
)
def test_a_bad_row_is_told_and_the_others_are_read(row: str, found: str | None, tmp_path: Path) -> None:
    path = csv(tmp_path, f"decision_id,arm_id,propensity,reward\na,x,0.5,1\n{row}\nc,x,unknown,\n")
    good, rejects = rejects_of(path)
    assert (good, [reject.line for reject in rejects]) == (["a", "c"], [3])
    assert found is None or found in rejects[0].error.found


def test_cells_of_json_that_are_none(tmp_path: Path) -> None:
    path = csv(tmp_path, 'decision_id,arm_id,context\na,x,"{""task"": 1}"\nb,x,{task: 1}\nc,x,\n')
    good, rejects = rejects_of(path)
    assert (good, [reject.line for reject in rejects]) == (["a", "c"], [3])


def test_bytes_that_are_no_text_spoil_their_row_only(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"decision_id,arm_id\na,x\nb\xff,x\nc,x\n")
    good, rejects = rejects_of(path)
    assert (good, [reject.line for reject in rejects]) == (["a", "c"], [3])


def test_an_open_quote_ends_the_reading(tmp_path: Path) -> None:
    path = csv(tmp_path, 'decision_id,arm_id\na,x\nb,"x\nc,x\nd,x\n')
    with pytest.raises(LogUnreadable, match="line 3"):
        rejects_of(path)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "decision_id,arm_id,arm_id\n", "decision_id,context\n", 'decision_id,"arm_id\n'],
)
def test_a_table_without_the_header_of_a_log(text: str, tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable):
        list(read_log(csv(tmp_path, text)))


def test_unknown_propensities_are_none(tmp_path: Path) -> None:
    lines = [
        {**GOOD, "propensity": None},
        {name: GOOD[name] for name in ("decision_id", "context", "arm_id")},
    ]
    assert [choice.propensity for choice in read_log(jsonl(tmp_path, *lines))] == [None, None]
    table = csv(tmp_path, "decision_id,arm_id,propensity\na,x,\nb,x,unknown\n")
    assert [choice.propensity for choice in read_log(table)] == [None, None]


def test_the_policy_itself_did_not_choose_the_holdout(tmp_path: Path) -> None:
    pmf = {"x": 0.5, "y": 0.5}
    lines = [
        {**GOOD, "propensity": 0.45, "pmf": pmf, "reason": "policy"},
        {**GOOD, "propensity": 0.1, "pmf": {"x": 1.0}, "reason": "holdout"},
        {**GOOD, "propensity": 0.1},
        {**GOOD, "propensity": None},
    ]
    found = [choice.policy_propensity for choice in read_log(jsonl(tmp_path, *lines))]
    assert found == [0.5, None, 0.1, None]


def test_times_with_a_zone_are_seconds(tmp_path: Path) -> None:
    lines = [{**GOOD, "time": text} for text in ("1970-01-01T00:01:00Z", "1970-01-01T01:01:00+01:00")]
    assert [choice.time for choice in read_log(jsonl(tmp_path, *lines))] == [60.0, 60.0]


def test_the_schema_says_what_cells_mean(tmp_path: Path) -> None:
    path = csv(tmp_path, "decision_id,arm_id,context.task,context.size\na,x,12,3\n")
    schema = ContextSchema(task=Categorical(["12"]), size=Numeric(0, 5))
    assert next(read_log(path, schema=schema)).context == {"task": "12", "size": 3}
    assert next(read_log(path)).context == {"task": 12, "size": 3}


def test_what_the_format_does_not_have_is_ignored_and_told(tmp_path: Path) -> None:
    ignored: set[str] = set()
    (choice,) = read_log(jsonl(tmp_path, {**GOOD, "propensities": 0.5}), ignored=ignored)
    (_,) = read_log(csv(tmp_path, "decision_id,arm_id,note,other.x\na,x,1,2\n"), ignored=ignored)
    assert ignored == {"propensities", "note", "other.x"}
    assert choice.propensity == 0.25


def test_a_name_or_the_beginning_says_the_format(tmp_path: Path) -> None:
    for name, content, form in [
        ("a.jsonl.gz", b"", "jsonl"),
        ("a.ndjson", b"", "jsonl"),
        ("a.csv", b"{}", "csv"),
        ("b", b"\xef\xbb\xbf {}", "jsonl"),
        ("c", gzip.compress(b'{"a": 1}'), "jsonl"),
        ("d", b"decision_id", "csv"),
        ("e.log", b"PAR1", "parquet"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert format_of(tmp_path / name) == form


def test_a_compressed_log_that_is_truncated(tmp_path: Path) -> None:
    packed = gzip.compress(
        "\n".join(json.dumps({**GOOD, "decision_id": f"{i}"}) for i in range(2000)).encode()
    )
    path = tmp_path / "log.jsonl.gz"
    for damaged in (packed[:-20], packed[: len(packed) // 2], packed[:50] + b"\0\0\0\0" + packed[54:]):
        path.write_bytes(damaged)
        with pytest.raises(LogUnreadable):
            rejects_of(path)


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.parquet", "none", ""])
def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(LogUnreadable):
        list(read_log(tmp_path / name))


def test_formats_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable):
        list(read_log(jsonl(tmp_path, GOOD), form="xml"))
    with pytest.raises(LogUnwritable):
        open_writer(tmp_path / "log.jsonl", form="xml")
    with pytest.raises(LogUnwritable):
        open_writer(tmp_path / "no" / "log.jsonl")


def test_parquet_of_others(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "log.parquet"
    table = arrow.table(
        {
            "decision_id": ["a", "b", "c", "d"],
            "arm_id": ["x"] * 4,
            "context": [{"task": "code", "size": 1.5}, {"task": None, "size": 2.0}, None, {"task": "text"}],
            "propensity": [0.5, None, float("nan"), 0.5],
            "reward": arrow.array([1, 0, 1, 1], arrow.int8()),
            "time": arrow.array([0, 1_000_000, 2, 3], arrow.timestamp("us", tz="UTC")),
            "outcome.success": [True, None, True, False],
            "note": ["n"] * 4,
        }
    )
    parquet.write_table(table, path)
    ignored: set[str] = set()
    rejects: list[Reject] = []
    found = list(read_log(path, rejected=rejects.append, ignored=ignored))
    assert [reject.line for reject in rejects] == [3]  # NaN is not how an unknown propensity is written
    assert [choice.context for choice in found] == [
        {"task": "code", "size": 1.5},
        {"size": 2.0},
        {"task": "text"},
    ]
    assert [choice.propensity for choice in found] == [0.5, None, 0.5]
    assert [choice.success for choice in found] == [True, None, False]
    assert [choice.time for choice in found] == [0.0, 1.0, 0.000003]
    assert ignored == {"note"}
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(LogUnreadable):
        list(read_log(damaged))


def test_parquet_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise PackageMissing("a package is missing", expected="pyarrow", found="none", fix="pip install it")

    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PackageMissing) as told:
        list(read_log(tmp_path / "log.parquet"))
    assert "nyx-learning[parquet]" in told.value.fix
    with pytest.raises(PackageMissing):
        open_writer(tmp_path / "log.parquet")
    monkeypatch.setattr(parquet_module, "_pyarrow", missing)
    with pytest.raises(NyxError):
        list(read_log(tmp_path / "log.parquet"))
