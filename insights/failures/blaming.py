"""The likely root cause of a failure: what it goes with even among executions that are alike otherwise.

Candidates are the values that a failure is over-represented in (``links``), and the errors that come before
it in a sequence that is no chance. Many of them go together: an arm is chosen for some tasks, a load comes
at some hours. The search is grow-shrink for the Markov blanket of the failure, among the candidates:

- *grow*: of the candidates that the failure goes with among executions alike in all that is named so far,
  the one with the strongest evidence is named too, until there is none;
- *shrink*: what the failure does not go with among executions alike in all others that are named is dropped.

What is named then has to stand beside each candidate that is not: where the failure does not go with it among
executions that are alike in the other as well, the data cannot tell the two apart, and neither is named.
The level is the rate over all values that a failure could have gone with where something is to be named, and
over the number of candidates where it is to be dropped.

This is association after adjustment, and no proof: a cause that was not recorded, or was recorded coarsely,
leaves its traces in what was recorded.

References
----------
Margaritis & Thrun (1999), Bayesian network induction via local neighborhoods, NIPS 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from .adjusting import Mask, RiskDifference, groups_of, risk_difference
from .causes import Cause, LikelyCause, Meeting, all_of
from .factors import Property
from .links import Link

__all__ = ["Candidate", "candidates_of", "likely_cause"]

_MOST = 16
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A value of a property, and the executions with it (n,)."""

    of: Property
    value: str
    exposed: Mask

    @property
    def text(self) -> str:
        """Its name and value."""
        return f"{self.of.name} {self.value}"


def candidates_of(
    found: Sequence[Link], properties: Sequence[Property], before: Sequence[tuple[str, Mask]]
) -> list[Candidate]:
    """From the strongest links of a failure, and the errors ``before`` it, each with its executions."""
    by_name = {(each.kind, each.name): each for each in properties}
    candidates = []
    for code, exposed in before:
        column = exposed.astype(np.int64)
        candidates.append(
            Candidate(Property("error", "preceding error", (code,), column - 1, column), code, exposed)
        )
    for link in found:
        of = by_name[link.kind, link.name]
        candidates.append(Candidate(of, link.value, of.code == of.values.index(link.value)))
    return candidates[:_MOST]


def likely_cause(failed: Mask, candidates: Sequence[Candidate], asked: int, rate: float) -> LikelyCause:
    """Conclude.

    failed (n,) : the executions that have the failure. asked : values that it could have gone with. rate :
    at which something without effect is named, at most.
    """
    if not candidates:
        return LikelyCause("none", (), (), (), (), None, "none: it goes with nothing that was recorded")
    search = _Search(failed, candidates, rate / max(asked, len(candidates)), rate / len(candidates))
    named = search.blanket()
    rivals = {i: search.rivals(i, named) for i in named}
    sure = tuple(i for i in named if not rivals[i])
    groups = tuple(
        tuple(search.told(k, _others(named, i)) for k in (i, *rivals[i])) for i in named if rivals[i]
    )
    doubtful = {k for listed in rivals.values() for k in listed}
    rest = [k for k in range(len(candidates)) if k not in named and k not in doubtful]
    left = {k: d for k in rest if (d := search.given(k, named)) is not None and d.low > 0.0}
    explained = [k for k in rest if k not in left]
    causes = tuple(search.at_worst(i, named) for i in sure)
    meeting = search.meeting(*sure) if len(sure) == 2 and not groups else None
    return LikelyCause(
        "likely" if sure else "undecided" if groups else "none",
        causes,
        groups,
        tuple(search.told(k, named) for k in explained),
        tuple(search.told(k, named) for k in left),
        meeting,
        _reason([candidates[i] for i in sure], groups, len(explained), meeting),
    )


class _Search:
    """Candidates are known by their places."""

    def __init__(self, failed: Mask, candidates: Sequence[Candidate], enter: float, stay: float) -> None:
        self._failed, self._candidates = failed, candidates
        self._enter, self._stay = enter, stay
        self._known: dict[tuple[int, frozenset[int]], RiskDifference | None] = {}

    def blanket(self) -> tuple[int, ...]:
        """What is named before it has to stand beside the others."""
        named: tuple[int, ...] = ()
        while len(named) < _MOST_NAMED:
            asked = {k: self.given(k, named) for k in range(len(self._candidates)) if k not in named}
            left = {k: d for k, d in asked.items() if d is not None and d.p <= self._enter}
            if not left:
                break
            named += (min(left, key=lambda k: (left[k].p, -left[k].value, k)),)
        while len(named) > 1:
            p = {i: self._p(i, _others(named, i)) for i in named}
            worst = max(named, key=lambda i: (p[i], i))
            if p[worst] <= self._stay:
                break
            named = _others(named, worst)
        return named

    def rivals(self, i: int, named: Sequence[int]) -> tuple[int, ...]:
        """Candidates that are not named, and beside which i does not stand."""
        others = _others(named, i)
        return tuple(
            k
            for k in range(len(self._candidates))
            if k not in named and self._p(i, (*others, k)) > self._stay
        )

    def at_worst(self, i: int, named: Sequence[int]) -> Cause:
        """As told beside the candidate that leaves the least of it."""
        others = _others(named, i)
        sets = [(*others, k) for k in range(len(self._candidates)) if k not in named] or [others]
        return self.told(i, max(sets, key=lambda given: self._p(i, given)))

    def told(self, i: int, given: Sequence[int]) -> Cause:
        """A candidate, among executions alike in others."""
        one = self._candidates[i]
        crude, adjusted = self.given(i, ()), self.given(i, given)
        alike = tuple(sorted({self._candidates[k].of.name for k in given}))
        numbers = (
            (None,) * 4 if adjusted is None else (adjusted.value, adjusted.low, adjusted.high, adjusted.p)
        )
        return Cause(
            one.of.kind,
            one.of.name,
            one.value,
            int((one.exposed & self._failed).sum()),
            int(one.exposed.sum()),
            0.0 if crude is None else crude.value,
            alike,
            *numbers,
        )

    def given(self, i: int, given: Sequence[int]) -> RiskDifference | None:
        """The difference that i makes among executions that are alike in others."""
        key = (i, frozenset(given))
        if key not in self._known:
            one, columns = self._candidates[i], []
            by_property = sorted(
                given, key=lambda k: (self._candidates[k].of.kind, self._candidates[k].of.name)
            )
            for _, places in groupby(by_property, key=lambda k: id(self._candidates[k].of)):
                listed = [self._candidates[k] for k in places]
                if listed[0].of is one.of or listed[0].of.partial:
                    # What has another value of the same property cannot be alike in all its values.
                    columns += [each.exposed.astype(np.int64) for each in listed]
                else:
                    columns.append(listed[0].of.band)
            self._known[key] = risk_difference(
                self._failed, one.exposed, groups_of(columns, len(self._failed))
            )
        return self._known[key]

    def _p(self, i: int, given: Sequence[int]) -> float:
        found = self.given(i, given)
        return 1.0 if found is None else found.p

    def meeting(self, i: int, j: int) -> Meeting:
        """Of two causes."""
        first, second = self._candidates[i].exposed, self._candidates[j].exposed
        parts = first & second, first & ~second, ~first & second, ~first & ~second
        both, one, other, neither = ((int((rows & self._failed).sum()), int(rows.sum())) for rows in parts)
        counts = (both, one, other, neither)
        shares = [(k + 1) / (n + 2) for k, n in counts]
        error = sum(s * (1.0 - s) / (n + 2) for s, (_, n) in zip(shares, counts, strict=True)) ** 0.5
        surplus = shares[0] - shares[1] - shares[2] + shares[3]
        reach = 1.959963984540054 * error
        return Meeting(both, one, other, neither, surplus, surplus - reach, surplus + reach)


def _others(named: Sequence[int], i: int) -> tuple[int, ...]:
    return tuple(k for k in named if k != i)


def _reason(
    sure: Sequence[Candidate], groups: Sequence[Sequence[Cause]], explained: int, meeting: Meeting | None
) -> str:
    parts: list[str] = []
    if not sure and not groups:
        return "none: nothing that it goes with is told from chance well enough to be named"
    if sure:
        named = all_of([each.text for each in sure])
        rest = (
            f"; {explained} more that it goes with {'is' if explained == 1 else 'are'} explained by that"
            if explained
            else ""
        )
        together = ", where they meet" if meeting is not None and meeting.low > 0.0 else ""
        parts.append(f"{named}{together} (association after adjustment, not proof){rest}")
    parts += [
        f"undecided between {' and '.join(cause.text for cause in group)}: they come together too often"
        for group in groups
    ]
    return "; ".join(parts)
