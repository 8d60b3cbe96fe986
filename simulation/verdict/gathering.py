"""``gathered``: a log of any length, made ready to be judged: in memory if it is short, else on disk.

Rows come once, in any order, and leave memory in runs. What must be known of all of them at once is kept
small: arms, contexts, and of each decision's id a digest on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...bandit.learner import checked_id
from ...errors import InputInvalid, LogInvalid, SupportMissing, shown
from ..interchange import LoggedChoice, read_columns, read_log
from ..interchange.columns import ChoiceColumns
from .disk import ROW, DiskLog, Rows, Run
from .judged import Judged, Metric
from .log import context_key, judged_log, named_context

__all__ = ["BATCH_ROWS", "CONTEXTS_MAX", "Gathering", "gathered", "gathered_file", "popped"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Record = npt.NDArray[np.void]

BATCH_ROWS = 200_000
"""Rows that are kept in memory at a time."""
CONTEXTS_MAX = 20_000
"""Different contexts of a log on disk that are told apart: policies are tables of contexts × arms."""

_ID = np.dtype([("high", "<u8"), ("low", "<u8"), ("line", "<i8")])
_KEY = np.dtype([("seq", "<i8"), ("time", "<f8"), ("line", "<i8")])
_BUCKETS = 64
_SAMPLE = 256


def gathered(
    choices: Iterable[LoggedChoice], folder: Path, metric: Metric = "success", *, rows: int = BATCH_ROWS
) -> Judged:
    """A log as ``judged_log`` makes it; one of more than ``rows`` rows is written to ``folder``.

    Verdicts on the same rows in memory and on disk agree up to rounding (1e-9).

    Raises
    ------
    LogInvalid, SupportMissing : see ``judged_log``. InputInvalid : fewer than 1,000 rows at a time.
    OSError : the folder has no room.
    """
    check_rows(rows)
    stream = iter(choices)
    begin = list(islice(stream, rows + 1))
    if len(begin) <= rows:
        return judged_log(begin, metric)
    found = Gathering(folder, metric, rows)
    # Popped, so that what is on disk does not stay in memory.
    begin.reverse()
    for choice in chain(popped(begin), stream):
        found.add(choice)
    return found.finish()


def gathered_file(
    path: str | Path, folder: Path, metric: Metric = "success", *, rows: int = BATCH_ROWS
) -> Judged:
    """``gathered`` from a file; a long Parquet file is read by columns.

    Raises
    ------
    LogInvalid, LogUnreadable : see ``read_log``. And what ``gathered`` raises.
    """
    check_rows(rows)
    pieces = read_columns(path, rows)
    if pieces is None:
        return gathered(read_log(path), folder, metric, rows=rows)
    found = Gathering(folder, metric, rows)
    for piece in pieces:
        if isinstance(piece, ChoiceColumns):
            found.add_columns(piece)
        else:
            for choice in piece:
                found.add(choice)
    return found.finish()


def check_rows(rows: int) -> None:
    """Refuse a number of rows that is too small for a memory."""
    if type(rows) is not int or rows < 1000:
        raise InputInvalid(
            "too few rows are kept in memory",
            expected="a whole number from 1,000",
            found=shown(rows),
            fix=f"{BATCH_ROWS:,} is usual",
        )


def popped(rows: list[LoggedChoice]) -> Iterator[LoggedChoice]:
    """The last row first; each leaves memory when it is taken."""
    while rows:
        yield rows.pop()


class Gathering:
    """Takes rows in, and makes a ``DiskLog`` of them.

    folder : empty; whoever made it deletes it when the log is not needed any more.
    """

    def __init__(self, folder: Path, metric: Metric, rows: int = BATCH_ROWS) -> None:
        self._folder, self._metric, self._batch = folder, metric, rows
        self._runs: list[Run] = []
        self._arms: dict[str, int] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._contexts: list[Mapping[str, Any]] = []
        self._eligible: list[tuple[str, ...] | None] = []
        self._rows: list[tuple[Any, ...]] = []
        self._pmfs: list[Mapping[str, float]] = []
        self._digests: list[bytes] = []
        self._seen = self._without = self._held_out = 0
        self._share = 0.0
        self._sequenced = self._timed = self._whole = True

    def add(self, choice: LoggedChoice) -> None:
        """Take in a row."""
        self._seen += 1
        self._sequenced = self._sequenced and choice.state_seq is not None
        self._timed = self._timed and choice.time is not None
        if choice.reason == "holdout":
            self._held_out += 1
            self._share = choice.propensity or self._share
            return
        reward = self._metric == "reward"
        value = choice.reward if reward else choice.success
        if value is None:
            self._without += 1
            return
        beside = choice.success if reward else choice.reward
        self._rows.append(
            (
                -1 if choice.state_seq is None else choice.state_seq,
                np.nan if choice.time is None else choice.time,
                choice.line,
                self._arms.setdefault(choice.arm_id, len(self._arms)),
                self._cell(choice),
                value,
                np.nan if beside is None else beside,
                np.nan if choice.propensity is None else choice.propensity,
            )
        )
        if choice.pmf is None or choice.arm_id not in choice.pmf:
            self._whole = False
        elif self._whole:
            for arm in choice.pmf:
                if arm not in self._arms:
                    self._arms[arm] = len(self._arms)
            self._pmfs.append(choice.pmf)
        for arm in () if self._whole else choice.pmf or ():
            self._arms.setdefault(arm, len(self._arms))
        self._digests.append(_digest(choice.decision_id))
        if len(self._rows) >= self._batch:
            self._flush()

    def add_columns(self, columns: ChoiceColumns) -> None:
        """Take in rows as arrays.

        Raises
        ------
        InputInvalid : an id that is none.
        """
        self._flush()
        n = len(columns.kind)
        self._seen += n
        self._sequenced = self._sequenced and bool((columns.state_seq >= 0).all())
        self._timed = self._timed and not bool(np.isnan(columns.time).any())
        held = np.array([kind.reason == "holdout" for kind in columns.kinds])[columns.kind]
        self._held_out += int(held.sum())
        known = columns.propensity[held & ~np.isnan(columns.propensity)]
        self._share = float(known[-1]) if len(known) else self._share
        values = columns.success, columns.reward
        value, beside = values if self._metric == "success" else values[::-1]
        none = np.isnan(value) & ~held
        self._without += int(none.sum())
        kept = ~held & ~none
        chosen = columns.kind[kept]
        if len(chosen) == 0:
            return
        arm, cell = np.zeros(len(columns.kinds), np.int64), np.zeros(len(columns.kinds), np.int64)
        numbers, at = np.unique(chosen, return_index=True)
        used = numbers[np.argsort(at)].tolist()  # in the order in which they come
        for number in used:
            kind = columns.kinds[number]
            for name in (kind.arm_id, *(kind.pmf or ())):
                self._arms.setdefault(name, len(self._arms))
            arm[number], cell[number] = self._arms[kind.arm_id], self._cell(kind)
            self._whole = self._whole and kind.pmf is not None
        table = np.zeros((len(columns.kinds), len(self._arms)))
        for number in used if self._whole else ():
            for name, mass in (columns.kinds[number].pmf or {}).items():
                table[number, self._arms[name]] = mass
        rows = np.zeros(len(chosen), ROW)
        rows["seq"], rows["time"] = columns.state_seq[kept], columns.time[kept]
        rows["line"] = columns.line + np.flatnonzero(kept)
        rows["arm"], rows["cell"] = arm[chosen], cell[chosen]
        rows["value"], rows["beside"] = value[kept], beside[kept]
        rows["propensity"] = columns.propensity[kept]
        names = columns.ids
        digests = b"".join(_digest(checked_id(names[i])) for i in np.flatnonzero(kept).tolist())
        self._keep(rows, table[chosen] if self._whole else None, _numbered(digests, rows))

    def finish(self) -> DiskLog:
        """The log; nothing can be added any more.

        Raises
        ------
        SupportMissing : no row has the metric. LogInvalid : a decision comes twice.
        """
        self._flush()
        if not self._runs:
            raise SupportMissing(
                f"the log has no decision with a {self._metric}",
                expected=f"rows with a {self._metric}, outside of the holdout cohort",
                found=f"{self._seen:,} rows, none of them",
                fix="report outcomes, or judge by another --metric",
            )
        self._refuse_repeated()
        if self._sequenced or self._timed:
            self._order()
        told_apart = len(self._numbers) <= CONTEXTS_MAX
        merged = np.arange(len(self._contexts))
        contexts, eligible = self._contexts, self._eligible
        if not told_apart:
            sets = {only: number for number, only in enumerate(dict.fromkeys(eligible))}
            merged = np.array([sets[only] for only in eligible], np.int64)
            contexts, eligible = [{} for _ in sets], list(sets)
        ids = tuple(sorted(self._arms))
        rows = Rows(
            self._folder,
            tuple(self._runs),
            ids,
            np.array([ids.index(arm) for arm in self._arms], np.int64),
            tuple(contexts),
            tuple(eligible),
            tuple(named_context(context, only) for context, only in zip(contexts, eligible, strict=True)),
            merged,
            self._whole,
            0.0 if self._whole else self._share,
        )
        count = sum(run.rows for run in self._runs)
        return DiskLog(
            rows, 0, count, count, self._metric, self._without, self._held_out, told_apart=told_apart
        )

    def _cell(self, choice: LoggedChoice) -> int:
        key = context_key(choice)
        if key not in self._numbers:
            if len(self._numbers) > CONTEXTS_MAX:
                # They will not be told apart: who is eligible is all that counts.
                key = choice.eligible, None
            if key not in self._numbers:
                self._numbers[key] = len(self._contexts)
                self._contexts.append(dict(choice.context))
                self._eligible.append(choice.eligible)
        return self._numbers[key]

    def _flush(self) -> None:
        if not self._rows:
            return
        rows = np.array(self._rows, ROW)
        pmf = None
        if self._whole:
            pmf = np.zeros((len(rows), len(self._arms)))
            for i, masses in enumerate(self._pmfs):
                for arm, mass in masses.items():
                    pmf[i, self._arms[arm]] = mass
        self._keep(rows, pmf, _numbered(b"".join(self._digests), rows))
        self._rows, self._pmfs, self._digests = [], [], []

    def _keep(self, rows: Record, pmf: Floats | None, ids: Record) -> None:
        self._runs.append(Run.write(self._folder / f"run-{len(self._runs):06}.npy", rows, pmf))
        bucket = (ids["high"] % _BUCKETS).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[order], np.arange(_BUCKETS + 1))
        for number in range(_BUCKETS):
            with (self._folder / f"ids-{number:02}").open("ab") as file:
                file.write(ids[order[ends[number] : ends[number + 1]]].tobytes())

    def _refuse_repeated(self) -> None:
        for number in range(_BUCKETS):
            path = self._folder / f"ids-{number:02}"
            ids = np.fromfile(path, _ID)
            path.unlink()
            ids = ids[np.lexsort((ids["line"], ids["low"], ids["high"]))]
            same = (ids["high"][1:] == ids["high"][:-1]) & (ids["low"][1:] == ids["low"][:-1])
            if same.any():
                at = int(np.argmax(same))
                raise LogInvalid(
                    "a decision is in the log twice",
                    expected="one row for each decision",
                    found=f"the same decision_id in lines {ids['line'][at]:,} and {ids['line'][at + 1]:,}",
                    fix="keep the row with the final reward; what counts twice narrows every interval",
                )

    def _order(self) -> None:
        """Bring the rows into the order in which they were decided, a run in memory at a time."""
        runs = self._runs
        last = None
        sorted_already = True
        for run in runs:
            keys = self._keys(run.read()[0])
            order = _by(keys)
            sorted_already = sorted_already and bool((order == np.arange(len(order))).all())
            sorted_already = sorted_already and (last is None or last <= tuple(keys[0]))
            last = tuple(keys[-1])
        if sorted_already:
            return
        sample = []
        for run in runs:
            rows, pmf = run.read()
            keys = self._keys(rows)
            order = _by(keys)
            Run.write(run.path, rows[order], None if pmf is None else pmf[order])
            sample.append(keys[order[:: max(1, len(order) // _SAMPLE)]])
        pooled = np.concatenate(sample)
        pooled = pooled[_by(pooled)]
        count = -(-sum(run.rows for run in runs) // self._batch)
        pivots = pooled[np.linspace(0, len(pooled), count + 1).astype(int)[1:-1]]
        cuts = [[0, *np.searchsorted(self._keys(run.read()[0]), pivots).tolist(), run.rows] for run in runs]
        self._runs = []
        for number in range(count):
            pieces = [run.read(cut[number], cut[number + 1]) for run, cut in zip(runs, cuts, strict=True)]
            rows = np.concatenate([piece[0] for piece in pieces])
            if len(rows) == 0:
                continue
            pmf = self._stacked([piece[1] for piece in pieces]) if self._whole else None
            order = _by(self._keys(rows))
            path = self._folder / f"ordered-{number:06}.npy"
            self._runs.append(Run.write(path, rows[order], None if pmf is None else pmf[order]))
        for run in runs:
            run.remove()

    def _stacked(self, pmfs: list[Floats | None]) -> Floats:
        """Pmfs below each other, each with a column for every arm."""
        known = [pmf for pmf in pmfs if pmf is not None]
        found = np.zeros((sum(map(len, known)), len(self._arms)))
        at = 0
        for pmf in known:
            found[at : at + len(pmf), : pmf.shape[1]] = pmf
            at += len(pmf)
        return found

    def _keys(self, rows: Record) -> Record:
        """What rows are ordered by: ``in_order``'s keys, then the line."""
        keys = np.zeros(len(rows), _KEY)
        if self._sequenced:
            keys["seq"] = rows["seq"]
        keys["time"] = np.nan_to_num(rows["time"])
        keys["line"] = rows["line"]
        return keys


def _digest(decision_id: str) -> bytes:
    return hashlib.blake2b(decision_id.encode(), digest_size=16).digest()


def _numbered(digests: bytes, rows: Record) -> Record:
    """Digests of 16 bytes each, with the rows' lines."""
    ids = np.empty(len(rows), _ID)
    halves = np.frombuffer(digests, "<u8").reshape(-1, 2)
    ids["high"], ids["low"], ids["line"] = halves[:, 0], halves[:, 1], rows["line"]
    return ids


def _by(keys: Record) -> Integers:
    found: Integers = np.lexsort((keys["line"], keys["time"], keys["seq"]))
    return found
