"""What has to hold after any crash, checked from the database and the writers' journals alone.

The fold here is written anew, in plain integers, so that it does not share a fault with the one it checks.

Journals are read before the database where what was acknowledged must be stored, and after it where what is
stored must have been sent: so the checks may run while writers go on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from nyx_learning.bandit import Learner
from nyx_learning.canonical import canonical_json, digest
from nyx_learning.features import Encoder
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.replica import Replica
from nyx_learning.persistence.store import Store
from nyx_learning.service.verification import verify_log
from tests.crash.journal import Note, read_notes
from tests.crash.traffic import SPEC, context, number_of

__all__ = ["Checks", "Counts"]

_UNIT = 1 << 16
_Report = tuple[str, str, int]
"""(decision, kind, revision): what may be stored once."""


@dataclass
class Counts:
    """What the checks have looked at."""

    rows: int = 0
    decisions: int = 0
    acknowledged_reports: int = 0
    acknowledged_decisions: int = 0
    unacknowledged_rows: int = 0
    states: int = 0
    spooled_decisions: int = 0
    spooled_reports: int = 0
    refused_or_repeated: int = 0


@dataclass
class _Journals:
    """All notes so far, sorted by what they say."""

    folder: Path
    offsets: dict[Path, int] = field(default_factory=dict)
    sent: dict[_Report, set[str]] = field(default_factory=lambda: defaultdict(set))
    selected: set[str] = field(default_factory=set)
    decided: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    told: list[Note] = field(default_factory=list)
    abandoned: set[str] = field(default_factory=set)
    spooled_decisions: list[Note] = field(default_factory=list)
    spooled_reports: list[Note] = field(default_factory=list)
    states: list[tuple[int, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def read(self) -> None:
        for path in sorted(self.folder.glob("*.jsonl")):
            notes, self.offsets[path] = read_notes(path, self.offsets.get(path, 0))
            for note in notes:
                self._sort(note)

    def _sort(self, note: Note) -> None:
        what = note["what"]
        if what == "report":
            key = (note["id"], note["kind"], note["revision"])
            self.sent[key].add(canonical_json(note["content"]))
        elif what == "select":
            self.selected.add(note["id"])
        elif what == "decided":
            self.decided[note["id"]].add(note["digest"])
        elif what == "told":
            self.told.append(note)
        elif what == "abandoned":
            self.abandoned.add(note["id"])
        elif what == "spooled_decision":
            self.spooled_decisions.append(note)
        elif what == "spooled_report":
            self.spooled_reports.append(note)
        elif what == "state":
            self.states.append((note["seq"], note["totals"]))
        elif what == "failed":
            self.failures.append(note["error"])


class _PlainFold:
    """Sums of one arm and bucket as lists of Python integers: n, Σr, Σr², Σφr, Σφφᵀ."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, int, int], list[int]] = {}
        self.totals: dict[str, list[int]] = {arm: [0] * _width() for arm in SPEC.arms.units}

    def add(self, arm: str, bucket: tuple[int, int], phi: list[int], units: int, sign: int) -> None:
        block = self.blocks.setdefault((arm, *bucket), [0] * _width())
        products = [a * b for i, a in enumerate(phi) for b in phi[: i + 1]]
        row = [1, units, units * units, *(column * units for column in phi), *products]
        for numbers in (block, self.totals[arm]):
            for i, number in enumerate(row):
                numbers[i] += sign * number

    def absorb(self, row: Mapping[str, Any]) -> None:
        bucket = row["epoch"], (row["place"] or row["seq"]) // SPEC.bucket_rows
        for units, sign in ((row["taken"], -1), (row["units"], 1)):
            if units is not None:
                self.add(row["arm_id"], bucket, row["phi"], units, sign)

    def digest(self) -> str:
        return digest([self.totals[arm] for arm in SPEC.arms.units])


class Checks:
    """Checks one database against the journals in a folder; ``found`` lists what does not hold."""

    def __init__(self, dsn: str, journals: Path) -> None:
        self._dsn, self._journals = dsn, _Journals(journals)
        self._hold = journals / "hold"
        self._encoder = Encoder(SPEC.context)
        self._digests = {0: _PlainFold().digest()}
        self._fold = _PlainFold()
        self._seen_states = 0
        self.counts = Counts()
        self.found: list[str] = []

    def acknowledged(self) -> int:
        """How many calls the writers have seen answered."""
        self._journals.read()
        return len(self._journals.told) + len(self._journals.decided)

    async def run(self, *, whole: bool, alone: bool = False) -> list[str]:
        """Check; ``whole`` re-derives every decision too. ``alone`` : no writer lives any more."""
        self._journals.read()
        told = len(self._journals.told)
        decided = {key: set(digests) for key, digests in self._journals.decided.items()}
        abandoned = set(self._journals.abandoned)
        states = self._journals.states[:]
        connection = await asyncpg.connect(self._dsn)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                if not await connection.fetchval("SELECT to_regclass('nyx.counted') IS NOT NULL"):
                    return []  # killed before the schema was there
                rows = await connection.fetch(
                    "SELECT * FROM nyx.log WHERE bandit = $1 ORDER BY seq, decision_id, kind", SPEC.name
                )
                decisions = await connection.fetch(
                    "SELECT decision_id, digest, arm_id, propensity, state_seq, context FROM nyx.decision"
                    " WHERE bandit = $1",
                    SPEC.name,
                )
                last = await connection.fetchval(
                    "SELECT last_seq FROM nyx.bandit WHERE bandit = $1", SPEC.name
                )
                apart = await connection.fetch(
                    "SELECT decision_id, decision FROM nyx.conflict WHERE bandit = $1", SPEC.name
                )
                unlearned = await connection.fetch(
                    "SELECT DISTINCT decision_id FROM nyx.unlearned WHERE bandit = $1", SPEC.name
                )
        finally:
            await connection.close()
        # The writers were free while it was read. If they went on while it is checked, each check would
        # have more to read than the last, by as much as that one took.
        self._hold.touch()
        try:
            self._compare(rows, decisions, last or 0, told, decided, abandoned, states)
            if alone:
                self._check_spooled(rows, decisions, apart, {row["decision_id"] for row in unlearned})
            if whole and not self.found:
                await self._check_whole(rows, alone=alone)
        finally:
            self._hold.unlink()
        return self.found

    def _compare(
        self,
        rows: list[Any],
        decisions: list[Any],
        last: int,
        told: int,
        decided: dict[str, set[str]],
        abandoned: set[str],
        states: list[tuple[int, str]],
    ) -> None:
        self._journals.read()
        self._check_sequence(rows, last)
        self._check_decisions(decisions, decided)
        self._check_reports(rows, self._journals.told[:told], abandoned)
        self._check_states(rows, states)
        self._check_sums(rows, decisions, self._journals.told[:told])
        self.found += [f"unexpected: {error}" for error in self._journals.failures]
        self.counts = Counts(
            len(rows),
            len(decisions),
            len({(n["id"], n["kind"], n["revision"]) for n in self._journals.told[:told]}),
            len(decided),
            self.counts.unacknowledged_rows,
            len(states),
            len(self._journals.spooled_decisions),
            len(self._journals.spooled_reports),
            sum(not note["applied"] for note in self._journals.told[:told]),
        )

    def _check_sequence(self, rows: list[Any], last: int) -> None:
        for number, row in enumerate(rows, start=1):
            if row["seq"] != number:
                self.found.append(f"sequence: row {number} is missing, row {row['seq']} is there")
                return
        if last != len(rows):
            self.found.append(f"sequence: {len(rows)} rows, the bandit counts {last}")

    def _check_decisions(self, decisions: list[Any], decided: dict[str, set[str]]) -> None:
        stored = {row["decision_id"]: row["digest"] for row in decisions}
        if len(stored) != len(decisions):
            self.found.append("a decision is stored twice")
        for key, digests in decided.items():
            if digests != {stored.get(key)}:
                self.found.append(f"decision {key}: acknowledged {sorted(digests)}, stored {stored.get(key)}")
        for key in stored.keys() - self._journals.selected:
            self.found.append(f"decision {key}: nobody asked for it")

    def _check_reports(self, rows: list[Any], told: list[Note], abandoned: set[str]) -> None:
        stored: dict[_Report, list[Any]] = defaultdict(list)
        for row in rows:
            stored[row["decision_id"], row["kind"], row["revision"]].append(row)
        for key, found in stored.items():
            if len(found) > 1:
                self.found.append(f"{key}: stored {len(found)} times, as rows {[r['seq'] for r in found]}")
            if _content(found[0]) not in self._journals.sent[key]:
                self.found.append(f"{key}: nobody sent what is stored")
        applied: dict[_Report, int] = defaultdict(int)
        for note in told:
            key = (note["id"], note["kind"], note["revision"])
            row = stored[key][0] if key in stored else None
            if row is None:
                self.found.append(f"{key}: acknowledged as row {note['seq']}, and not stored")
            elif (row["seq"], row["reward"], _content(row)) != (
                note["seq"],
                note["reward"],
                canonical_json(note["content"]),
            ):
                self.found.append(f"{key}: acknowledged as row {note['seq']}, stored as row {row['seq']}")
            applied[key] += note["applied"]
        self.found += [f"{key}: {count} callers applied it" for key, count in applied.items() if count > 1]
        self.found += [
            f"decision {name}: acknowledged as abandoned, and not stored"
            for name in abandoned
            if (name, "abandonment", 0) not in stored
        ]
        known = {(note["id"], note["kind"], note["revision"]) for note in told}
        self.counts.unacknowledged_rows = len(stored.keys() - known)

    def _check_spooled(
        self, rows: list[Any], decisions: list[Any], apart: list[Any], unlearned: set[str]
    ) -> None:
        """What was spooled is stored by the end, or kept apart where another process was first."""
        made: dict[str, list[Any]] = defaultdict(list)
        for row in decisions:
            made[row["decision_id"]].append([row["arm_id"], row["propensity"], row["state_seq"]])
        for row in apart:
            document = json.loads(row["decision"])
            made[row["decision_id"]].append([document["arm"], document["propensity"], document["state_seq"]])
        for note in self._journals.spooled_decisions:
            if note["made"] not in made[note["id"]]:
                self.found.append(f"decision {note['id']}: spooled as {note['made']}, and not stored")
        stored = {(row["decision_id"], row["kind"], row["revision"]): _content(row) for row in rows}
        for note in self._journals.spooled_reports:
            if note["id"] not in made:
                continue  # of a workflow that nobody ever decided: the spool keeps it
            key = (note["id"], note["kind"], note["revision"])
            if stored.get(key) != canonical_json(note["content"]) and note["id"] not in unlearned:
                self.found.append(f"{key}: spooled, and neither in the log nor kept apart")

    def _check_states(self, rows: list[Any], states: list[tuple[int, str]]) -> None:
        """A process's memory is the fold of the rows up to the number that it names."""
        for row in rows[len(self._digests) - 1 :]:
            self._fold.absorb(row)
            self._digests[row["seq"]] = self._fold.digest()
        for seq, totals in states[self._seen_states :]:
            if self._digests.get(seq) != totals:
                self.found.append(f"a process named row {seq}, and its sums were not those of that prefix")
        self._seen_states = len(states)

    def _check_sums(self, rows: list[Any], decisions: list[Any], told: list[Note]) -> None:
        """The log's fold is that of what was acknowledged, and of unacknowledged rows at most once each."""
        acknowledged = {note["seq"] for note in told}
        final: dict[str, tuple[int, float | None]] = {}
        contributions = [(note["id"], note["seq"], note["reward"]) for note in told]
        contributions += [
            (row["decision_id"], row["seq"], row["reward"]) for row in rows if row["seq"] not in acknowledged
        ]
        for key, seq, reward in contributions:
            if seq > final.get(key, (0, None))[0]:
                final[key] = seq, reward
        arms = {row["decision_id"]: row["arm_id"] for row in decisions}
        fold = _PlainFold()
        for key, (_, reward) in final.items():
            if reward is not None and key in arms:
                phi = self._encoder.encode(context(number_of(key)))[1]
                fold.add(arms[key], (0, 0), phi, round(reward * _UNIT), 1)
        if fold.totals != self._fold.totals:
            self.found.append("the sums of the log are not those of what was acknowledged")

    async def _check_whole(self, rows: list[Any], *, alone: bool) -> None:
        pool = await connect(self._dsn, connections=2)
        try:
            store = Store(pool, SPEC)
            report = await verify_log(store)
            replica = Replica(Learner(SPEC), store)
            await replica.restore()
        finally:
            await close_pool(pool)
        if not report.ok:
            self.found.append(f"verify: {report.first_divergence}")
        if not alone:
            return  # what follows compares what was read at several moments
        if (report.decisions, replica.seq) != (self.counts.decisions, len(rows)):
            self.found.append(f"verify saw {report.decisions} decisions, a fresh replica row {replica.seq}")
        restored = {name: replica._fold.statistics(name) for name in replica._fold.names()}
        if restored != self._fold.blocks:
            self.found.append("a fresh replica's sums are not those of the log")


def _content(row: Mapping[str, Any]) -> str:
    """What was reported, as the writers note it."""
    if row["kind"] != "reward":
        return "null"
    if row["outcome"] is not None:
        return canonical_json({"outcome": json.loads(row["outcome"])})
    return canonical_json({"reward": json.loads(row["pricing"])["value"]})


def _width() -> int:
    d = Encoder(SPEC.context).dimension
    return 3 + d + d * (d + 1) // 2
