"""What an error goes with: arms, parameters, contexts, agents, times, load where it is over-represented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..evidence import adjusted, hypergeometric_tail
from .factors import Kind, Property

__all__ = ["Link", "links"]


@dataclass(frozen=True, slots=True)
class Link:
    """Executions of this kind have the pattern more often than the others.

    together : executions of this kind that have it. of : executions of this kind. elsewhere : share of the
    others that have it. lift : share here over share among all. p : Fisher's, one-sided. q : among all that
    was asked. It says what to look at, not what the cause is.
    """

    kind: Kind
    name: str
    value: str
    together: int
    of: int
    elsewhere: float
    lift: float
    p: float
    q: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def links(
    properties: Sequence[Property],
    n: int,
    patterns: Sequence[Sequence[int]],
    min_occurrences: int,
    rate: float,
) -> list[tuple[Link, ...]]:
    """For each pattern, given by its executions of all n, what it goes with; the strongest evidence first."""
    inside = [np.asarray(rows, np.int64) for rows in patterns]
    asked: list[tuple[int, Property, int, int, int]] = []
    p_values: list[float] = []
    hypotheses = 0
    for each in properties:
        sizes = each.sizes
        varying = (sizes > 0) & (sizes < n)
        hypotheses += int(varying.sum()) * len(patterns)
        for j, rows in enumerate(inside):
            together = np.bincount(each.code[rows] + 1, minlength=len(each.values) + 1)[1:]
            drawn = len(rows)
            over = varying & (together >= min_occurrences) & (together * n > sizes * drawn)
            for value in np.flatnonzero(over).tolist():
                k, of = int(together[value]), int(sizes[value])
                asked.append((j, each, value, k, of))
                p_values.append(hypergeometric_tail(k, drawn, of, n))
    found: list[list[Link]] = [[] for _ in patterns]
    for (j, each, value, k, of), p, q in zip(asked, p_values, adjusted(p_values, hypotheses), strict=True):
        if q <= rate:
            drawn = len(inside[j])
            elsewhere, lift = (drawn - k) / (n - of), k * n / (of * drawn)
            found[j].append(Link(each.kind, each.name, each.values[value], k, of, elsewhere, lift, p, q))
    return [tuple(sorted(listed, key=lambda x: (x.p, x.kind, x.name, x.value))) for listed in found]
