"""A ``Bandit`` as text: versioned JSON that loads to the same bits, or is refused.

    {"format": "nyx-learning/bandit", "version": 2, "checksum": "…",
     "content": {"spec": {…}, "decisions": [{…}, …], "rewards": [{…}, …], "sums": {…}}}

The text is canonical JSON, so equal bandits are equal texts. ``rewards`` stand in the order of the sequence:
the first has number 1. On loading, each draw is repeated from the stored pmf, and the sums are folded anew
from the rewards and must equal the stored ones. (Deriving the pmfs anew, and rewards from what was reported,
is left to ``verify``, because a later version may read the sums otherwise.)

A row of history stands among the rewards, with its context and arm in the place of a decision. So does an
event of the monitors, as ``{"event": {…}}``: the document of a bandit that has monitors is of version 3. That
of a bandit with guardrails, or with rows of some, is of version 4.

Version 1 had no rows but whole first reports, and not their outcomes; it is still read.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import accumulate
from types import UnionType
from typing import Any, NamedTuple, NoReturn, TypeAlias

from ..canonical import canonical_json, digest
from ..errors import DocumentInvalid, NyxError, shown
from ..features import Encoder
from ..rewards import Outcome, RewardState
from .choice import TOTAL, Keyed
from .decision import Decision, Receipt, Stage, product
from .events import GUARDRAIL, EventRow
from .fixed_point import reward_to_fixed
from .history import HistoryRow, history_row
from .learner import Learner
from .log import ABANDONMENT, EXPIRY, REPORT, RETRACTION, RewardRow
from .spec import BanditSpec
from .sums import Sums

__all__ = ["Content", "Row", "damaged", "in_sequence", "read", "read_decision", "write"]

Row: TypeAlias = Receipt | RewardRow | HistoryRow | EventRow
"""A numbered row of the ledger."""

_FORMAT = "nyx-learning/bandit"
_VERSION, _WATCHED, _GUARDED = 2, 3, 4
_READ = (1, 2, 3, 4)
_KINDS = (REPORT, EXPIRY, ABANDONMENT, RETRACTION)
_ROW_FIELDS: Mapping[str, Any] = {
    "kind": str,
    "source": str,
    "identifier": str,
    "revision": int,
    "state": str,
    "units": int | None,
    "reward": float | None,
    "taken": int | None,
    "place": int,
    "reported_at": float | int | None,
    "priced_by": str | None,
}
"""What a row is, beside what it copies from its decision: field and type."""


class Content(NamedTuple):
    """What a document holds; decisions in the order made, receipts and rows in that of the sequence."""

    spec: BanditSpec
    sums: Sums
    decisions: dict[str, Decision]
    receipts: dict[str, Receipt]
    outcomes: dict[str, Outcome]
    rows: list[RewardRow]
    history: list[HistoryRow]
    events: list[EventRow]


def write(content: Content) -> str:
    """The document, as ASCII text without line breaks."""
    body = {
        "spec": content.spec.to_dict(),
        "decisions": [decision.to_dict() for decision in content.decisions.values()],
        "rewards": [
            _document_of(row, content.outcomes)
            for row in in_sequence(content.receipts, content.rows, content.history, content.events)
        ],
        "sums": content.sums.to_dict(),
    }
    version = _VERSION if content.spec.monitors is None else _WATCHED
    if content.spec.guardrails is not None or any(e.kind == GUARDRAIL for e in content.events):
        version = _GUARDED
    return canonical_json({"format": _FORMAT, "version": version, "checksum": digest(body), "content": body})


def in_sequence(
    receipts: Mapping[str, Receipt],
    rows: Sequence[RewardRow],
    history: Sequence[HistoryRow],
    events: Sequence[EventRow],
) -> Iterator[Row]:
    """Receipts, rows, history and events, which are in order each, by their numbers."""
    parts: list[Iterable[Row]] = [receipts.values(), rows, history, events]
    return merge(*parts, key=lambda row: row.seq)


def _document_of(row: Row, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    if isinstance(row, HistoryRow):
        return row.to_dict()
    if isinstance(row, EventRow):
        return {"event": row.to_dict()}
    return _row_document(row) if isinstance(row, RewardRow) else _receipt_document(row, outcomes)


def _receipt_document(receipt: Receipt, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    outcome = outcomes.get(receipt.decision_id)
    return {
        "decision_id": receipt.decision_id,
        "reward": receipt.reward,
        "components": dict(receipt.components),
        "missing": list(receipt.missing),
        "outcome": None if outcome is None else outcome.to_dict(),
    }


def _row_document(row: RewardRow) -> dict[str, Any]:
    return {
        "decision_id": row.decision_id,
        **{name: getattr(row, name) for name in _ROW_FIELDS},
        "outcome": None if row.outcome is None else dict(row.outcome),
        "pricing": dict(row.pricing),
    }


def read(text: str) -> Content:
    """What ``write`` wrote.

    Raises
    ------
    DocumentInvalid : not such a document, a newer one, a damaged one, or one that contradicts itself.
    """
    body = _body(text)
    try:
        return _content(body)
    except DocumentInvalid:
        raise
    except NyxError as error:
        raise damaged(f"{error.what}: {error.found}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise damaged(f"{type(error).__name__}: {error}") from error


def read_decision(document: Mapping[str, Any], spec: BanditSpec) -> Decision:
    """The decision of ``spec`` that ``Decision.to_dict`` wrote; each stage is drawn anew from its pmf.

    Raises
    ------
    DocumentInvalid : it is no decision of that spec, or was changed.
    """
    try:
        return _decision(document, spec, Encoder(spec.context), Keyed(spec.seed, spec.name))
    except DocumentInvalid:
        raise
    except NyxError as error:
        raise damaged(f"{error.what}: {error.found}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise damaged(f"{type(error).__name__}: {error}") from error


def _body(text: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise _foreign(shown(text))
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _foreign(f"{error}, in {shown(text)}") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise _foreign(shown(document))
    version = document.get("version")
    if type(version) is not int or version not in _READ:
        raise DocumentInvalid(
            "the document of a bandit is of another version",
            expected=f"version {_READ[-1]} or older",
            found=f"version {version!r:.40}",
            fix="load it with the version of nyx-learning that wrote it, or a later one",
        )
    body = document.get("content")
    if not isinstance(body, dict) or digest(body) != document.get("checksum"):
        raise damaged("content that does not have the document's checksum")
    return body


def _content(body: Mapping[str, Any]) -> Content:
    spec = BanditSpec.from_dict(body["spec"])
    encoder, keyed = Encoder(spec.context), Keyed(spec.seed, spec.name)
    decisions: dict[str, Decision] = {}
    for document in body["decisions"]:
        decision = _decision(document, spec, encoder, keyed)
        if decision.decision_id in decisions:
            _contradiction(decision.decision_id, "stands there twice")
        decisions[decision.decision_id] = decision
    learner = Learner(spec)
    folded = learner.sums
    stored = Sums.from_dict(body["sums"], len(spec.arms), folded.dimension, spec.bucket_rows, folded.further)
    folded.epochs = list(stored.epochs)
    receipts: dict[str, Receipt] = {}
    outcomes: dict[str, Outcome] = {}
    rows: list[RewardRow] = []
    history: list[HistoryRow] = []
    latest: dict[str, tuple[int | None, int]] = {}
    events: list[EventRow] = []
    for seq, document in enumerate(body["rewards"], start=1):
        if "event" in document:
            events.append(EventRow.from_dict(spec.name, seq, document["event"]))
            learner.begin(events[-1])
            continue
        if "decision_id" not in document:
            history.append(history_row(document, spec.arms, encoder, folded.epochs)._replace(seq=seq))
            learner.absorb_history(history[-1], seq)
            continue
        decision = decisions[_a(document, "decision_id", str)]
        key = decision.decision_id
        if decision.state_seq >= seq:
            _contradiction(key, f"has a reward by row {seq}, which it knew")
        if "kind" in document:
            row = _row(document, seq, decision, spec)
            taken, place = latest.get(key, (None, 0))
            if row.taken != taken or row.place != (0 if taken is None else place):
                _contradiction(key, f"contributed {taken} at row {place}, of which row {seq} takes another")
            learner.replace(decision, row.taken, row.units, row.stands_at, seq)
            rows.append(row)
            latest[key] = row.units, row.stands_at
            continue
        if key in latest:
            _contradiction(key, f"is rewarded twice, by row {seq} too")
        receipts[key] = _receipt(document, seq)
        if document.get("outcome") is not None:
            outcomes[key] = Outcome.from_dict(document["outcome"])
        units = reward_to_fixed(receipts[key].reward)
        learner.absorb(decision, units, seq)
        latest[key] = units, seq
    if folded.to_dict() != stored.to_dict():
        raise damaged("sums that are not those of the rewards")
    for decision in decisions.values():
        if (
            not 0 <= decision.state_seq <= stored.seq
            or not 0 <= decision.epoch <= stored.epochs[decision.arm]
        ):
            _contradiction(decision.decision_id, f"knew row {decision.state_seq}, epoch {decision.epoch}")
    return Content(spec, stored, decisions, receipts, outcomes, rows, history, events)


def _decision(document: Mapping[str, Any], spec: BanditSpec, encoder: Encoder, keyed: Keyed) -> Decision:
    decision_id = _a(document, "decision_id", str)
    clean, phi = encoder.encode(_a(document, "context", dict))
    index, arm = spec.arms.locate(document["arm"])
    eligible = document["eligible"]
    if eligible is not None and not _indices(eligible, len(spec.arms), index):
        _contradiction(decision_id, f"chose {index} out of {shown(eligible)}")
    stages = tuple(_stage(stage, spec, decision_id, keyed) for stage in _a(document, "stages", list))
    decision = Decision(
        spec.name,
        decision_id,
        clean,
        (*phi, *spec.arms.encode(index, arm.parameters)),
        None if eligible is None else tuple(eligible),
        stages,
        index,
        arm.arm_id,
        arm.strategy,
        dict(arm.parameters),
        _a(document, "propensity", float),
        _a(document, "epoch", int),
        _a(document, "reason", str),
        _a(document, "mode", str),
        spec.spec_hash,
        _a(document, "state_seq", int),
        _a(document, "time", float | int | None),
    )
    drawn = spec.arms.drawn(stages)
    if drawn != arm.arm_id or decision.propensity != product(stages):
        _contradiction(decision_id, f"drew {drawn} with probability {product(stages)!r}")
    if canonical_json(decision.to_dict()) != canonical_json(document):
        _contradiction(decision_id, "does not follow from its context and the spec")
    return decision


def _indices(eligible: object, count: int, chosen: int) -> bool:
    """Tell whether ``eligible`` is an ascending list of indices below ``count``, ``chosen`` among them."""
    return (
        isinstance(eligible, list)
        and all(type(i) is int and 0 <= i < count for i in eligible)
        and eligible == sorted(set(eligible))
        and chosen in eligible
    )


def _stage(document: Mapping[str, Any], spec: BanditSpec, decision_id: str, keyed: Keyed) -> Stage:
    name, chosen = _a(document, "name", str), _a(document, "chosen", int)
    names = spec.arms.units if document["names"] is None else tuple(_a(document, "names", list))
    pmf = tuple(_a(document, "pmf", list))
    usable = len(pmf) == len(names) and all(type(mass) is int and mass >= 0 for mass in pmf)
    if not usable or sum(pmf) != TOTAL:
        _contradiction(decision_id, f"stage '{name}' has a pmf of {len(pmf)} for {len(names)} names")
    if bisect_right(list(accumulate(pmf)), keyed.uniform(decision_id, name)) != chosen:
        _contradiction(decision_id, f"stage '{name}': its pmf draws another than number {chosen}")
    return Stage(name, names, pmf, chosen)


def _row(document: Mapping[str, Any], seq: int, decision: Decision, spec: BanditSpec) -> RewardRow:
    reward = _a(document, "reward", float | None)
    outcome = _a(document, "outcome", dict | None)
    values = {name: _a(document, name, kind) for name, kind in _ROW_FIELDS.items()}
    if values["kind"] not in _KINDS or values["units"] != (
        None if reward is None else reward_to_fixed(reward)
    ):
        raise damaged(f"row {seq}, of kind {values['kind']!r} and {values['units']} units")
    RewardState(values["state"])
    draft = RewardRow.bare(decision, spec.encoding, values["reported_at"], values["kind"])
    row = draft._replace(seq=seq, outcome=outcome, pricing=_a(document, "pricing", dict), **values)
    if set(document) != set(_row_document(row)):
        raise damaged(f"row {seq}, with fields {sorted(document)}")
    return row


def _receipt(document: Mapping[str, Any], seq: int) -> Receipt:
    components: Mapping[str, float] = _a(document, "components", dict)
    missing: Sequence[str] = _a(document, "missing", list)
    if not all(type(score) is float for score in components.values()):
        raise damaged(f"row {seq}, with components {shown(components)}")
    if not all(type(name) is str for name in missing):
        raise damaged(f"row {seq}, which misses {shown(missing)}")
    decision_id, reward = _a(document, "decision_id", str), _a(document, "reward", float)
    return Receipt(decision_id, seq, reward, True, components, tuple(missing))


def _a(document: Mapping[str, Any], key: str, kind: type | UnionType) -> Any:
    value = document[key]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise damaged(f"'{key}' of {shown(value)}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _foreign(found: str) -> DocumentInvalid:
    return DocumentInvalid(
        "the text is not the document of a bandit",
        expected=f'a JSON object with "format": "{_FORMAT}"',
        found=found[:200],
        fix="pass what Bandit.to_json() returned",
    )


def damaged(found: str) -> DocumentInvalid:
    """The error for a document whose content cannot be what was written."""
    return DocumentInvalid(
        "the document of a bandit is damaged",
        expected="the content that Bandit.to_json() wrote",
        found=found[:200],
        fix="restore the document from a copy; it is not meant to be edited",
    )


def _contradiction(decision_id: str, found: str) -> NoReturn:
    raise damaged(f"decision '{decision_id}', which {found}")
