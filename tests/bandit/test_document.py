"""A bandit as text: the same bytes back, the same bits onward, and damage refused."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nyx_learning import Bandit, BanditSpec, Outcome
from nyx_learning.bandit.policies import CATALOG
from nyx_learning.canonical import canonical_json, digest
from nyx_learning.errors import DocumentInvalid


def lived(spec: BanditSpec, draw_context: Callable[..., dict[str, Any]], rounds: int = 40) -> Bandit:
    bandit = Bandit(spec)
    generator = np.random.default_rng(41)
    for i in range(rounds):
        eligible = ["direct", "recursive"] if i % 9 == 8 else None
        decision = bandit.select_arm(
            draw_context(generator), eligible=eligible, time=None if i % 2 else i / 3
        )
        if i % 4 == 0:
            bandit.update_reward(decision, reward=float(generator.random()))
        elif i % 4 == 1:
            bandit.update_reward(decision, Outcome(success=bool(i % 3), quality=float(generator.random())))
    return bandit


@pytest.fixture
def bandit(spec_of: Callable[..., BanditSpec], draw_context: Callable[..., dict[str, Any]]) -> Bandit:
    return lived(spec_of(holdout=0.2, bucket_rows=8), draw_context)


@pytest.mark.parametrize("policy", sorted(CATALOG))
def test_there_and_back_and_onward(
    policy: str, spec_of: Callable[..., BanditSpec], draw_context: Callable[..., dict[str, Any]]
) -> None:
    bandit = lived(spec_of(policy, holdout=0.1), draw_context)
    text = bandit.to_json()
    again = Bandit.from_json(text)
    assert again.to_json() == text
    assert again.spec == bandit.spec
    assert again.decisions == bandit.decisions
    assert list(again.decisions) == list(bandit.decisions)
    assert again.receipts == bandit.receipts
    assert again.seq == bandit.seq
    assert again.verify().ok
    generator = np.random.default_rng(42)
    for i in range(10):
        context = draw_context(generator)
        one, other = bandit.select_arm(context), again.select_arm(context)
        assert one == other
        assert bandit.update_reward(one, reward=i / 10) == again.update_reward(other, reward=i / 10)
    assert again.to_json() == bandit.to_json()
    first = next(iter(bandit.receipts.values()))
    assert not again.update_reward(first.decision_id, reward=first.reward).applied


def test_an_empty_bandit_is_a_document_too(spec_of: Callable[..., BanditSpec]) -> None:
    text = Bandit(spec_of()).to_json()
    assert Bandit.from_json(text).to_json() == text
    assert "\n" not in text
    assert text.isascii()


def test_another_process_reads_it_to_the_same_bytes(bandit: Bandit) -> None:
    code = (
        "import sys; from nyx_learning import Bandit; b = Bandit.from_json(sys.stdin.read());"
        "context = {'task': 'coding', 'size': 1, 'urgent': True};"
        "sys.stdout.write(b.to_json() + '\\n' + b.select_arm(context).digest)"
    )
    expected = bandit.to_json()
    following = bandit.select_arm({"task": "coding", "size": 1, "urgent": True}).digest
    for seed in ("0", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", code],
            input=expected,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.split("\n") == [expected, following]


def test_epochs_come_back(bandit: Bandit) -> None:
    bandit.learner.sums.start_epoch(0)
    again = Bandit.from_json(bandit.to_json())
    assert again.learner.sums.epochs == bandit.learner.sums.epochs
    assert again.to_json() == bandit.to_json()


def refused(text: Any, four_parts: Callable[..., None], match: str | None = None) -> None:
    with pytest.raises(DocumentInvalid, match=match) as error:
        Bandit.from_json(text)
    four_parts(error)


def test_foreign_texts_are_refused(bandit: Bandit, four_parts: Callable[..., None]) -> None:
    text = bandit.to_json()
    for foreign in (
        "",
        "nonsense",
        "{}",
        "[]",
        "null",
        "3",
        '"nyx-learning/bandit"',
        '{"format": "other"}',
        text[:-1],
        text[: len(text) // 2],
        text + "}",
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        canonical_json(bandit.spec.to_dict()),
        None,
        text.encode(),
        json.loads(text),
    ):
        refused(foreign, four_parts, "not the document of a bandit")


@pytest.mark.parametrize("version", [5, 0, -1, "1", 1.0, True, None])
def test_other_versions_are_refused(version: Any, bandit: Bandit, four_parts: Callable[..., None]) -> None:
    document = {**json.loads(bandit.to_json()), "version": version}
    refused(json.dumps(document), four_parts, "another version")


def test_every_damaged_byte_is_noticed(bandit: Bandit, four_parts: Callable[..., None]) -> None:
    text = bandit.to_json()
    generator = np.random.default_rng(43)
    for place in generator.choice(len(text), 150, replace=False).tolist():
        other = "x" if text[place] != "x" else "y"
        refused(text[:place] + other + text[place + 1 :], four_parts)
        refused(text[:place] + text[place + 1 :], four_parts)


def test_numbers_that_json_does_not_have_are_refused(bandit: Bandit, four_parts: Callable[..., None]) -> None:
    document = json.loads(bandit.to_json())
    for constant in ("NaN", "Infinity", "-Infinity"):
        document["content"]["rewards"][0]["reward"] = float(constant.replace("Infinity", "inf"))
        refused(json.dumps(document), four_parts, constant)


def forged(content: dict[str, Any]) -> str:
    """A document whose checksum is right."""
    document = {
        "format": "nyx-learning/bandit",
        "version": 2,
        "checksum": digest(content),
        "content": content,
    }
    return canonical_json(document)


FORGERIES: list[tuple[list[Any], Any]] = [
    (["spec", "seed"], 12),
    (["spec", "name"], "other"),
    (["spec", "policy", "floor"], 0.5),
    (["spec", "format"], 2),
    (["spec"], None),
    (["decisions", 0, "arm"], "nobody"),
    (["decisions", 0, "arm"], "recursive(depth=1)"),
    (["decisions", 0, "arm"], None),
    (["decisions", 0, "bandit"], "other"),
    (["decisions", 0, "context", "size"], 9.75),
    (["decisions", 0, "context"], {}),
    (["decisions", 0, "context"], []),
    (["decisions", 0, "decision_id"], "other"),
    (["decisions", 0, "decision_id"], 3),
    (["decisions", 0, "eligible"], [99]),
    (["decisions", 0, "eligible"], "direct"),
    (["decisions", 0, "epoch"], 1),
    (["decisions", 0, "epoch"], -1),
    (["decisions", 0, "phi"], [65536]),
    (["decisions", 0, "propensity"], 1.0),
    (["decisions", 0, "propensity"], "1"),
    (["decisions", 0, "spec_hash"], "0"),
    (["decisions", 0, "state_seq"], 10_000),
    (["decisions", 0, "state_seq"], -1),
    (["decisions", 0, "state_seq"], True),
    (["decisions", 8, "state_seq"], 99),
    (["decisions", 0, "stages"], []),
    (["decisions", 0, "stages", 0, "chosen"], 1),
    (["decisions", 0, "stages", 1, "pmf", 0], -5),
    (["decisions", 0, "stages", 1, "pmf", 0], 1.5),
    (["decisions", 0, "stages", 1, "pmf"], [1 << 32]),
    (["decisions", 0, "stages", 1, "name"], "other"),
    (["decisions", 0, "time"], "now"),
    (["decisions", 0, "colour"], 1),
    (["decisions", 1], None),
    (["decisions"], {}),
    (["decisions"], []),
    (["rewards", 0, "reward"], 0.25),
    (["rewards", 0, "reward"], 7.0),
    (["rewards", 0, "reward"], 1),
    (["rewards", 0, "reward"], True),
    (["rewards", 0, "decision_id"], "nobody"),
    (["rewards", 0, "decision_id"], None),
    (["rewards", 0, "components"], [1]),
    (["rewards", 0, "components"], {"speed": "fast"}),
    (["rewards", 0, "missing"], "speed"),
    (["rewards", 0, "missing"], [3]),
    (["rewards"], []),
    (["sums", "seq"], 0),
    (["sums", "blocks"], []),
    (["sums", "blocks", 0, 4], 1),
    (["sums", "epochs"], []),
    (["sums", "dimension"], 3),
    (["sums"], None),
]


@pytest.mark.parametrize(("path", "value"), FORGERIES)
def test_forgeries_with_a_right_checksum_are_refused(
    path: list[Any], value: Any, bandit: Bandit, four_parts: Callable[..., None]
) -> None:
    content = json.loads(bandit.to_json())["content"]
    Bandit.from_json(forged(content))
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    refused(forged(content), four_parts)


def test_rows_that_are_missing_or_come_twice_are_refused(
    bandit: Bandit, four_parts: Callable[..., None]
) -> None:
    content = json.loads(bandit.to_json())["content"]
    for key in content:
        less = {name: part for name, part in content.items() if name != key}
        refused(forged(less), four_parts)
    changes: list[Callable[[list[Any]], Any]] = [
        lambda rows: rows.append(rows[0]),
        lambda rows: rows.pop(0),
        lambda rows: rows.reverse(),
    ]
    for change in changes:
        other = copy.deepcopy(content)
        change(other["rewards"])
        refused(forged(other), four_parts)
    for change in changes[:2]:
        other = copy.deepcopy(content)
        change(other["decisions"])
        refused(forged(other), four_parts)
