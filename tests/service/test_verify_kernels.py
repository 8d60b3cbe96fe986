"""The compiled loops of ``verify`` give, to the last bit, what the code for one value gives."""

import hashlib
import json
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nyx_learning import Categorical, ContextSchema, Flag, Numeric, Ordinal
from nyx_learning.bandit.choice import Keyed
from nyx_learning.canonical import canonical_json
from nyx_learning.features import Encoder
from nyx_learning.service.blake2b import differing_hashes, uniforms
from nyx_learning.service.context_columns import ContextColumns
from nyx_learning.service.spelling import float_texts
from nyx_learning.service.text_table import TextTable

Placed = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]

SCHEMA = ContextSchema(
    task=Categorical(["code", "text", "é"]),
    aim=Ordinal(["low", "middle", "high"], optional=True),
    pair=Ordinal(["a", "b"]),
    size=Numeric(0, 10),
    tokens=Numeric(1, 2e5, log=True),
    rank=Numeric(quantiles=(0, 1, 1, 10, 1000), optional=True),
    delta=Numeric(-3, 4.5, optional=True),
    urgent=Flag(optional=True),
    late=Flag(),
)


def placed(texts: list[bytes]) -> Placed:
    ends = np.cumsum([0, *map(len, texts)])
    return np.frombuffer(b"".join(texts), np.uint8), ends[:-1], np.diff(ends)


def number(chance: random.Random) -> float:
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randrange(-3, 200_000)
    if kind == 1:
        return chance.uniform(-1, 12)
    if kind == 2:
        return chance.random() * 10.0 ** chance.randrange(-30, 30)
    return chance.choice(
        [0, 1, 10, 1000, -0.0, 4.5, 1e-4, round(chance.uniform(-5, 1100), chance.randrange(4))]
    )


def context(chance: random.Random) -> dict[str, Any]:
    return {
        "task": chance.choice(["code", "text", "é", "other", ""]),
        "aim": chance.choice(["low", "middle", "high", "none", None]),
        "pair": chance.choice("ab"),
        "size": number(chance),
        "tokens": number(chance),
        "rank": chance.choice([number(chance), None]),
        "delta": chance.choice([number(chance), None]),
        "urgent": chance.choice([True, False, None]),
        "late": chance.random() < 0.5,
    }


def test_contexts_are_encoded_as_the_encoder_does() -> None:
    chance, encoder = random.Random(3), Encoder(SCHEMA)  # noqa: S311 (no secret)
    made = [encoder.encode(context(chance)) for _ in range(3000)]
    texts = [canonical_json(clean).encode() for clean, _ in made]
    phi, done = ContextColumns(SCHEMA).encode(b"".join(texts), *placed(texts))
    assert done.all()
    assert phi.tolist() == [encoded for _, encoded in made]


ODD = [
    b"",
    b"{}",
    b"[1]",
    b"null",
    b'{"flag":true,"size":1}x',
    b'{"flag":true,"size":1',
    b'{"flag":true,"size":01}',
    b'{"flag":true,"size":1.}',
    b'{"flag":true,"size":.5}',
    b'{"flag":true,"size":1e}',
    b'{"flag":true,"size":1e99999}',
    b'{"flag":true,"size":1e999}',
    b'{"flag":true,"size":NaN}',
    b'{"flag":true,"size":null}',
    b'{"flag":true,"size":true}',
    b'{"flag":true,"size":-}',
    b'{"flag":true,"size":"1"}',
    b'{"flag":null,"size":1}',
    b'{"flag":trux,"size":1}',
    b'{"flag":"true","size":1}',
    b'{"flag":true, "size":1}',
    b'{"flag":true,"flag":true,"size":1}',
    b'{"flag":true,"more":1,"size":1}',
    b'{"size":1}',
    b'{"flag":true,"size":1,"size":1}',
    b'{"flag":true,"size":1234567890123456789}',
]


def test_what_is_no_usual_context_is_left_to_the_encoder() -> None:
    """The last one is a context, whose integer no float holds."""
    columns = ContextColumns(ContextSchema(flag=Flag(), size=Numeric(0, 10)))
    _, done = columns.encode(b"".join(ODD), *placed(ODD))
    assert not done.any()
    good = [b'{"flag":true,"size":1}', b'{"flag":false,"size":1.5e1}']
    phi, done = columns.encode(b"".join(good), *placed(good))
    assert done.all()
    assert phi.tolist() == [[65536, 65536, -52429], [65536, -65536, 65536]]
    texts = ContextColumns(ContextSchema(task=Categorical(["a"])))
    escaped = [
        b'{"task":"q\\"q"}',
        b'{"task":"' + b"x" * 1001 + b'"}',
        '{"task":"é"}'.encode(),
        b'{"task":null}',
    ]
    assert not texts.encode(b"".join(escaped), *placed(escaped))[1].any()


def test_no_context_is_a_context() -> None:
    phi, done = ContextColumns(ContextSchema()).encode(b"{}[]", *placed([b"{}", b"[]"]))
    assert (phi[0].tolist(), done.tolist()) == ([65536], [True, False])


def test_floats_are_spelled_as_repr_does() -> None:
    chance = random.Random(1)  # noqa: S311 (no secret)
    values = [
        0.0,
        -0.0,
        1e14,
        999_999_999_999_999.0,
        1e15,
        1e16,
        1e22,
        1e-4,
        9.9e-5,
        5e-324,
        1.7976931348623157e308,
    ]
    values += [0.1, 0.3, 0.1 + 0.2, 1 / 3, 2.0**-32, 99_999_999_999_999.98, 0.00012345678901234567, -120.5]
    for _ in range(4000):
        values += [
            round(chance.uniform(-1000, 1000), chance.randrange(12)),
            chance.random() * 10.0 ** chance.randrange(-7, 20),
            float(chance.randrange(10 ** chance.randrange(1, 18))),
            float(f"{chance.randrange(10**15)}e{chance.randrange(-20, 3)}"),
            chance.randrange(2**32) / 2**32,
        ]
    texts = float_texts(np.array(values), np.ones(len(values), np.bool_))
    told = [
        row[:size].tobytes().decode() for row, size in zip(texts.slots, texts.sizes.tolist(), strict=True)
    ]
    assert told == list(map(repr, values))
    assert told == list(map(json.dumps, values))
    odd = float_texts(np.array([np.nan, np.inf, 0.0]), np.array([True, True, False]))
    assert odd.usable.tolist() == [False, False, True]
    assert odd.slots[2, : odd.sizes[2]].tobytes() == b"null"


def test_texts_have_the_numbers_that_a_dict_gives_them() -> None:
    chance = random.Random(2)  # noqa: S311 (no secret)
    texts = [str(chance.randrange(2000)).encode() for _ in range(5000)]
    table, known = TextTable("7", "é"), {b"7": 0, "é".encode(): 1}
    assert table.number(*placed(texts)).tolist() == [known.setdefault(text, len(known)) for text in texts]
    assert len(table) == len(known)
    unknown = [b"2001", b"7", b"", b"77777"]
    data, place, length = placed(unknown)
    assert table.find(data, place, length).tolist() == [-1, 0, -1, -1]
    assert table.find(data, place, np.full(4, -1)).tolist() == [-1] * 4
    ids, last = TextTable(), {text: i for i, text in enumerate(texts)}
    ids.append(*placed(texts))
    assert ids.find(*placed(texts)).tolist() == [last[text] for text in texts]
    ids.drop(3000)
    assert len(ids) == 2000
    assert ids.find(*placed(texts)).tolist() == [max(last[text] - 3000, -1) for text in texts]
    ids.append(*placed(texts))
    assert ids.find(*placed(texts)).tolist() == [last[text] + 2000 for text in texts]


def test_hashes_are_those_of_hashlib() -> None:
    chance = random.Random(4)  # noqa: S311 (no secret)
    texts = [chance.randbytes(size) for size in (*range(300), 511, 512, 513, 5000)]
    digests = [hashlib.blake2b(text, digest_size=16).hexdigest().encode() for text in texts]
    text, begin, size = placed(texts)
    ends = np.append(begin, begin[-1] + size[-1])
    assert not differing_hashes(text, ends, *placed(digests)).any()
    for place in (0, 15, 31):
        changed = [d[:place] + bytes([d[place] ^ 1]) + d[place + 1 :] for d in digests]
        assert differing_hashes(text, ends, *placed(changed)).all()
    assert differing_hashes(text, ends, *placed([d.upper() + b"g" for d in digests])).all()
    assert differing_hashes(text, ends, *placed([d[:31] for d in digests])).all()


@pytest.mark.parametrize("seed", [0, 7, 2**128 - 1])
def test_uniforms_are_those_of_the_draw(seed: int) -> None:
    keys = ["", "a", "wf-1/step-2", "é" * 40, "x" * 100, "x" * 512]
    drawn = uniforms(seed, "orchestration é", "arm", *placed([key.encode() for key in keys]))
    keyed = Keyed(seed, "orchestration é")
    assert drawn.tolist() == [keyed.uniform(key, "arm") for key in keys]
