"""Check many usual rows of the log at once: each the only row of its decision, and never touched again.

Each comparison of ``plain_row.follows_plainly`` is made here on columns. A row that passes is sound; of one
that does not, ``RowCheck`` says what is wrong, if anything is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..bandit import BanditSpec
from ..bandit.log import REPORT
from ..canonical import canonical_json, quoted
from ..errors import NyxError
from ..features import ONE
from ..jit import kernel
from ..persistence.rows import Row
from ..persistence.wire import Bytes, Integers, WireRows
from ..rewards import Outcome, price
from .spelling import Flags, Recipe, Texts, differs_from, float_texts, spell
from .text_table import TextTable, mixed_hash
from .verify_columns import LOG, DecisionColumns, LogColumns, equal

__all__ = ["Recent", "RowsAgain", "Seen"]

_LEAST_BITS, _MOST_BITS = 20, 30
_BITS_A_ROW = 24
_KEPT = 10_000
_FORGOTTEN = -2


class Seen:
    """Which decisions had a row before: a Bloom filter, so it may say so of one that had none.

    Its size is bounded: of very long logs more rows are looked at one by one, none is overlooked.
    """

    def __init__(self, rows: int) -> None:
        bits = max(_LEAST_BITS, min(_MOST_BITS, (rows * _BITS_A_ROW).bit_length()))
        self._words = np.zeros(1 << (bits - 6), np.uint64)

    def add(self, rows: WireRows) -> Flags:
        """Take rows in, in their order; returns which may be about a decision that had a row before."""
        f = rows.at("decision_id")
        out = np.zeros(len(rows), np.bool_)
        _add(rows.data, rows.place[:, f], rows.length[:, f], self._words, out)
        return out


class Recent:
    """What rows must say of the decisions that came by lately."""

    def __init__(self, specs: Mapping[str, BanditSpec]) -> None:
        self._specs = list(specs)
        self._encodings = {spec.encoding: _dimension(spec) for spec in specs.values()}
        self.width = max(self._encodings.values(), default=1)
        self._arms, self._ids = TextTable(), TextTable()
        self._base = 0
        self._pieces: list[tuple[int, WireRows]] = []
        self.table = np.zeros((0, 4), np.int64)
        self.phi = np.zeros((0, self.width), np.int64)
        self.propensity = np.zeros(0)
        self.chances = float_texts(np.zeros(0), np.zeros(0, np.bool_))

    def arms(self, rows: WireRows) -> Integers:
        """A number for each arm id, −1 for NULL."""
        if len(self._arms) > _KEPT:  # a space has arms without end
            self._arms = TextTable()
            self.table[:, 0] = _FORGOTTEN
        return self._arms.number(*rows.field("arm_id"))

    def encoded(self, rows: WireRows) -> tuple[Integers, Integers]:
        """A number for each known encoding with a φ that fits it, −1 for others; and φ, with zeros behind."""
        code, phi = np.full(len(rows), -1, np.int64), np.zeros((len(rows), self.width), np.int64)
        for number, (encoding, dimension) in enumerate(self._encodings.items()):
            mine = np.flatnonzero(equal(rows, "encoding", encoding))
            own, whole = rows.arrays("phi", mine, dimension)
            code[mine[whole]] = number
            phi[mine[whole], :dimension] = own[whole]
        return code, phi

    def add(self, decisions: DecisionColumns) -> None:
        """Remember decisions; no row can be checked by columns against one of an unknown spec."""
        rows = decisions.rows
        code, phi = self.encoded(rows)
        known = np.zeros(len(rows), np.bool_)
        for spec_hash in self._specs:
            known |= equal(rows, "spec_hash", spec_hash)
        code[~known] = -1
        self._forget()
        arms = self.arms(rows)
        table = np.stack([arms, code, decisions.epochs, decisions.days], axis=1)
        held_out = equal(rows, "reason", "holdout")
        chosen, chances = np.where(held_out, 0.0, decisions.propensities), decisions.chances
        if held_out.any():  # the policy did not choose these
            chances = float_texts(chosen, np.ones(len(rows), np.bool_))
        self._pieces.append((self._base + len(self._ids), rows))
        self._ids.append(*rows.field("decision_id"))
        self.table = np.concatenate([self.table, table])
        self.phi = np.concatenate([self.phi, phi])
        self.propensity = np.concatenate([self.propensity, chosen])
        self.chances = self.chances.joined(chances)

    def row(self, key: str) -> Row | None:
        """The stored decision, None for one that is not remembered."""
        sent = np.frombuffer(key.encode(), np.uint8)
        (at,) = self._ids.find(sent, np.zeros(1, np.int64), np.array([len(sent)], np.int64)).tolist()
        if at < 0:
            return None
        rows, i = self._piece(at)
        return rows.row(i)

    def context(self, at: int) -> bytes:
        """The context of the decision that stands at this place in the columns."""
        rows, i = self._piece(at)
        place, length = rows.place[i, rows.at("context")], rows.length[i, rows.at("context")]
        return rows.sent[place : place + length] if length >= 0 else b""

    def places(self, rows: WireRows) -> Integers:
        """Where the decision of each row stands in the columns, −1 for one that is not remembered."""
        return self._ids.find(*rows.field("decision_id"))

    def _piece(self, at: int) -> tuple[WireRows, int]:
        number = self._base + at
        first, rows = next(piece for piece in reversed(self._pieces) if piece[0] <= number)
        return rows, number - first

    def _forget(self) -> None:
        extra = len(self._ids) - _KEPT
        if extra < _KEPT:
            return
        self._base += extra
        self._ids.drop(extra)
        self._pieces = [piece for piece in self._pieces if piece[0] + len(piece[1]) > self._base]
        self.table, self.phi = self.table[extra:].copy(), self.phi[extra:].copy()
        self.propensity = self.propensity[extra:].copy()
        self.chances = self.chances.part(slice(extra, None))


class RowsAgain:
    """Checks pages of the log against the decisions that their rows are about."""

    def __init__(self, specs: Mapping[str, BanditSpec], bandit: str, recent: Recent, seen: Seen) -> None:
        self._specs, self._recent, self._seen = specs, recent, seen
        self._recipe = _recipe(bandit)
        self._bare = {key: _bare_price(spec) for key, spec in specs.items()}

    def missing(self, page: LogColumns) -> list[str]:
        """Decisions that rows of a page are about, and that are not remembered."""
        missing = np.flatnonzero(self._recent.places(page.rows) < 0)
        keys = set(page.rows.part(missing).raw("decision_id"))
        return sorted(key.decode() for key in keys if key is not None)

    def others(self, page: LogColumns) -> list[int]:
        """Places of the rows that ``RowCheck`` must look at: all that are not usual and sound, and those
        about the same decisions.
        """
        rows, recent = page.rows, self._recent
        again = self._seen.add(rows)
        good = self._usual(rows) & ~again & (page.taken == -1) & (page.units >= 0)
        places = recent.places(rows)
        good &= places >= 0
        at = np.maximum(places, 0)
        if len(recent.table) == 0:
            return list(range(len(page)))
        code, phi = recent.encoded(rows)
        arms = recent.arms(rows)
        told = np.stack([arms, code, page.epochs, rows.integers("decided_on", 0)], axis=1)
        reward, rewarded = rows.floats("reward")
        propensity, _ = rows.floats("propensity")
        good &= (code >= 0) & (told == recent.table[at]).all(axis=1) & (phi == recent.phi[at]).all(axis=1)
        good &= rewarded & (reward >= 0.0) & (reward <= 1.0)
        good &= np.rint(np.where(good, reward, 0.0) * ONE).astype(np.int64) == page.units
        good &= propensity == recent.propensity[at]
        # Equal numbers have equal texts, but for the zero with a sign.
        good &= ~((propensity == 0.0) & np.signbit(propensity))
        rewards = float_texts(reward, rewarded)
        reported = float_texts(*rows.floats("reported_at"))
        spelled = spell(self._recipe, rows, (), [recent.chances.part(at), reported, rewards])
        good &= spelled.done & ~spelled.hashes_differ(rows, rows.at("digest"))
        good &= self._priced(page, at, good, rewards)
        return self._with_same(page, good)

    def _usual(self, rows: WireRows) -> Flags:
        good = equal(rows, "kind", REPORT) & equal(rows, "state", "final")
        for name in ("source", "identifier"):
            good &= rows.length[:, rows.at(name)] == 0
        for name in ("place", "revision"):
            good &= rows.integers(name, -1) == 0
        return good

    def _priced(self, page: LogColumns, at: Integers, good: Flags, rewards: Texts) -> Flags:
        """Which rows have the price that the spec which priced them gives."""
        rows = page.rows
        bare = rows.length[:, rows.at("outcome")] < 0
        out = np.zeros(len(rows), np.bool_)
        for key, spec in self._specs.items():
            mine = equal(rows, "priced_by", key) & good
            if (mine & bare).any():
                expected = spell(self._bare[key], rows, (), [rewards])
                out |= mine & bare & ~differs_from(expected, rows, rows.at("pricing"))
            told = np.flatnonzero(mine & ~bare).tolist()
            if told:
                part = rows.part(np.array(told, np.int64))
                reward = part.floats("reward")[0].tolist()
                columns = zip(told, part.raw("outcome"), part.raw("pricing"), reward, strict=True)
                for i, outcome, pricing, value in columns:
                    context = self._recent.context(int(at[i]))
                    out[i] = _follows(outcome or b"", context, spec, value, pricing or b"")
        return out

    def _with_same(self, page: LogColumns, good: Flags) -> list[int]:
        others = np.flatnonzero(~good).tolist()
        if not others:
            return []
        ids = page.rows.raw("decision_id")
        keys = {ids[i] for i in others}
        return [i for i, key in enumerate(ids) if not good[i] or key in keys]


def _dimension(spec: BanditSpec) -> int:
    return spec.context.dimension + spec.arms.extra


def _follows(outcome: bytes, context: bytes, spec: BanditSpec, reward: float, pricing: bytes) -> bool:
    try:
        told = Outcome.from_dict(json.loads(outcome.decode()))
        priced = price(told, spec.reward, context=json.loads(context.decode()))
    except (NyxError, TypeError, ValueError, KeyError):
        return False
    return priced.value == reward and canonical_json(priced.to_dict()).encode() == pricing


def _bare_price(spec: BanditSpec) -> Recipe:
    """The column ``pricing`` of a bare reward."""
    return Recipe.of(
        list(LOG),
        '{"components":{},"gates":[],"missing":[],"profile":null,"reference_time_s":null,"reference_version":null,'
        f'"reward_fn_version":{quoted(spec.reward.version)},"value":',
        ("text", 0),
        "}",
    )


def _recipe(bandit: str) -> Recipe:
    """``RewardRow.digest`` of a usual row."""
    return Recipe.of(
        list(LOG),
        '{"arm_id":',
        ("quoted", "arm_id"),
        f',"bandit":{quoted(bandit)},"decision_id":',
        ("quoted", "decision_id"),
        ',"encoding":',
        ("quoted", "encoding"),
        ',"epoch":',
        ("int", "epoch"),
        ',"outcome":',
        ("json or null", "outcome"),
        ',"phi":',
        ("list", "phi"),
        ',"priced_by":',
        ("quoted", "priced_by"),
        ',"pricing":',
        ("json", "pricing"),
        ',"propensity":',
        ("text", 0),
        ',"reported_at":',
        ("text", 1),
        ',"reward":',
        ("text", 2),
        ',"seq":',
        ("int", "seq"),
        ',"units":',
        ("int", "units"),
        "}",
    )


@kernel
def _add(data: Bytes, place: Integers, length: Integers, words: npt.NDArray[np.uint64], out: Flags) -> None:
    mask = np.uint64(words.shape[0] * 64 - 1)
    for i in range(out.shape[0]):
        if length[i] < 0:
            continue
        h = mixed_hash(data, place[i], place[i] + length[i])
        step = (h >> np.uint64(32)) | np.uint64(1)
        known = True
        for _ in range(5):
            bit = h & mask
            word = bit >> np.uint64(6)
            flag = np.uint64(1) << (bit & np.uint64(63))
            if words[word] & flag == np.uint64(0):
                known = False
                words[word] |= flag
            h += step
        out[i] = known
