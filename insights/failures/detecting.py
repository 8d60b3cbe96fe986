"""``detect_failure_patterns``: what is asked, and what is answered."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputInvalid, shown
from ..executed import Executed
from .adjusting import Mask
from .blaming import candidates_of, likely_cause
from .causes import LikelyCause
from .changes import AfterChange, Change, after_changes
from .factors import properties_of
from .links import Link, links
from .mining import LONGEST, FoundSequence, mine

__all__ = ["FailurePattern", "FailurePatterns", "check_questions", "detect_failure_patterns"]

_EXAMPLES = 5
_LENGTH_MAX = 4


@dataclass(frozen=True, slots=True)
class FailurePattern:
    """An error code that repeats, or a sequence of codes that comes more often than chance.

    occurrences : executions that have it; share : of all. expected, lift, p, q : of a sequence, see
    ``mining``; None for a single code, which claims nothing but its number. failed, known : of the
    occurrences, how many failed and of how many that is known; failed_without, known_without : the same of
    all other executions. goes_with : where it is over-represented, at the stated false discovery rate.
    likely_cause : which of that, or of the errors before it, is left when one adjusts for the others.
    first, last : times of the first and the last one. examples : ids, the newest first. after_changes :
    whether it repeats behind each change that it came before.
    """

    sequence: tuple[str, ...]
    occurrences: int
    share: float
    expected: float | None
    lift: float | None
    p: float | None
    q: float | None
    failed: int
    known: int
    failed_without: int
    known_without: int
    goes_with: tuple[Link, ...]
    likely_cause: LikelyCause
    first: float | None
    last: float | None
    examples: tuple[str, ...]
    after_changes: tuple[AfterChange, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {
            **found,
            "sequence": list(self.sequence),
            "goes_with": [link.to_dict() for link in self.goes_with],
            "likely_cause": self.likely_cause.to_dict(),
            "examples": list(self.examples),
            "after_changes": [each.to_dict() for each in self.after_changes],
        }

    def to_text(self) -> str:
        """For people."""
        name = " -> ".join(self.sequence)
        text = f"{name}: {self.occurrences:,} executions ({self.share:.1%})"
        if self.lift is not None:
            text += f", {self.lift:.1f} times as many as by chance (q {self.q:.2g})"
        if self.known:
            text += f"; {self.failed:,} of {self.known:,} failed"
        if self.known_without:
            text += f", of the others {self.failed_without:,} of {self.known_without:,}"
        lines = [
            f"  goes with {x.name} {x.value}: {x.together:,} of {x.of:,},"
            f" elsewhere {x.elsewhere:.1%} (lift {x.lift:.2f}, q {x.q:.2g})"
            for x in self.goes_with[:_EXAMPLES]
        ]
        cause = [] if self.likely_cause.state == "none" else [self.likely_cause.to_text()]
        return "\n".join([text, *lines, *cause, *(each.to_text() for each in self.after_changes)])


@dataclass(frozen=True, slots=True)
class FailurePatterns:
    """What was found, the most frequent first.

    codes : single codes. sequences : two codes and more. executions : looked at; with_errors : of these,
    with a code. cut : executions with more codes than are looked at. reason : why there is nothing, where
    there is nothing.
    """

    codes: tuple[FailurePattern, ...]
    sequences: tuple[FailurePattern, ...]
    executions: int
    with_errors: int
    cut: int
    min_occurrences: int
    false_discovery_rate: float
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "codes": [pattern.to_dict() for pattern in self.codes],
            "sequences": [pattern.to_dict() for pattern in self.sequences],
            "executions": self.executions,
            "with_errors": self.with_errors,
            "cut": self.cut,
            "min_occurrences": self.min_occurrences,
            "false_discovery_rate": self.false_discovery_rate,
            "reason": self.reason,
        }

    def to_text(self) -> str:
        """For people."""
        head = f"{self.with_errors:,} of {self.executions:,} executions met errors."
        reason = [] if self.reason is None else [self.reason]
        return "\n".join([head, *reason, *(p.to_text() for p in (*self.sequences, *self.codes))])


def check_questions(min_occurrences: int, max_length: int, false_discovery_rate: float) -> None:
    """Refuse what cannot be asked.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    for name, value, low, high in (
        ("min_occurrences", min_occurrences, 2, 1_000_000),
        ("max_length", max_length, 2, _LENGTH_MAX),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputInvalid(
                f"{name} is unusable",
                expected=f"a whole number from {low} to {high}",
                found=shown(value),
                fix=f"leave {name} out, or choose one of these",
            )
    rate = false_discovery_rate
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0.0 < rate <= 0.5:
        raise InputInvalid(
            "the false discovery rate is unusable",
            expected="a number above 0, and at most 0.5",
            found=shown(rate),
            fix="for example false_discovery_rate=0.05",
        )


def detect_failure_patterns(
    executions: Sequence[Executed],
    min_occurrences: int = 3,
    *,
    max_length: int = 3,
    false_discovery_rate: float = 0.05,
    changes: Sequence[Change] = (),
) -> FailurePatterns:
    """Error codes that repeat, sequences of them that are no chance, and what they go with.

    Executions are taken for independent. With so few occurrences as ``min_occurrences`` allows, a sequence
    is rarely told from chance: how many it takes is measured in ``docs/how-to/find-patterns.md``.

    Parameters
    ----------
    min_occurrences : executions that a pattern needs. max_length : codes of a sequence, 2 to 4.
    false_discovery_rate : of sequences among all that could be spelled, and of links among all that were
    asked. changes : behind which it is asked whether failures repeat.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    check_questions(min_occurrences, max_length, false_discovery_rate)
    listed = [e.error_codes for e in executions]
    single: dict[str, list[int]] = defaultdict(list)
    for row, codes in enumerate(listed):
        for code in set(codes):
            single[code].append(row)
    frequent = sorted(
        (c for c in single if len(single[c]) >= min_occurrences), key=lambda c: (-len(single[c]), c)
    )
    sequences = mine(listed, min_occurrences, max_length, false_discovery_rate)
    rows = [found.executions for found in sequences] + [tuple(single[c]) for c in frequent]
    properties = properties_of(executions)
    values = sum(each.varying for each in properties)
    linked = links(properties, len(executions), rows, min_occurrences, false_discovery_rate)
    repeated = after_changes(executions, rows, changes, false_discovery_rate)
    failed = [e.success is False for e in executions]
    known = [e.success is not None for e in executions]

    def cause(sequence: tuple[str, ...], inside: Sequence[int], found: Sequence[Link]) -> LikelyCause:
        before = _errors_before(sequence[0], listed, sequences) if len(sequence) == 1 else []
        has = np.zeros(len(executions), np.bool_)
        has[list(inside)] = True
        return likely_cause(
            has, candidates_of(found, properties, before), values + len(before), false_discovery_rate
        )

    def pattern(place: int, sequence: tuple[str, ...], found: FoundSequence | None) -> FailurePattern:
        inside = rows[place]
        times = [t for i in inside if (t := executions[i].time) is not None and math.isfinite(t)]
        newest = sorted(inside, key=lambda i: (-(executions[i].time or 0.0), executions[i].execution_id))
        bad, told = sum(failed[i] for i in inside), sum(known[i] for i in inside)
        return FailurePattern(
            sequence,
            len(inside),
            len(inside) / len(executions),
            expected=None if found is None else found.expected,
            lift=None if found is None else found.lift,
            p=None if found is None else found.p,
            q=None if found is None else found.q,
            failed=bad,
            known=told,
            failed_without=sum(failed) - bad,
            known_without=sum(known) - told,
            goes_with=linked[place],
            likely_cause=cause(sequence, inside, linked[place]),
            first=min(times, default=None),
            last=max(times, default=None),
            examples=tuple(executions[i].execution_id for i in newest[:_EXAMPLES]),
            after_changes=repeated[place],
        )

    return FailurePatterns(
        codes=tuple(pattern(len(sequences) + i, (c,), None) for i, c in enumerate(frequent)),
        sequences=tuple(pattern(i, f.sequence, f) for i, f in enumerate(sequences)),
        executions=len(executions),
        with_errors=sum(bool(codes) for codes in listed),
        cut=sum(len(codes) > LONGEST for codes in listed),
        min_occurrences=min_occurrences,
        false_discovery_rate=false_discovery_rate,
        reason=None
        if rows
        else f"not enough evidence: no error code in {min_occurrences} executions or more",
    )


def _errors_before(
    code: str, listed: Sequence[Sequence[str]], sequences: Sequence[FoundSequence]
) -> list[tuple[str, Mask]]:
    """Codes that come before this one in a sequence that is no chance, with the executions that have them.

    In executions that meet this code, another one counts only where it comes before.
    """
    earlier = {
        found.sequence[i]
        for found in sequences
        for i in range(len(found.sequence))
        if code in found.sequence[i + 1 :] and found.sequence[i] != code
    }
    if not earlier:
        return []
    ends = [len(codes) - 1 - codes[::-1].index(code) if code in codes else len(codes) for codes in listed]
    return [
        (other, np.array([other in codes[:end] for codes, end in zip(listed, ends, strict=True)], np.bool_))
        for other in sorted(earlier)
    ]
