"""Tables of executions: what is read, and what is refused and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import pytest

from nyx_learning.errors import InputInvalid, TableInvalid
from nyx_learning.features import Categorical, Flag, Numeric
from nyx_learning.rewards import RewardSpec
from nyx_learning.simulation import (
    ExecutionTable,
    OutcomeColumns,
    RewardColumn,
    Rows,
    execution_table,
    read_rows,
)
from nyx_learning.simulation.columns import feature_column, number_of
from nyx_learning.simulation.streams import Stream

RUNS = """task,arm,reward
b,direct,1
a,direct,0
a,parallel,0.5
a,direct,1
b,direct,0.25
"""


def rows(text: str, name: str = "runs.csv") -> Rows:
    return read_rows(text.splitlines(keepends=True), name)


def small(text: str = RUNS, context: Sequence[str] = ("task",)) -> ExecutionTable:
    return execution_table(rows(text), arm=["arm"], context=context, pricing=RewardColumn("reward"))


# --- text


def test_rows_know_their_lines_also_behind_blank_and_multiline_values() -> None:
    table = rows('a,b\n\n"x\ny",1\nz,2\n')
    assert (table.header, table.rows, table.lines) == (("a", "b"), (("x\ny", "1"), ("z", "2")), (3, 5))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no rows"),
        ("a,b\n", "no rows"),
        ("a,b,a\n1,2,3\n", "names a column twice"),
        ("a,b\n1,2\n3\n", "line 3: the row has another number"),
        ("a,b\n1,2,3\n", "line 2: the row has another number"),
        ('a,b\n1,"2\n3,4\n', "the text is not CSV"),
        ('a,b\n1,"2"x\n', "line 2: the text is not CSV"),
    ],
)
def test_damaged_text_is_refused_with_its_line(text: str, what: str) -> None:
    with pytest.raises(TableInvalid, match=what) as caught:
        rows(text)
    assert all((caught.value.expected, caught.value.found, caught.value.fix))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        ("-.5e1", -5.0),
        ("+2.", 2.0),
        ("1_000", None),
        ("inf", None),
        ("nan", None),
        ("1e999", None),
        ("", None),
        (".", None),
        ("٣", None),
        ("0x1", None),
    ],
)
def test_only_plain_finite_numbers_are_numbers(text: str, number: float | None) -> None:
    assert number_of(text) == number


# --- kinds of columns


@pytest.mark.parametrize(
    ("texts", "feature", "values"),
    [
        (["2", "-1", "0.5"], Numeric(-1, 2), (2.0, -1.0, 0.5)),
        (["2", "NaN", "1"], Numeric(1, 2, optional=True), (2.0, None, 1.0)),
        (["0", "", "0"], Numeric(0, 1, optional=True), (0.0, None, 0.0)),
        (["True", "false", "TRUE"], Flag(), (True, False, True)),
        (["x", "1", "x"], Categorical(["1", "x"]), ("x", "1", "x")),
        (["x", "", "y"], Categorical(["x", "y"], optional=True), ("x", None, "y")),
        (["x", "x", "x"], None, ("x", "x", "x")),
        (["", "na", "NaN"], None, (None, None, None)),
    ],
)
def test_the_kind_of_a_column_is_inferred(texts: list[str], feature: object, values: tuple[object]) -> None:
    column = feature_column("f", texts)
    assert column.values == values
    assert column.feature(range(3)) == feature


def test_a_column_may_be_declared_a_name_or_ranked() -> None:
    assert feature_column("f", ["1", "2"], categorical=True).feature([0, 1]) == Categorical(["1", "2"])
    ranked = feature_column("f", ["5", "1000000", "", "5", "-2"], ranks=True)
    assert ranked.values == (1.5, 3.0, None, 1.5, 0.0)  # ranks 0, (1, 2), 3


def test_a_schema_is_that_of_the_contexts_asked_for() -> None:
    table = small()
    assert table.schema([0, 1])["task"] == Categorical(["a", "b"])
    assert len(table.schema([0])) == 0
    assert table.context(1, table.schema([0, 1])) == {"task": "b"}


def test_too_many_names_are_refused() -> None:
    text = "arm,task,reward\n" + "".join(f"x,t{i},1\n" for i in range(300))
    with pytest.raises(TableInvalid, match="'task' has too many levels"):
        small(text).schema(range(300))


# --- cells


def test_cells_by_hand() -> None:
    table = small()
    assert table.arms.ids == ("direct", "parallel")
    assert table.counts.tolist() == [[2, 1], [2, 0]]
    assert table.rewards.tolist() == [0.0, 1.0, 0.5, 0.25, 1.0]
    assert table.means[0].tolist() == [0.5, 0.5]
    assert table.means[1, 0] == 0.625
    assert math.isnan(table.means[1, 1])
    assert [table.eligible(c) for c in range(2)] == [None, (0,)]


def test_the_order_of_the_rows_changes_nothing() -> None:
    header, *lines = RUNS.splitlines()
    expected = small()
    for shuffled in permutations(lines):
        table = small("\n".join([header, *shuffled]))
        assert table.columns == expected.columns
        assert table.rewards.tolist() == expected.rewards.tolist()
        assert table.offsets.tolist() == expected.offsets.tolist()


def test_parameters_span_a_grid_and_a_strategy_may_lack_one() -> None:
    text = "s,w,t,reward\ndirect,,,1\npar,2,5,0\npar,10,5,1\npar,2,0.5,0\n"
    table = execution_table(rows(text), arm=["s", "w", "t"], pricing=RewardColumn("reward"))
    assert table.arms.ids == ("direct", "par(t=0.5,w=2)", "par(t=0.5,w=10)", "par(t=5,w=2)", "par(t=5,w=10)")
    assert table.context_count == 1
    assert table.eligible(0) == (0, 1, 3, 4)
    assert table.means[0, [0, 1, 3, 4]].tolist() == [1, 0, 0, 1]
    with pytest.raises(TableInvalid, match="line 3: a parameter has no value"):
        execution_table(rows("s,w,reward\np,1,1\np,,1\n"), arm=["s", "w"], pricing=RewardColumn("reward"))


def test_features_take_the_place_of_the_column_they_are_joined_on() -> None:
    runs = rows("id,arm,reward\nx,a,1\ny,a,0\nz,b,1\n")
    features = rows("lang,id,size,note\nc,z,3,.\npy,y,2,.\npy,x,2,.\nc,unused,9,.\n", "features.csv")
    table = execution_table(
        runs, arm=["arm"], pricing=RewardColumn("reward"), features=features, on="id", without=["note"]
    )
    assert [(c.name, c.values) for c in table.columns] == [
        ("lang", ("py", "py", "c")),
        ("size", (2.0, 2.0, 3.0)),
    ]
    assert table.context_count == 3, "equal features do not merge contexts"
    assert table.schema(range(3))["size"] == Numeric(2, 3), "rows that no run uses set no bounds"


@pytest.mark.parametrize(
    ("features", "on", "what"),
    [
        ("id,f\nx,1\n", "id", "line 3: the context has no row in features.csv"),
        ("id,f\nx,1\ny,2\nx,3\n", "id", "line 4: 'id' has a value for the second time"),
        ("key,f\nx,1\n", "id", "features.csv has no column 'id'"),
        ("id,f\nx,1\n", None, "go together"),
    ],
)
def test_features_that_do_not_fit_are_refused(features: str, on: str | None, what: str) -> None:
    runs = rows("id,arm,reward\nx,a,1\ny,a,0\n")
    with pytest.raises(TableInvalid, match=what):
        execution_table(
            runs, arm=["arm"], pricing=RewardColumn("reward"), features=rows(features, "features.csv"), on=on
        )


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        (RUNS, {"arm": ["agent"]}, "runs.csv has no column 'agent'"),
        (RUNS, {"arm": []}, "no column names the arms"),
        (RUNS, {"context": ["kind"]}, "runs.csv has no column 'kind'"),
        (RUNS, {"context": ["task", "task"]}, "context columns are unusable"),
        (RUNS, {"context": ["task"], "categorical": ["size"]}, "context columns are unusable"),
        (RUNS, {"pricing": RewardColumn("worth")}, "runs.csv has no column 'worth'"),
        ("task,arm,reward\na,,1\n", {}, "line 2: the row names no arm"),
        ("task,arm,reward\na,x,1\na,x,good\n", {}, "line 3: column 'reward' has a value that is no number"),
        ("task,arm,reward\na,x,NaN\n", {}, "line 2: column 'reward' has a value that is no number"),
        ("task,arm,reward\na,x,\n", {}, "line 2: column 'reward' has a value that is no number"),
        ("task,arm,reward\na,x,1.5\n", {}, "line 2: the reward is outside the unit interval"),
        ("task,arm,reward\na,x,-0.1\n", {}, "line 2: the reward is outside the unit interval"),
    ],
)
def test_unusable_rows_and_columns_are_refused(text: str, options: dict[str, object], what: str) -> None:
    asked: dict[str, object] = {"arm": ["arm"], "context": ["task"], "pricing": RewardColumn("reward")}
    with pytest.raises(TableInvalid, match=what):
        execution_table(rows(text), **{**asked, **options})  # type: ignore[arg-type]


# --- rewards


def test_texts_are_mapped_and_an_unmapped_one_is_refused() -> None:
    runs = rows("status\nok\ntimeout\nok\n")
    assert RewardColumn("status", {"ok": 1.0, "*": 0.0}).rewards(runs)[0] == [1.0, 0.0, 1.0]
    with pytest.raises(TableInvalid, match="line 3: column 'status'"):
        RewardColumn("status", {"ok": 1.0}).rewards(runs)
    assert RewardColumn("r").rewards(rows("r\ntrue\nFALSE\n1.0\n"))[0] == [1.0, 0.0, 1.0]


def test_outcomes_are_priced_and_gaps_are_counted() -> None:
    spec = RewardSpec(weights={"success": 0.5, "speed": 0.5}, reference_time_s=60.0)
    pricing = OutcomeColumns({"success": "ok", "duration_s": "s"}, spec)
    values, missing = pricing.rewards(rows("ok,s\n1,60\n0,\n"))
    assert values == pytest.approx([0.75, 0.0])  # speed at the reference time is 0.5
    assert missing == {"speed": 1}


@pytest.mark.parametrize(
    ("columns", "text", "what"),
    [
        ({"success": "ok"}, "ok\n0.5\n", "line 2: the outcome field 'success'"),
        ({"success": "ok"}, "ok\n\n1\n", ""),
        ({"success": "ok", "retries": "n"}, "ok,n\n1,1.5\n", "line 2: the outcome field 'retries'"),
        ({"success": "ok", "duration_s": "s"}, "ok,s\n1,-3\n", "line 2: the outcome cannot be used"),
        ({"success": "ok", "quality": "q"}, "ok,q\n1,1.2\n", "line 2: the outcome cannot be used"),
        ({"success": "ok", "quality": "q"}, "ok,q\n,1\n", "line 2: column 'ok'"),
    ],
)
def test_outcomes_out_of_their_domain_are_refused(columns: dict[str, str], text: str, what: str) -> None:
    pricing = OutcomeColumns(columns, RewardSpec(reference_time_s=10.0))
    if not what:
        assert pricing.rewards(rows(text))[0] == [1.0]
        return
    with pytest.raises(TableInvalid, match=what):
        pricing.rewards(rows(text))


def test_a_mapping_that_cannot_be_priced_is_refused() -> None:
    with pytest.raises(InputInvalid, match="outcome mapping is unusable"):
        OutcomeColumns({"duration_s": "s"}, RewardSpec())
    with pytest.raises(InputInvalid, match="outcome mapping is unusable"):
        OutcomeColumns({"success": "ok", "speed": "s"}, RewardSpec())
    with pytest.raises(InputInvalid, match="without a reference time"):
        OutcomeColumns({"success": "ok", "duration_s": "s"}, RewardSpec())


# --- streams


def test_streams_are_pinned_and_apart() -> None:
    assert Stream(7, 3, "contexts").below(1000, 4).tolist() == PINNED
    assert Stream(7, 3, "trials").below(1000, 4).tolist() != PINNED
    assert Stream(7, 4, "contexts").below(1000, 4).tolist() != PINNED
    assert Stream(8, 3, "contexts").below(1000, 4).tolist() != PINNED
    assert Stream(7, 3, "contexts").below(1000, 9).tolist()[:4] == PINNED


PINNED = [989, 982, 807, 979]


def test_every_subset_is_drawn_and_equally_often() -> None:
    drawn = [tuple(Stream(1, r, "s").sample(4, 2)) for r in range(3000)]
    counts = [drawn.count(pair) for pair in sorted(set(drawn))]
    assert len(counts) == 6
    # χ² with 5 degrees of freedom: 20.5 is exceeded with probability .001; the seed is fixed.
    assert sum((count - 500) ** 2 / 500 for count in counts) < 20.5
