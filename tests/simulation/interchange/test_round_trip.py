"""What is written is read again, to the last bit, in all formats and for whatever a context may hold."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import Categorical, ContextSchema, Flag, Numeric, Ordinal
from nyx_learning.simulation.interchange import FIELDS, LoggedChoice, open_writer, read_log

SCHEMA = ContextSchema(
    {
        "task": Categorical(["code", "true", "12"], optional=True),
        "rank": Ordinal(["low", "high"]),
        "size.kb": Numeric(0, 1e6, optional=True),
        "urgent": Flag(optional=True),
    }
)
TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12
) | st.sampled_from(
    [
        "",
        '"',
        '"a"',
        "true",
        "NULL",
        "12",
        "1e5",
        "a,b",
        'a"b',
        "a\nb",
        "a\r\nb",
        " a ",
        "{",
        "[1]",
        "ü, ‽",
        "=1",
    ]
)
NUMBER = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
CONTEXT = st.fixed_dictionaries(
    {
        "task": st.none() | TEXT,
        "rank": TEXT,
        "size.kb": st.none() | NUMBER,
        "urgent": st.none() | st.booleans(),
    }
)
NAME = st.text(st.characters(whitelist_categories=["L", "N", "P"]), min_size=1, max_size=8)
UNIT = st.floats(0, 1)
OUTCOME = st.none() | st.fixed_dictionaries(
    {"success": st.booleans()},
    optional={"quality": UNIT, "model": NAME, "error_codes": st.lists(NAME, max_size=2)},
)


@st.composite
def documents(draw: st.DrawFn, nested: bool = True) -> dict[str, Any]:
    outcome = draw(OUTCOME)
    masses = draw(st.none() | st.lists(st.integers(1, 9), min_size=2, max_size=3))
    pmf = None if masses is None else {f"arm,{i}": mass / sum(masses) for i, mass in enumerate(masses)}
    return {
        "decision_id": draw(NAME),
        "time": draw(st.none() | st.floats(0, 2e9)),
        "context": draw(CONTEXT),
        "arm_id": "arm,0",
        "propensity": draw(st.none() | st.floats(1e-9, 1 if pmf is None else pmf["arm,0"])),
        "reward": draw(st.none() | UNIT),
        "outcome": outcome,
        "success": None if outcome is None else outcome["success"],
        "eligible": draw(st.none() | st.just(["arm,0", "arm,1"])),
        "pmf": pmf,
        "state_seq": draw(st.none() | st.integers(0, 2**53)),
        "mode": draw(st.none() | st.sampled_from(["normal", "imported"])),
        "reason": draw(st.none() | st.just("policy")),
        "state": draw(st.none() | st.just("final")),
        "bandit": draw(st.none() | NAME),
        "spec_hash": draw(st.none() | NAME),
    }


def written(folder: Path, name: str, rows: list[dict[str, Any]], **options: Any) -> Path:
    path = folder / name
    with open_writer(path, **options) as writer:
        for begin in range(0, len(rows), 2):
            writer.write(rows[begin : begin + 2])
    return path


def same(document: Mapping[str, Any], choice: LoggedChoice, *, without_nulls: bool) -> None:
    for field in FIELDS:
        wanted, got = document[field], getattr(choice, field)
        if field == "propensity" and wanted is None and document["pmf"] is not None:
            wanted = document["pmf"]["arm,0"]  # the pmf says it
        if field == "eligible" and wanted is not None:
            wanted = tuple(wanted)
        if field == "context" and without_nulls:
            wanted = {name: value for name, value in wanted.items() if value is not None}
            got = {name: value for name, value in got.items() if value is not None}
        assert got == wanted, field
        if isinstance(wanted, float):
            assert math.copysign(1, got) == math.copysign(1, wanted)
    for value, wanted in zip(choice.context.values(), document["context"].values(), strict=False):
        if not without_nulls:
            assert type(value) is type(wanted)


@pytest.mark.parametrize(
    "name", ["log.jsonl", "log.jsonl.gz", "dotted.csv", "json.csv", "log.csv.gz", "log.parquet"]
)
def test_whatever_is_written_is_read_again(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    dotted = list(SCHEMA) if name in {"dotted.csv", "log.csv.gz"} else None

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.lists(documents(), max_size=5))
    def check(rows: list[dict[str, Any]]) -> None:
        path = written(tmp_path_factory.mktemp("log"), name, rows, dotted=dotted)
        found = list(read_log(path, schema=SCHEMA))
        assert len(found) == len(rows)
        for document, choice in zip(rows, found, strict=True):
            same(document, choice, without_nulls=dotted is not None)
        if dotted is not None:
            # Texts that look like something else are quoted: also without a schema they come back.
            for document, choice in zip(rows, read_log(path), strict=True):
                same(document, choice, without_nulls=True)

    check()


def test_the_line_is_where_the_row_begins(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('decision_id,arm_id,context.task\n"a","x","one\ntwo"\n\nb,x,three\n')
    assert [(choice.line, choice.decision_id) for choice in read_log(path)] == [(2, "a"), (5, "b")]


def test_equal_logs_are_equal_files(tmp_path: Path) -> None:
    rows = [{"decision_id": "a", "context": {}, "arm_id": "x"}]
    first, second = (written(tmp_path, f"{name}.jsonl.gz", rows) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()).count(b"\n") == 1


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = written(tmp_path, "log.jsonl", [{"decision_id": "a"}])
    before = path.read_bytes()

    def broken() -> None:
        with open_writer(path) as writer:
            writer.write([{"decision_id": "b"}])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_log_without_decisions_is_read_as_such(tmp_path: Path) -> None:
    for name in ("log.jsonl", "log.csv"):
        assert list(read_log(written(tmp_path, name, []))) == []
