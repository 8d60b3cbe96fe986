"""What another choice would have brought, execution by execution: doubly robust, less what was there.

For a changed policy π and the logging policy μ, the gain of execution i is

    dᵢ = Σ_a π(a | xᵢ) q̂(xᵢ, a) + wᵢ (rᵢ − q̂(xᵢ, aᵢ)) − rᵢ,    wᵢ = π(aᵢ | xᵢ) / μ(aᵢ | xᵢ)

whose mean is the doubly robust value of π less the value of what was logged in the same executions, so that
what both have in common cancels. Unbiased where the propensities are right, whatever the model q̂ says.

References
----------
Dudík, Erhan, Langford & Li (2014), Doubly robust policy evaluation and optimization, Statistical Science
29(4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr, stdtrit

from ..columns import numbers
from .logged import Choices
from .result import Change

__all__ = ["Gain", "Shift", "changes_of", "gain_of", "retired", "shifted", "switched"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_METRICS = ("success", "duration_s", "cost")


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """A changed policy over some executions: ``rows`` (m,) are their numbers; the others are (m,) each.

    weight : wᵢ. gain : dᵢ. moved : probability with which the policy would have chosen what changes. before :
    whether the execution is one of those that change. after : whether it went the new way.
    """

    rows: npt.NDArray[np.int64]
    weight: Floats
    gain: Floats
    moved: Floats
    before: Mask
    after: Mask


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean gain of an execution that changes, its error, degrees of freedom; ``now`` : their reward so far.

    share : of the executions in question that change. p : of no gain, one-sided.
    """

    value: float
    error: float
    df: float
    now: float
    share: float
    ess: float
    largest: float
    p: float

    def interval(self, level: float) -> tuple[float, float]:
        """Both ends, at this coverage."""
        reach = float(stdtrit(self.df, 0.5 + level / 2.0)) * self.error
        return self.value - reach, self.value + reach


def switched(choices: Choices, inside: Mask, arm: int) -> Shift:
    """Choose ``arm`` in all of these executions in which it could have come."""
    rows = np.flatnonzero(inside & choices.offered(arm))
    hit = choices.arm[rows] == arm
    weight = np.where(hit, 1.0 / choices.propensity[rows], 0.0)
    reward, q = choices.reward[rows], choices.q[rows, arm]
    gain = q + weight * (reward - q) - reward
    return Shift(rows, weight, gain, np.ones(len(rows)), np.ones(len(rows), bool), hit)


def retired(choices: Choices, inside: Mask, arm: int) -> Shift | None:
    """Choose ``arm`` no longer, the others in their proportions; None where chances are unknown."""
    if choices.chances is None:
        return None
    mass = choices.chances[:, arm]
    rows = np.flatnonzero(inside & (mass < 1.0 - 1e-9) & (mass > 0.0))
    left = 1.0 - mass[rows]
    chances, q = choices.chances[rows], choices.q[rows]
    hit = choices.arm[rows] == arm
    weight = np.where(hit, 0.0, 1.0 / left)
    reward = choices.reward[rows]
    expected = ((chances * q).sum(axis=1) - mass[rows] * q[:, arm]) / left
    own = q[np.arange(len(rows)), choices.arm[rows]]
    return Shift(rows, weight, expected + weight * (reward - own) - reward, mass[rows], hit, ~hit)


def shifted(choices: Choices, inside: Mask, target: Sequence[int]) -> Shift | None:
    """Choose arm ``target[a]`` wherever the policy would choose a; None where chances are unknown.

    Left out are executions in which an arm that would be needed could not have come.
    """
    if choices.chances is None:
        return None
    to = np.array(target, np.int64)
    moving = np.flatnonzero(to != np.arange(len(to)))
    needed = (choices.chances[:, moving] > 0.0) & (choices.chances[:, to[moving]] <= 0.0)
    moved = choices.chances[:, moving].sum(axis=1)
    rows = np.flatnonzero(inside & ~needed.any(axis=1) & (moved > 0.0))
    chances, q, arm = choices.chances[rows], choices.q[rows], choices.arm[rows]
    policy = chances.copy()
    policy[:, moving] = 0.0
    for a in moving.tolist():
        policy[:, to[a]] += chances[:, a]
    each = np.arange(len(rows))
    weight = policy[each, arm] / choices.propensity[rows]
    reward = choices.reward[rows]
    gain = (policy * q).sum(axis=1) + weight * (reward - q[each, arm]) - reward
    return Shift(rows, weight, gain, moved[rows], to[arm] != arm, np.isin(arm, to[moving]))


def gain_of(choices: Choices, shift: Shift) -> Gain | None:
    """The gain of an execution that changes; None where nothing varies.

    Mean of dᵢ over mean of the share that changes, whose errors belong together (a ratio of means). Student's
    with the effective sample size less one as degrees of freedom: few heavy executions make few. What the
    executions that went the new way differ from their model by is taken to vary as in all executions, at
    least: a few that happen to be equal are no proof.
    """
    n = len(shift.rows)
    share = float(shift.moved.mean())
    if n < 3 or share <= 0.0 or not shift.before.any():
        return None
    value = float(shift.gain.mean()) / share
    rest = (shift.gain - value * shift.moved) / share
    own = choices.reward[shift.rows] - choices.q[shift.rows, choices.arm[shift.rows]]
    new = shift.weight[shift.after] / (n * share)
    least = float(own @ own) / n * float(new @ new)
    error = math.sqrt(max(float(rest @ rest) / (n - 1.0) / n, least))
    ess = _effective(shift)
    if error <= 1e-12 or ess <= 0.0:
        return None
    df = max(1.0, min(n, ess) - 1.0)
    now = float(choices.reward[shift.rows[shift.before]].mean())
    largest = float(shift.weight.max())
    return Gain(value, error, df, now, share, ess, largest, float(stdtr(df, -value / error)))


def _effective(shift: Shift) -> float:
    """(Σw)²/Σw² of the executions that went the new way: those that speak for it."""
    weight = shift.weight[shift.after]
    squares = float(weight @ weight)
    return float(weight.sum()) ** 2 / squares if squares > 0.0 else 0.0


def changes_of(choices: Choices, shift: Shift, min_count: int, level: float) -> tuple[Change, ...]:
    """Successes, seconds and cost of the executions in question, as they are and reweighted to the change.

        then = Σ w y / Σ w   over the executions that reported y

    Self-normalised, with its error by linearisation; durations that a timeout cut count as they are.
    """
    found = []
    for metric in _METRICS:
        y = numbers(getattr(choices.rows[i], metric) for i in shift.rows.tolist())
        known = ~np.isnan(y)
        if int((known & shift.after).sum()) < min_count:
            continue
        values, weight = y[known], shift.weight[known]
        mean = float(weight.mean())
        now, then = float(values.mean()), float((weight * values).mean()) / mean
        terms = weight * (values - then) / mean - (values - now)
        error = float(terms.std(ddof=1)) / math.sqrt(len(terms))
        reach = float(ndtri(0.5 + level / 2.0)) * error
        d = then - now
        found.append(Change(metric, now, then, d, d - reach, d + reach))
    return tuple(found)
