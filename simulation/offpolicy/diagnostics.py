"""What a reader must know of the weights and the log before believing an estimate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isnan, nan, sqrt
from typing import Any

import numpy as np

from . import kernels
from .log_tests import Misfit, arm_ratio, drift, self_check
from .logged import Floats
from .weights import Overlay

__all__ = [
    "ArmOverlap",
    "CellOverlap",
    "Diagnostics",
    "WeightTail",
    "diagnose",
    "pareto_shape",
    "weight_tail",
]

_PARETO_BAD = 0.7
_CHANCE = 1e-3
_SIGMAS = 3.5
_TAIL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class WeightTail:
    """How much hangs on few rows.

    mean, standard_error : of the weights, 1 within errors where propensities and target fit together. ess :
    (Σw)²/Σw². largest : max w. top_share : share of Σw that the heaviest 1 % of rows have. pareto_shape : k
    of a generalised Pareto tail, above .7 averages do not settle; NaN where the tail has too few different
    weights to tell.
    """

    mean: float
    standard_error: float
    ess: float
    largest: float
    top_share: float
    pareto_shape: float


@dataclass(frozen=True, slots=True)
class ArmOverlap:
    """Of one arm: rows logged, share of the log and of the target's decisions, mean reward logged (NaN
    without rows), effective rows and largest weight.
    """

    arm: str
    rows: int
    logged_share: float
    target_share: float
    mean_reward: float
    ess: float
    largest_weight: float


@dataclass(frozen=True, slots=True)
class CellOverlap:
    """Of one context: rows logged, effective rows, mean weight (1 within errors), and the share of the
    target's decisions there for arms that the context has no row of.
    """

    cell: str
    rows: int
    ess: float
    mean_weight: float
    unseen: float


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """All diagnostics, and in ``warnings`` what is wrong, in words.

    ``own_weights`` : rows whose propensity is not their own pmf's (``self_check``); None without pmfs.
    """

    rows: int
    weights: WeightTail
    arms: tuple[ArmOverlap, ...]
    cells: tuple[CellOverlap, ...]
    outside: float
    arm_ratio: Misfit
    drift: Misfit
    own_weights: int | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: NaN becomes None."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def diagnose(over: Overlay) -> Diagnostics:
    """Look at a log and a target policy from all sides."""
    log = over.log
    tail = weight_tail(over.weight)
    arms = tuple(_arm(over, a) for a in range(len(log.arms)))
    cells = _cells(over)
    ratio = arm_ratio(log)
    moved = drift(log)
    own = None if log.logging is None or log.source != "logged" else self_check(log)
    warnings = _warnings(over, tail, cells, ratio, moved, own)
    return Diagnostics(len(log), tail, arms, cells, over.outside, ratio, moved, own, warnings)


def weight_tail(weight: Floats) -> WeightTail:
    """Summaries of the weights (n,)."""
    weight = np.ascontiguousarray(weight, np.float64)
    mean, error = kernels.mean_and_error(weight)
    total, squares, largest, _ = kernels.weight_sums(weight)
    top = max(1, len(weight) // 100)
    heaviest = float(np.partition(weight, len(weight) - top)[-top:].sum())
    return WeightTail(
        mean,
        error,
        total * total / squares if squares > 0.0 else 0.0,
        largest,
        heaviest / total if total > 0.0 else nan,
        pareto_shape(weight),
    )


def pareto_shape(weight: Floats) -> float:
    """Shape k of the generalised Pareto distribution fitted to the largest min(n/5, 3√n) weights.

    NaN where fewer than 5 of these are different: a log with a few propensities has no tail to fit, its
    largest weight says all.

    References
    ----------
    Zhang & Stephens (2009), A new and efficient estimation method for the generalized Pareto distribution,
    Technometrics 51(3); Vehtari et al. (2024), Pareto smoothed importance sampling, JMLR 25.
    """
    n = len(weight)
    size = int(min(0.2 * n, 3.0 * sqrt(n)))
    if size < 5:
        return nan
    ordered = np.sort(weight)
    tail = ordered[-size:] - ordered[-size - 1]
    tail = tail[tail > 0.0]
    if len(np.unique(tail)) < 5:
        return nan
    count = len(tail)
    points = 30 + int(sqrt(count))
    quarter = float(tail[int(count / 4 + 0.5) - 1])
    theta = 1.0 / tail[-1] + (1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3.0 * quarter)
    shape = np.array([float(np.log1p(-t * tail).mean()) for t in theta])
    likelihood = count * (np.log(-theta / shape) - shape - 1.0)
    share = 1.0 / np.exp(likelihood[:, None] - likelihood[None, :]).sum(axis=0)
    best = float((theta * share).sum() / share.sum())
    k = float(np.log1p(-best * tail).mean())
    # A weak prior at .5 steadies the shape of short tails.
    return (k * count + 5.0) / (count + 10.0)


def _arm(over: Overlay, a: int) -> ArmOverlap:
    log = over.log
    rows = log.arm == a
    count = int(rows.sum())
    total, squares, largest, _ = kernels.weight_sums(over.weight[rows])
    return ArmOverlap(
        log.arms[a],
        count,
        count / len(log),
        float(over.target[:, a].mean()),
        float(log.reward[rows].mean()) if count else nan,
        total * total / squares if squares > 0.0 else 0.0,
        largest,
    )


def _cells(over: Overlay) -> tuple[CellOverlap, ...]:
    log = over.log
    if log.cell is None:
        return ()
    contexts, arms = len(log.cells), len(log.arms)
    rows = np.bincount(log.cell, minlength=contexts)
    total = np.bincount(log.cell, over.weight, contexts)
    squares = np.bincount(log.cell, over.weight**2, contexts)
    seen = np.bincount(log.cell * arms + log.arm, minlength=contexts * arms).reshape(contexts, arms) > 0
    unseen = np.bincount(log.cell, (over.target * ~seen[log.cell]).sum(axis=1), contexts)
    return tuple(
        CellOverlap(
            log.cells[c],
            int(rows[c]),
            float(total[c] ** 2 / squares[c]) if squares[c] > 0.0 else 0.0,
            float(total[c] / rows[c]),
            float(unseen[c] / rows[c]),
        )
        for c in np.flatnonzero(rows).tolist()
    )


def _warnings(
    over: Overlay,
    tail: WeightTail,
    cells: tuple[CellOverlap, ...],
    ratio: Misfit,
    moved: Misfit,
    own: int | None,
) -> tuple[str, ...]:
    n = len(over.log)
    found = list(over.notes)
    if over.log.source != "logged":
        found.append(f"propensities are {over.log.source}: all rests on a model of the logging policy")
    off = tail.mean - 1.0
    if abs(off) > _SIGMAS * tail.standard_error and abs(off) > 1e-9:
        found.append(
            f"the mean weight is {tail.mean:.3g}, {abs(off) / max(tail.standard_error, 1e-300):.1f} standard "
            "errors from 1: propensities are wrong, or the target leaves the log's support"
        )
    elif abs(off) > _TAIL_SHARE:
        found.append(f"the mean weight is {tail.mean:.3g} instead of 1: overlap is too thin to say anything")
    if tail.ess < min(50.0, 0.5 * n):
        found.append(f"only {tail.ess:.1f} effective decisions of {n:,}: the two policies hardly overlap")
    if tail.top_share > _TAIL_SHARE and n >= 100:
        found.append(f"{tail.top_share:.0%} of the weight hangs on 1 % of the rows")
    if not isnan(tail.pareto_shape) and tail.pareto_shape > _PARETO_BAD:
        found.append(f"the weights' tail is heavy (Pareto shape {tail.pareto_shape:.2f} > {_PARETO_BAD})")
    unseen = sum(cell.unseen * cell.rows for cell in cells) / n
    if unseen > 0.01:
        found.append(f"{unseen:.1%} of the target's decisions are for arms that their context has no row of")
    if ratio.freedom and ratio.p_value < _CHANCE:
        found.append(
            f"arms do not come as often as their propensities say (p = {ratio.p_value:.1g}): the log is not "
            "what it claims"
        )
    if moved.freedom and moved.p_value < _CHANCE:
        found.append(f"rewards drift in the course of the log (p = {moved.p_value:.1g})")
    if own:
        found.append(f"{own:,} decisions have another propensity than their own pmf says")
    return tuple(found)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and isnan(value) else value
