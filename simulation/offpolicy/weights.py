"""A target policy put over a log: weights, and what the log cannot say about that policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import LogInvalid, NoOverlap, shown
from . import kernels
from .logged import Floats, Integers, LoggedData, probabilities

__all__ = ["Overlay", "overlay", "weight_limit"]

_ROUNDING = 2.0**-31
"""A mass below this is the unit that rounding hands out (pmfs are integers of 2⁻³²)."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A target policy over a log: all that estimators need.

    log : the decisions. target (n, K) : probability of each arm under the target policy in each row.
    weight (n,) : target[i, arm] / propensity. outside : share of the target's decisions that the log cannot
    speak about, because the logging policy never makes them.
    notes : what a reader must know of that.
    """

    log: LoggedData
    target: Floats
    weight: Floats
    outside: float
    notes: tuple[str, ...]


def overlay(log: LoggedData, target: Floats, *, outside_max: float = 0.0) -> Overlay:
    """Check a target policy against a log, and weigh the rows.

    Parameters
    ----------
    target : (n, K), or (K,) for a policy that does not read the context.
    outside_max : share of the target's decisions that may lie outside what the log tried. Estimates then
        leave that share out (importance weighting) or extrapolate (models), and say so.

    Raises
    ------
    LogInvalid : the target is no pmf; the log has no propensities.
    NoOverlap : all weights are 0, or more than ``outside_max`` of the target's decisions were never tried:
        arms that the log has no row of, or, where the logging pmf is known, arms that it gives no chance.
    """
    pmf, weight = raw_weights(log, target)
    tried = np.bincount(log.arm, minlength=len(log.arms))
    if float(weight.max()) == 0.0:
        wanted = [log.arms[a] for a in np.flatnonzero(pmf.max(axis=0) > 0.0)]
        raise NoOverlap(
            f"target policy gives weight 0 to all {len(log):,} logged decisions",
            expected="at least one logged arm with target probability > 0",
            found=f"logged arms {_names(log, tried > 0)}; target arms {wanted}"[:300],
            fix="log with an exploration floor > 0, or evaluate on arms that were tried",
        )
    mass = unsupported(log, pmf, tried)
    outside, arms = float(mass.sum()), _names(log, mass > 0.0)
    if not 0.0 <= outside_max < 1.0:
        raise LogInvalid(
            "outside_max is unusable",
            expected="a share in [0, 1)",
            found=shown(outside_max),
            fix="leave it out, or name a small share",
        )
    if outside > outside_max:
        raise outside_support(outside, outside_max, arms)
    notes = () if outside == 0.0 else (f"{outside:.2%} of the target's decisions were never tried: {arms}",)
    return Overlay(log, pmf, weight, outside, notes)


def weight_limit(log: LoggedData, target: Floats) -> float:
    """The largest weight that could have come in these rows, whatever arm was drawn; at least 1.

    Needs the logging pmf: the largest weight *seen* says nothing of the one that was not.

    Raises
    ------
    LogInvalid : the log has no pmfs.
    """
    if log.logging is None:
        raise LogInvalid(
            "the largest possible weight is unknown",
            expected="the whole pmf of the logging policy in every row",
            found="propensities of the chosen arms alone",
            fix="export the log with its pmfs, or pass weight_max = 1/floor",
        )
    pmf = probabilities("target policy", target, len(log), len(log.arms))
    possible = log.logging > 0.0
    ratio = np.divide(pmf, log.logging, out=np.zeros(pmf.shape), where=possible)
    return max(1.0, float(ratio.max()))


def raw_weights(log: LoggedData, target: Floats) -> tuple[Floats, Floats]:
    """The target's pmf (n, K), checked, and the weights (n,): what the log supports is not asked.

    Raises
    ------
    LogInvalid : the target is no pmf; the log has no propensities.
    """
    propensity = known_propensities(log)
    pmf = probabilities("target policy", target, len(log), len(log.arms))
    weight = np.empty(len(log))
    kernels.importance_weights(pmf, log.arm, propensity, weight)
    return pmf, weight


def known_propensities(log: LoggedData) -> Floats:
    """The propensities of a log that has all of them; ``LogInvalid`` otherwise."""
    if log.propensity is not None and log.source != "unknown":
        return log.propensity
    missing = len(log) if log.propensity is None else int(np.isnan(log.propensity).sum())
    raise LogInvalid(
        f"{missing:,} of {len(log):,} decisions have no propensity",
        expected="the probability with which each logged arm was chosen",
        found="unknown propensities",
        fix="log them, or estimate them first (estimate_propensities): every estimate is then marked",
    )


def unsupported(log: LoggedData, pmf: Floats, tried: Integers) -> Floats:
    """Share (K,) of the target's decisions for each arm where the logging policy never makes them.

    tried (K,) : rows of each arm, of the whole log; what is not tried at all counts only where the logging
    pmf is unknown.
    """
    if log.logging is not None:
        lost = np.where((log.logging <= 0.0) & (pmf > _ROUNDING), pmf, 0.0)
        found: Floats = lost.sum(axis=0) / len(log)
        return found
    if tried.all():
        return np.zeros(len(log.arms))
    mass: Floats = np.where(tried == 0, pmf.mean(axis=0), 0.0)
    mass[mass <= _ROUNDING] = 0.0
    return mass


def outside_support(outside: float, limit: float, arms: list[str]) -> NoOverlap:
    """The error of a target that goes where the log never went."""
    return NoOverlap(
        f"{outside:.2%} of the target policy's decisions lie outside what the log tried",
        expected=f"at most {limit:.2%}: where the target may go, the logging policy went too",
        found=f"arms without support: {arms}"[:300],
        fix="log with an exploration floor > 0, evaluate on arms that were tried, or pass outside_max to "
        "leave that share out",
    )


def _names(log: LoggedData, mask: npt.NDArray[np.bool_]) -> list[str]:
    return [log.arms[a] for a in np.flatnonzero(mask)]
