"""``DiskLog``: a log that is larger than memory, as files of rows, read some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import SupportMissing
from ..offpolicy.logged import LoggedData
from .judged import Judged, Metric
from .log import JudgedLog

__all__ = ["ROW", "DiskLog", "Rows", "Run"]

Floats = npt.NDArray[np.float64]
Record = npt.NDArray[np.void]

ROW = np.dtype(
    [
        ("seq", "<i8"),
        ("time", "<f8"),
        ("line", "<i8"),
        ("arm", "<i4"),
        ("cell", "<i4"),
        ("value", "<f8"),
        ("beside", "<f8"),
        ("propensity", "<f8"),
    ]
)
"""A row on disk; what is not known is −1 (``seq``) or NaN. ``line``: of the log it was read from."""


@dataclass(frozen=True, slots=True)
class Run:
    """A file of consecutive rows, and one of their pmfs. ``arms`` : columns of the latter; 0 for no pmfs."""

    path: Path
    rows: int
    arms: int

    @classmethod
    def write(cls, path: Path, rows: Record, pmf: Floats | None) -> Run:
        """Write rows (n,) of ``ROW``, and pmf (n, arms)."""
        np.save(path, rows)
        if pmf is not None:
            np.save(path.with_suffix(".pmf.npy"), pmf)
        return cls(path, len(rows), 0 if pmf is None else pmf.shape[1])

    def read(self, first: int = 0, last: int | None = None) -> tuple[Record, Floats | None]:
        """The rows first … last − 1, and their pmfs (n, arms)."""
        rows = np.load(self.path, mmap_mode="r")[first:last]
        if not self.arms:
            return np.array(rows), None
        return np.array(rows), np.array(np.load(self.path.with_suffix(".pmf.npy"), mmap_mode="r")[first:last])

    def remove(self) -> None:
        """Delete the files."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".pmf.npy").unlink(missing_ok=True)


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """All rows of a log on disk.

    runs : in their order. arms : in theirs; ``place``: the number there of each arm, in the order in which
    runs number them. contexts, eligible, cells : see ``Judged``; ``merged``: the number of each context, in
    the order in which runs number them. whole : every row has a pmf. share : of the holdout, which is a
    factor of every propensity.
    """

    folder: Path
    runs: tuple[Run, ...]
    arms: tuple[str, ...]
    place: npt.NDArray[np.int64]
    contexts: tuple[Mapping[str, Any], ...]
    eligible: tuple[tuple[str, ...] | None, ...]
    cells: tuple[str, ...]
    merged: npt.NDArray[np.int64]
    whole: bool
    share: float = 0.0

    def read(self, run: Run, first: int, last: int) -> tuple[LoggedData, Floats] | None:
        """Rows of a run, with what stands beside; None for no rows."""
        rows, own = run.read(first, last)
        if len(rows) == 0:
            return None
        arm = self.place[rows["arm"]]
        pmf = None
        propensity = np.minimum(rows["propensity"] / (1.0 - self.share), 1.0)
        if self.whole and own is not None:
            pmf = np.zeros((len(rows), len(self.arms)))
            pmf[:, self.place[: own.shape[1]]] = own
            propensity = pmf[np.arange(len(rows)), arm]
        data = LoggedData(
            self.arms,
            arm,
            rows["value"],
            propensity,
            pmf,
            cell=self.merged[rows["cell"]],
            cells=self.cells,
            partly_known=True,
        )
        return data, np.array(rows["beside"])


@dataclass(frozen=True, eq=False)
class DiskLog(Judged):
    """Rows ``first`` … ``last`` − 1 of a log on disk; see ``Judged``.

    count : rows that are judged. swapped : the values are those that stand beside the log's metric.
    """

    rows: Rows
    first: int
    last: int
    count: int
    metric: Metric
    without_metric: int = 0
    held_out: int = 0
    told_apart: bool = True
    swapped: bool = False

    def __len__(self) -> int:
        return self.count

    @property
    def arms(self) -> tuple[str, ...]:
        """See ``Judged``."""
        return self.rows.arms

    @property
    def contexts(self) -> tuple[Mapping[str, Any], ...]:  # type: ignore[override]
        """See ``Judged``."""
        return self.rows.contexts

    @property
    def eligible(self) -> tuple[tuple[str, ...] | None, ...]:  # type: ignore[override]
        """See ``Judged``."""
        return self.rows.eligible

    @property
    def cells(self) -> tuple[str, ...]:
        """See ``Judged``."""
        return self.rows.cells

    @property
    def pmfs(self) -> bool:
        """See ``Judged``."""
        return self.rows.whole

    def batches(self) -> Iterator[JudgedLog]:
        """A run at a time."""
        at = 0
        for run in self.rows.runs:
            first, last = max(self.first - at, 0), min(self.last - at, run.rows)
            at += run.rows
            if first >= last:
                continue
            found = self.rows.read(run, first, last)
            if found is None:
                continue
            data, beside = found
            batch = JudgedLog(data, self.contexts, self.metric, self.eligible, beside=beside)
            if self.swapped:
                known = ~np.isnan(beside)
                if not known.any():
                    continue
                batch = replace(batch, data=data.take(known).with_reward(beside[known]), beside=None)
            yield batch

    def column(self) -> Floats:
        """A file that is gone when nobody holds the column."""
        with TemporaryFile(dir=self.rows.folder) as file:
            file.truncate(8 * len(self))
            return np.asarray(np.memmap(file, np.float64, "r+", shape=(len(self),)))

    def part(self, first: int, last: int) -> DiskLog:
        """See ``Judged``."""
        return replace(self, first=self.first + first, last=self.first + last, count=last - first)

    def other(self) -> DiskLog | None:
        """See ``Judged``."""
        known = self._beside
        if known == 0 or self.swapped:
            return None
        metric: Metric = "reward" if self.metric == "success" else "success"
        return replace(self, metric=metric, count=known, swapped=True)

    @cached_property
    def _beside(self) -> int:
        return sum(
            0 if batch.beside is None else int((~np.isnan(batch.beside)).sum()) for batch in self.batches()
        )

    def thinned(self, rows: int) -> JudgedLog:
        """See ``Judged``."""
        step, at = -(-len(self) // rows), 0
        kept: list[JudgedLog] = []
        for batch in self.batches():
            chosen = np.arange(-at % step, len(batch), step)
            at += len(batch)
            if len(chosen):
                beside = None if batch.beside is None else batch.beside[chosen]
                kept.append(replace(batch, data=batch.data.take(chosen), beside=beside))
        if not kept:
            raise SupportMissing(
                "the log is empty", expected="rows", found="none", fix="read a log that has decisions"
            )
        one = kept[0].data
        pmfs = [part.data.logging for part in kept if part.data.logging is not None]
        data = LoggedData(
            one.arms,
            np.concatenate([part.data.arm for part in kept]),
            np.concatenate([part.data.reward for part in kept]),
            np.concatenate([part.propensity for part in kept]),
            np.concatenate(pmfs) if self.pmfs else None,
            cell=np.concatenate([part.cell for part in kept]),
            cells=one.cells,
        )
        parts = [part.beside for part in kept if part.beside is not None]
        return replace(
            kept[0],
            data=data,
            beside=np.concatenate(parts) if len(parts) == len(kept) else None,
            without_metric=self.without_metric,
            held_out=self.held_out,
            told_apart=self.told_apart,
        )
