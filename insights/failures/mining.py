"""Ordered, gapped sequences of codes that come more often than chance, and are not explained by one another.

A sequence ``a, b, c`` is in an execution where its codes come in this order, with anything between them.
Chance is asked three times, and the largest of the answers is the p-value (all of them must be refused for a
discovery):

- *frequency*: each code is drawn independently, with the codes' overall shares and the executions' own
  lengths;
- *order*: within the executions that have all of the codes, each of the sequence's steps could as well go
  the other way: with m copies of a and n of b, some a stands before some b with probability 1 − 1/C(m+n, m);
- *length* (three codes and more): the executions that have the sequence without one of its codes have that
  code anywhere, by its overall share. Only what a shorter sequence does not explain is longer.

All sequences that could be spelled with the codes are hypotheses. Longer ones are taken first; what one
explains is struck out of the executions, and the others are asked again about what is left: so a part of a
sequence is a pattern only where it also stands alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from ..evidence import adjusted, binomial_tail

__all__ = ["LONGEST", "FoundSequence", "mine"]

LONGEST = 24
"""Codes of an execution that are looked at: the first ones."""

Codes = tuple[int, ...]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FoundSequence:
    """A sequence that is no chance.

    executions : indices of those that have it. expected : how many would by chance. lift : their ratio.
    p, q : of all executions, before anything was struck out; q among all sequences of this length, scaled so
    that all lengths together keep the rate.
    """

    sequence: tuple[str, ...]
    executions: tuple[int, ...]
    expected: float
    lift: float
    p: float
    q: float


def mine(
    listed: Sequence[Sequence[str]], min_occurrences: int, max_length: int, rate: float
) -> list[FoundSequence]:
    """Find the sequences of 2 to ``max_length`` codes that are discoveries at a false discovery ``rate``.

    listed : the codes of each execution, in their order; executions without codes change nothing.
    """
    names = sorted({code for codes in listed for code in codes})
    number = {name: i for i, name in enumerate(names)}
    world = _World([tuple(number[c] for c in codes[:LONGEST]) for codes in listed], len(names))
    lengths = range(2, max_length + 1)
    candidates: list[tuple[Codes, float, float, float]] = []
    for length in lengths:
        level = rate / len(lengths)
        holders: dict[Codes, int] = defaultdict(int)
        for codes in world.codes:
            for found in set(combinations(codes, length)):
                holders[found] += 1
        frequent = [s for s, n in sorted(holders.items()) if n >= min_occurrences]
        if not frequent:
            continue
        expected = world.expected(frequent)
        p_values = [
            world.by_frequency(holders[sequence], mean, length)
            for sequence, mean in zip(frequent, expected.tolist(), strict=True)
        ]
        # The other questions can only raise a p-value, and above this bound none is a discovery.
        bound = level
        for _ in range(2):
            bound = level * sum(p <= bound for p in p_values) / len(names) ** length
        p_values = [
            p if p > bound else world.p_value(sequence, holders[sequence], mean)
            for sequence, mean, p in zip(frequent, expected.tolist(), p_values, strict=True)
        ]
        q_values = adjusted(p_values, len(names) ** length)
        for sequence, mean, p, q in zip(frequent, expected.tolist(), p_values, q_values, strict=True):
            if q <= level:
                candidates.append((sequence, mean, p, q * len(lengths)))
    limit = {n: max((c[2] for c in candidates if len(c[0]) == n), default=0.0) for n in lengths}
    candidates.sort(key=lambda c: (-len(c[0]), c[2], c[0]))
    left = _World(world.codes, len(names))
    chosen = []
    for sequence, mean, p, q in candidates:
        inside = left.holding(sequence)
        if len(inside) < min_occurrences:
            continue
        if left.p_value(sequence, len(inside), float(left.expected([sequence])[0])) > limit[len(sequence)]:
            continue
        whole = world.holding(sequence)
        spelled = tuple(names[c] for c in sequence)
        chosen.append(
            FoundSequence(spelled, tuple(whole), mean, len(whole) / max(mean, 1e-12), p, min(q, 1.0))
        )
        left = left.without(sequence, inside)
    return sorted(chosen, key=lambda found: (-len(found.executions), found.sequence))


class _World:
    """Executions as tuples of numbers, and what chance makes of them."""

    def __init__(self, codes: Sequence[Codes], kinds: int) -> None:
        self.codes = list(codes)
        flat = np.array([c for listed in codes for c in listed], dtype=np.int64)
        self.shares = np.bincount(flat, minlength=kinds) / max(len(flat), 1)
        self.of_length = np.bincount([len(listed) for listed in codes], minlength=1)
        self._holding: dict[Codes, list[int]] = {}
        self._having: dict[int, set[int]] = defaultdict(set)
        for i, listed in enumerate(codes):
            for c in listed:
                self._having[c].add(i)

    def with_all(self, codes: Codes) -> list[int]:
        """Executions that have each of the codes, in any order."""
        sets = sorted((self._having[c] for c in set(codes)), key=len)
        return sorted(set.intersection(*sets))

    def holding(self, sequence: Codes) -> list[int]:
        """Executions that have the sequence."""
        found = self._holding.get(sequence)
        if found is None:
            found = [i for i in self.with_all(sequence) if _contains(self.codes[i], sequence)]
            self._holding[sequence] = found
        return found

    def expected(self, sequences: Sequence[Codes]) -> Floats:
        """How many executions have each of the sequences by chance: codes drawn by their shares."""
        steps = self.shares[np.array(sequences, dtype=np.int64)]
        at = np.zeros((len(sequences), steps.shape[1] + 1))
        at[:, 0] = 1.0
        total = np.zeros(len(sequences))
        for n in self.of_length[1:].tolist():
            moved = at[:, :-1] * steps
            at[:, :-1] -= moved
            at[:, 1:] += moved
            total += n * at[:, -1]
        return total

    def by_frequency(self, support: int, expected: float, length: int) -> float:
        """p-value of the question of frequency."""
        n = int(self.of_length[length:].sum())
        return binomial_tail(support, n, expected / n)

    def p_value(self, sequence: Codes, support: int, expected: float) -> float:
        """The largest of the three."""
        p = max(self.by_frequency(support, expected, len(sequence)), self._by_order(sequence))
        return p if len(sequence) == 2 else max(p, self._by_length(sequence, support))

    def _by_order(self, sequence: Codes) -> float:
        inside = [self.codes[i] for i in self.with_all(sequence)]
        worst = 0.0
        for a, b in pairwise(sequence):
            if a == b:
                continue
            so = sum(_contains(codes, (a, b)) for codes in inside)
            counts = [(codes.count(a), codes.count(b)) for codes in inside]
            chance = sum(1.0 - 1.0 / math.comb(m + n, m) for m, n in counts)
            worst = max(worst, binomial_tail(so, len(inside), chance / len(inside)))
        return worst

    def _by_length(self, sequence: Codes, support: int) -> float:
        worst = 0.0
        for j, code in enumerate(sequence):
            inside = self.holding(sequence[:j] + sequence[j + 1 :])
            missing = 1.0 - float(self.shares[code])
            room = [len(self.codes[i]) - len(sequence) + 1 for i in inside]
            chance = sum(1.0 - missing**free for free in room)
            worst = max(worst, binomial_tail(support, len(inside), chance / len(inside)))
        return worst

    def without(self, sequence: Codes, inside: Sequence[int]) -> _World:
        """Strike the sequence's first place out of these executions."""
        codes = list(self.codes)
        for i in inside:
            kept, step = [], 0
            for code in codes[i]:
                if step < len(sequence) and code == sequence[step]:
                    step += 1
                else:
                    kept.append(code)
            codes[i] = tuple(kept)
        return _World(codes, len(self.shares))


def _contains(codes: Codes, sequence: Codes) -> bool:
    place = 0
    for code in sequence:
        try:
            place = codes.index(code, place) + 1
        except ValueError:
            return False
    return True
