"""``import``: a log from a file into a bandit, all of it or what of it fits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..bandit import Learner
from ..errors import ImportRejected, NyxError
from ..persistence.database import reaching
from ..persistence.importing import Imported, importing, staged_record
from ..persistence.replica import Replica
from ..persistence.store import Store
from ..rewards import reference_for
from ..simulation.interchange import Fitter, LoggedChoice, Reject, read_log

__all__ = ["ImportReport", "LogRejected", "import_and_learn", "import_log"]

_PAGE = 2000
_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a log.

    applied : whether anything was written; False where a line was rejected and none may be skipped.
    lines : that hold something. decisions : that are new. known : lines that say what is stored already.
    rewards : that were learned, with the numbers ``first_seq`` to ``last_seq`` of the sequence (0 for none).
    unknown_propensities : new decisions whose propensity nobody logged. outcomes_dropped : outcomes that were
    not kept, because their price under the spec is not the reward that was logged; the reward counts.
    rejected : lines that were not imported. rejects : the first 10,000 of them, with reasons.
    ignored : columns and keys that the format does not have, sorted.
    """

    bandit: str
    applied: bool
    lines: int
    decisions: int
    known: int
    rewards: int
    first_seq: int
    last_seq: int
    unknown_propensities: int
    outcomes_dropped: int
    rejected: int
    rejects: tuple[Reject, ...]
    ignored: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "bandit": self.bandit,
            "applied": self.applied,
            "lines": self.lines,
            "decisions": self.decisions,
            "known": self.known,
            "rewards": self.rewards,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "unknown_propensities": self.unknown_propensities,
            "outcomes_dropped": self.outcomes_dropped,
            "rejected": self.rejected,
            "rejects": [reject.to_dict() for reject in self.rejects],
            "ignored": list(self.ignored),
        }


class LogRejected(ImportRejected):
    """Lines of a log cannot be imported, so none was; ``report`` lists them."""

    report: ImportReport

    @classmethod
    def of(cls, report: ImportReport) -> LogRejected:
        """The error for a report with rejects."""
        first = report.rejects[0]
        error = cls(
            f"{report.rejected:,} of {report.lines:,} lines cannot be imported, so none was",
            expected=f"lines that fit bandit '{report.bandit}'; in line {first.line}: {first.error.expected}",
            found=f"line {first.line}: {first.error.what}: {first.error.found}"[:300],
            fix="correct the lines, or skip them (skip_bad=True, --skip-bad)",
        )
        error.report = report
        return error


async def import_log(
    store: Store,
    epochs: Sequence[int],
    path: str | Path,
    *,
    form: str | None = None,
    skip_bad: bool = False,
    time: float | None = None,
) -> ImportReport:
    """Import a log into a bandit, in one transaction.

    epochs : of the units of the spec's arms, which new rewards join. time : of the import, stored with
    rewards.

    Raises
    ------
    LogRejected : a line does not fit, and ``skip_bad`` is False; nothing was written.
    LogUnreadable, PackageMissing : the file cannot be read to its end; nothing was written.
    """
    spec, tally = store.own_spec, _Tally()
    lines = read_log(path, form=form, schema=spec.context, rejected=tally.unreadable, ignored=tally.ignored)
    with reaching():
        async with importing(store) as transaction:
            last = transaction.state_seq
            references = reference_for(transaction.adopted, last, now_seq=last)
            fitter = Fitter(spec, epochs=epochs, state_seq=last, references=references, reported_at=time)
            async with aclosing(_pages(lines, fitter, tally)) as pages:
                async for records in pages:
                    # Where all is lost, the other lines are only looked at for what is wrong with them, too.
                    if skip_bad or not tally.rejected:
                        await transaction.stage(records)
            done = Imported()
            if skip_bad or not tally.rejected:
                done = await transaction.finish(tally.refuse)
            if tally.rejected and not skip_bad:
                raise LogRejected.of(tally.report(store.bandit, Imported(), applied=False))
    return tally.report(store.bandit, done, applied=True)


async def _pages(
    lines: Generator[LoggedChoice, None, None], fitter: Fitter, tally: _Tally
) -> AsyncGenerator[list[tuple[Any, ...]], None]:
    """Records in pages; the next one is read in a thread while a page is worked on."""
    reading = asyncio.ensure_future(asyncio.to_thread(_fitted, lines, fitter, tally))
    try:
        while True:
            seen, records = await asyncio.shield(reading)
            if not seen:
                return
            reading = asyncio.ensure_future(asyncio.to_thread(_fitted, lines, fitter, tally))
            if records:
                yield records
    finally:
        # A thread cannot be stopped, and a file that is being read cannot be closed.
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()
        lines.close()


async def import_and_learn(
    store: Store, path: str | Path, *, form: str | None, skip_bad: bool, time: float
) -> ImportReport:
    """``import_log`` without an engine; the sums are stored behind it, so that the next engine opens fast."""
    learner = await asyncio.to_thread(Learner, store.own_spec)
    replica = Replica(learner, store)
    with reaching():
        await replica.restore()
    report = await import_log(store, learner.sums.epochs, path, form=form, skip_bad=skip_bad, time=time)
    with reaching():
        await replica.catch_up()
        await replica.checkpoint()
    return report


class _Tally:
    """Counts what happens to the lines."""

    def __init__(self) -> None:
        self.lines = self.outcomes_dropped = self.rejected = 0
        self.ignored: set[str] = set()
        self._rejects: list[Reject] = []

    def unreadable(self, reject: Reject) -> None:
        """Note a line that is none of a log."""
        self.lines += 1
        self.refuse(reject.line, reject.decision_id, reject.error)

    def refuse(self, line: int, decision_id: str | None, error: NyxError) -> None:
        """Note a line that does not fit the bandit, or what it has stored."""
        self.rejected += 1
        if len(self._rejects) < _LISTED:
            self._rejects.append(Reject(line, decision_id, error))

    def report(self, bandit: str, done: Imported, *, applied: bool) -> ImportReport:
        """What became of the lines."""
        return ImportReport(
            bandit,
            applied,
            self.lines,
            done.decisions,
            done.known,
            done.rewards,
            done.first_seq,
            done.last_seq,
            done.unknown_propensities,
            self.outcomes_dropped,
            self.rejected,
            tuple(sorted(self._rejects, key=lambda reject: reject.line)),
            tuple(sorted(self.ignored)),
        )


def _fitted(
    lines: Iterator[LoggedChoice], fitter: Fitter, tally: _Tally
) -> tuple[bool, list[tuple[Any, ...]]]:
    """Whether there was another page of lines, and the records of those that fit."""
    records = []
    before = tally.lines
    for choice in islice(lines, _PAGE):
        tally.lines += 1
        try:
            decision, row, dropped = fitter.fit(choice)
        except NyxError as error:
            tally.refuse(choice.line, choice.decision_id, error)
            continue
        tally.outcomes_dropped += dropped
        records.append(staged_record(choice.line, decision, row, fitter.encoding))
    return tally.lines > before, records
