"""Bad input is refused with four parts and stores nothing; hostile text is only text."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, Flag, Numeric, Outcome, Strategy
from nyx_learning.errors import (
    ArmUnknown,
    ContextInvalid,
    EligibilityEmpty,
    InputInvalid,
    OutcomeInvalid,
)
from nyx_learning.service.payload import MAX_REPORT_BYTES

Contexts = Callable[[int], dict[str, Any]]

CONTEXTS: dict[str, Any] = {
    "NaN": {"task": "code", "size": float("nan")},
    "infinity": {"task": "code", "size": float("inf")},
    "unknown key": {"task": "code", "size": 1, "colour": "red"},
    "missing key": {"task": "code"},
    "a number as text": {"task": "code", "size": "1"},
    "a flag as number": {"task": "code", "size": True},
    "text with NUL": {"task": "a\x00b", "size": 1},
    "half a surrogate pair": {"task": "\ud800", "size": 1},
    "long text": {"task": "x" * 5000, "size": 1},
    "a number without end": {"task": "code", "size": 10**5000},
    "a negative one": {"task": "code", "size": -(10**400)},
    "a list": {"task": ["code"], "size": 1},
    "no mapping": [("task", "code")],
    "nothing": None,
}
IDS: dict[str, Any] = {
    "empty": "",
    "NUL": "a\x00b",
    "surrogate": "\ud800",
    "newline": "a\nb",
    "long": "x" * 513,
    "wide": "\U0001f600" * 300,
    "number": 7,
    "bytes": b"wf-1",
    "list": ["wf-1"],
}
HOSTILE = [
    "'; DROP TABLE nyx.log; --",
    "\"quoted\" 'and' `ticked`",
    "$1 %s {0} \\x00 \\",
    "{1,2,NULL}",
    "zürich 東京 \U0001f600",
    "NULL",
    "../../etc/passwd",
    "<script>alert(1)</script>",
]


async def test_unusable_contexts(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    for name, context in CONTEXTS.items():
        for call in (
            engine.select_arm(context, "wf-1"),
            engine.select_arm(context, durable=False),
            engine.execution(context).__aenter__(),
        ):
            with pytest.raises(ContextInvalid) as caught:
                pytest.fail(f"{name}: {await call}")
            assert len(str(caught.value)) < 2000, name
        with pytest.raises(ContextInvalid):
            pytest.fail(f"{name}: {engine.beliefs(context)}")
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}
    assert (await engine.select_arm(contexts(0), "wf-1")).decision_id == "wf-1"


async def test_unusable_ids(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    for name, key in IDS.items():
        for call in (engine.select_arm(contexts(0), key), engine.update_reward(key, reward=0.5)):
            with pytest.raises(InputInvalid):
                pytest.fail(f"{name}: {await call}")
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}


async def test_unusable_choices(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    for options, error in (
        ({"eligible": ["nowhere"]}, ArmUnknown),
        ({"exclude": [7]}, ArmUnknown),
        ({"eligible": []}, EligibilityEmpty),
        ({"exclude": ["direct", "parallel"]}, EligibilityEmpty),
        ({"eligible": ["direct"], "exclude": ["direct"]}, EligibilityEmpty),
    ):
        with pytest.raises(error):
            await engine.select_arm(contexts(0), "wf-1", **options)
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}


async def test_the_longest_names_and_ids_fit_the_indexes(open_engine: Any, spec: BanditSpec) -> None:
    """What is accepted can be stored: an index entry of Postgres has at most 2,704 bytes."""
    # Ideographs in no order: four bytes each, and nothing for Postgres to compress.
    wide = "".join(chr(0x20000 + i * i * 7919 % 42_000) for i in range(1, 513))
    assert wide.isprintable()
    engine = await open_engine(replace(spec, name=wide[:200]))
    for key in (wide[:256], "é" * 512, "x" * 512):
        decision = await engine.select_arm({"task": wide, "size": 1}, key)
        assert (await engine.update_reward(decision, reward=0.5)).applied
    assert (await engine.verify()).ok


async def test_hostile_text_is_only_text(open_engine: Any, sql: Any, spec: BanditSpec) -> None:
    hostile = replace(
        spec,
        name=HOSTILE[0],
        strategies=[
            Strategy(text, {"p": [text.translate(str.maketrans("", "", "(),="))]}) for text in HOSTILE
        ],
        context=ContextSchema(
            {HOSTILE[0]: Categorical(HOSTILE), HOSTILE[1]: Numeric(0, 1), HOSTILE[4]: Flag()}
        ),
        baseline_arm=None,
        holdout=0.0,
    )
    engine = await open_engine(hostile)
    for i, text in enumerate(HOSTILE):
        context = {HOSTILE[0]: text, HOSTILE[1]: 0.5, HOSTILE[4]: True}
        decision = await engine.select_arm(context, text, eligible=[text, HOSTILE[i - 1]])
        outcome = Outcome(success=True, quality=0.5, error_codes=(text,))
        assert (await engine.update_reward(text, outcome)).applied
        assert not (await engine.update_reward(decision, outcome)).applied
    stored = await sql("SELECT decision_id FROM nyx.decision ORDER BY decided_at")
    assert [row[0] for row in stored] == HOSTILE
    again = await open_engine(hostile)
    report = await again.verify()
    assert report.ok, report.first_divergence
    assert report.matched == len(HOSTILE)
    assert await again.update_reward(
        HOSTILE[0], Outcome(success=True, quality=0.5, error_codes=(HOSTILE[0],))
    )


async def test_numbers_of_every_kind_survive_storing(open_engine: Any, spec: BanditSpec) -> None:
    import numpy as np

    wide = replace(spec, context=ContextSchema(x=Numeric(-1e300, 1e300), y=Numeric(1e-9, 1e9, log=True)))
    engine = await open_engine(wide)
    values: list[Any] = [
        0,
        -0.0,
        5e-324,
        1e22,
        2**53 + 1,
        10**300,
        -(10**300),
        np.float32(0.1),
        np.int64(7),
        1e-9,
    ]
    for i, value in enumerate(values):
        decision = await engine.select_arm({"x": value, "y": abs(value) + 1e-9}, f"wf-{i}")
        await engine.update_reward(decision, reward=float(np.float64(i / 10)))
    again = await open_engine(wide)
    for i, value in enumerate(values):
        assert (await again.select_arm({"x": value, "y": abs(value) + 1e-9}, f"wf-{i}")).state_seq == i
    report = await again.verify()
    assert report.ok, report.first_divergence


async def test_an_outcome_that_is_too_large(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Refused before anything is written; just below the limit it is stored."""
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1")
    codes = tuple(f"{i:0100}" for i in range(9_000))
    for told in (
        {"outcome": Outcome(success=True, error_codes=codes)},
        {"part": {"success": True, "error_codes": codes}},
        {"part": {"success": True, "error_codes": list(codes)}},
    ):
        with pytest.raises(OutcomeInvalid, match="too large") as caught:
            await engine.update_reward(decision, **told)
        assert len(str(caught.value)) < 500
    assert await sql("SELECT count(*) FROM nyx.log") == [(0,)]
    outcome = Outcome(success=True, error_codes=codes[: MAX_REPORT_BYTES // 103 - 1])
    assert (await engine.update_reward(decision, outcome)).applied
    assert (await engine.verify()).ok
