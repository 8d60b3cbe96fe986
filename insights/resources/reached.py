"""Curves of what was reached: the share that has succeeded within so many seconds, or so many retries.

A timeout or a limit cuts what would have come later (censoring), and a failure before the timeout ends an
execution for good (a competing event).

References
----------
Aalen & Johansen (1978), Scandinavian Journal of Statistics 5(3), for competing events under censoring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ..columns import numbers
from ..executed import Executed
from .curves import Beyond, Level, ResourcePattern
from .knees import DRAWS, Floats, Terms, ends

__all__ = ["reached_curves"]

_MOST_STEPS = 100
_SHOWN_STEPS = 24
_Masks: TypeAlias = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def reached_curves(strategy: str, rows: Sequence[Executed], terms: Terms) -> list[ResourcePattern | None]:
    """By seconds and by retries; None where fewer than ``min_count`` have succeeded."""
    success = np.array([e.success is True for e in rows], bool)
    told = np.array([e.success is not None for e in rows], bool)
    stopped = np.array([e.timed_out for e in rows], bool)
    found: list[ResourcePattern | None] = []
    for name in ("duration_s", "retries"):
        value = numbers(getattr(e, name) for e in rows)
        known = told & ~np.isnan(value)
        if int(known.sum()) == 0:
            continue
        # Who gives up behind so many retries had no more: a limit, as a timeout is one.
        censored = known & ~success & (stopped if name == "duration_s" else True)
        if int((known & success).sum()) < terms.min_count:
            found.append(None)
            continue
        failed = known & ~success & ~censored
        found.append(_curve(strategy, name, value, (known & success, failed, censored), terms))
    return found


def _curve(strategy: str, name: str, value: Floats, masks: _Masks, terms: Terms) -> ResourcePattern:
    """``masks`` (3, n): executions that have succeeded, that have ended otherwise, that were cut."""
    known = masks[0] | masks[1] | masks[2]
    events = masks[0] | masks[1]
    steps = np.unique(value[events])
    if len(steps) > _MOST_STEPS:
        steps = np.unique(np.quantile(value[events], np.linspace(0, 1, _MOST_STEPS + 1)[1:], method="higher"))
    # An event counts at the next step; what was cut is at risk in the steps that it has reached.
    size = len(steps) + 1
    counts = np.concatenate(
        [
            np.bincount(np.searchsorted(steps, value[masks[0]]), minlength=size),
            np.bincount(np.searchsorted(steps, value[masks[1]]), minlength=size),
            np.bincount(np.searchsorted(steps, value[masks[2]], side="right"), minlength=size),
        ]
    )
    n = int(known.sum())
    whole = _incidence(counts[None].astype(np.float64), size)[0]
    drawn = _incidence(terms.rng.multinomial(n, counts / n, DRAWS).astype(np.float64), size)
    good = whole >= whole[-1] - terms.margin
    place = int(np.argmax(good))
    knees = steps[np.argmax(drawn >= drawn[:, -1:] - terms.margin, axis=1)]
    low, high = ends(knees, terms.coverage)
    knee = float(steps[place])
    shown_at = np.unique(np.linspace(0, len(steps) - 1, min(_SHOWN_STEPS, len(steps))).astype(int))
    levels = tuple(
        Level(
            float(steps[i]),
            int((value[known] >= steps[i]).sum()),
            float(whole[i]),
            *ends(drawn[:, i], terms.coverage),
        )
        for i in shown_at.tolist()
    )
    lost = drawn[:, -1] - drawn[:, place]
    beyond = [Beyond("success", float(whole[-1] - whole[place]), *ends(lost, terms.coverage))]
    over = np.maximum(value[known] - knee, 0.0)
    if n > 1:
        z = float(ndtri(0.5 + terms.coverage / 2.0))
        mean, reach = float(over.mean()), z * float(over.std(ddof=1)) / math.sqrt(n)
        beyond.append(Beyond(name, mean, mean - reach, mean + reach))
    return ResourcePattern(
        "reached",
        strategy,
        name,
        "success",
        n,
        levels,
        knee,
        low,
        high,
        float(whole[-1]),
        terms.margin,
        None,
        None,
        int(masks[2].sum()),
        adjusted=False,
        beyond=tuple(beyond),
        reason=None,
    )


def _incidence(counts: Floats, size: int) -> Floats:
    """Share that has succeeded by each step (B, T), of counts (B, 3·(T + 1)): successes, other ends, cut.

        F(t) = Σ_{s ≤ t} S(s−) dₛ / Yₛ,   S(s) = Π (1 − (dₛ + eₛ) / Yₛ)

    with d successes and e other ends of Y at risk; who was cut before a step is not at risk in it.
    """
    success, ends, cut = counts[:, :size], counts[:, size : 2 * size], counts[:, 2 * size :]
    both = success + ends
    at_risk = counts.sum(axis=1, keepdims=True) - np.cumsum(cut, axis=1)
    at_risk[:, 1:] -= np.cumsum(both, axis=1)[:, :-1]
    there = np.maximum(at_risk, 1.0)
    alive = np.cumprod(1.0 - both / there, axis=1)
    before = np.concatenate([np.ones((len(counts), 1)), alive[:, :-1]], axis=1)
    found: Floats = np.cumsum(before * success / there, axis=1)[:, : size - 1]
    return found
