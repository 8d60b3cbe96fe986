"""Rows and decisions are spelled by hand, piece by piece: to the letter what canonical JSON says."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import canonical
from nyx_learning.bandit import Decision, Stage
from nyx_learning.bandit.decision import ARM_STAGE
from nyx_learning.bandit.log import RewardRow
from nyx_learning.canonical import canonical_json, digest, integers, number, plain_json, quoted

USUAL = {
    "kind": "reward",
    "source": "",
    "identifier": "",
    "revision": 0,
    "state": "final",
    "taken": None,
    "place": 0,
    "priced_by": None,
}
TEXT = st.text(max_size=8)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.none() | st.booleans() | st.integers() | FLOAT | TEXT | st.lists(FLOAT)
JSON = st.dictionaries(TEXT, VALUE, max_size=4)
PHI = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5).map(tuple)
WHOLE = st.integers(0, 2**40)

ROWS = st.builds(
    RewardRow,
    bandit=TEXT,
    seq=WHOLE,
    decision_id=TEXT,
    arm_id=TEXT,
    epoch=WHOLE,
    encoding=TEXT,
    phi=PHI,
    propensity=FLOAT,
    units=st.none() | WHOLE,
    reward=st.none() | FLOAT,
    outcome=st.none() | JSON,
    pricing=JSON,
    reported_at=st.none() | FLOAT,
    kind=st.sampled_from(["reward", "expiry", 'x"\\\n']),
    source=st.just("") | TEXT,
    identifier=st.just("") | TEXT,
    revision=st.just(0) | WHOLE,
    state=st.sampled_from(["final", "late"]),
    taken=st.none() | WHOLE,
    place=st.just(0) | WHOLE,
    priced_by=st.none() | TEXT,
)
STAGES = st.builds(
    Stage,
    name=st.sampled_from([ARM_STAGE, "cohort", "stränge"]),
    names=st.lists(TEXT, max_size=3).map(tuple),
    pmf=st.lists(WHOLE, max_size=3).map(tuple),
    chosen=st.integers(0, 3),
)
DECISIONS = st.builds(
    Decision,
    bandit=TEXT,
    decision_id=TEXT,
    context=JSON,
    phi=PHI,
    eligible=st.none() | st.lists(st.integers(0, 9), max_size=3).map(tuple),
    stages=st.lists(STAGES, min_size=1, max_size=3).map(tuple),
    arm=st.integers(0, 9),
    arm_id=TEXT,
    strategy=TEXT,
    parameters=st.just({}),
    propensity=FLOAT,
    epoch=WHOLE,
    reason=TEXT,
    mode=TEXT,
    spec_hash=TEXT,
    state_seq=WHOLE,
    time=st.none() | FLOAT,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(ROWS)
def test_a_row_has_the_digest_of_its_fields(row: RewardRow) -> None:
    fields: dict[str, Any] = {**row._asdict(), "phi": list(row.phi)}
    said = {name: value for name, value in fields.items() if name not in USUAL or value != USUAL[name]}
    assert row.digest == digest(said)
    text = row.spelled()
    assert json.loads(f"{text.before}{row.seq}{text.behind}") == said
    assert text.pricing == canonical_json(row.pricing)
    assert text.outcome == (None if row.outcome is None else canonical_json(row.outcome))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(DECISIONS)
def test_a_decision_has_the_digest_of_its_document(decision: Decision) -> None:
    assert decision.digest == digest(decision.to_dict())
    text = decision.spelled()
    kept = [stage for stage in decision.to_dict()["stages"] if stage["name"] != ARM_STAGE]
    assert text.stages == canonical_json(kept)
    assert text.context == canonical_json(decision.context)
    assert json.loads(f"[{text.pmf}]") == list(decision.pmf)


LONE = chr(0xD800)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(1e-7, 1e-3)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), PLAIN, max_size=4))
def test_what_is_plain_is_spelled_as_canonical_json_spells_it(content: dict[str, Any]) -> None:
    assert plain_json(content) == canonical_json(content)


@pytest.mark.parametrize(
    "value",
    [1e-5, 9.9e-5, 1e-4, 1.5e-7, 1e15, 1e16, 1e22, 10.00001, 1 << 70, "é", "\x7f", "e-", LONE, (1, 2.5)],
)
def test_what_the_two_spell_otherwise(value: object) -> None:
    content = {"b": value, "a": [value]}
    assert plain_json(content) == canonical_json(content)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_no_row_can_hold_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        plain_json({"reference_time_s": value})


def test_a_release_that_spells_otherwise_is_found_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert canonical._alike()
    real = orjson.dumps
    monkeypatch.setattr(orjson, "dumps", lambda *given: real(*given).replace(b"e+", b"e"))
    assert not canonical._alike()
    monkeypatch.setattr(canonical, "_ALIKE", False)
    content = {"tokens": 1e16, "share": 0.1}
    assert plain_json(content) == canonical_json(content)
    assert number(0.1) == "0.1"


def test_numbers_of_all_sizes() -> None:
    values = np.random.default_rng(1).integers(0, 1 << 63, 20_000).view(np.float64)
    spelled = [value for value in values.tolist() if value - value == 0.0]
    spelled += (np.random.default_rng(2).random(20_000) * 10.0 ** np.arange(-5, 15).repeat(1000)).tolist()
    assert [number(value) for value in spelled] == [repr(value) for value in spelled]


@pytest.mark.parametrize("values", [(), (0,), (-1, 1 << 64, 1 << 70), (np.int64(3), 4)])
def test_lists_of_integers(values: tuple[int, ...]) -> None:
    assert integers(values) == ",".join(str(int(value)) for value in values)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e22, 5e-324, 0.1, None, 3, True])
def test_numbers_as_canonical_json_spells_them(value: float | None) -> None:
    assert number(value) == canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        number(value)


def test_strings_as_canonical_json_spells_them() -> None:
    text = "".join(map(chr, [*range(256), 0x2028, 0x1F600, 0xD800]))
    assert quoted(text) == canonical_json(text)


def test_what_cannot_be_spelled_is_refused_as_json_refuses_it() -> None:
    inside: dict[str, Any] = {}
    inside["again"] = inside
    for content in ({"x": float("nan")}, {"x": [float("inf")]}, inside):
        with pytest.raises(ValueError, match=r"JSON|Circular"):
            canonical_json(content)
    with pytest.raises(TypeError):
        canonical_json({"x": object()})


@given(ROWS, WHOLE)
@settings(derandomize=True, max_examples=30, deadline=None)
def test_a_number_changes_nothing_else(row: RewardRow, seq: int) -> None:
    assert row.numbered(seq) == row._replace(seq=seq)
    assert type(row.numbered(seq)) is RewardRow
