"""Estimators with a reward model q̂(x, a): the direct method, and doubly robust ones.

All take q̂ as an array and fit nothing: ``evaluate`` cross-fits it, so that no row is scored by a model that
has seen it. With q̂ given from elsewhere, that is the caller's care.
"""

from __future__ import annotations

import numpy as np

from ...errors import LogInvalid
from . import kernels
from .estimate import Bounds, Estimate, IntervalSpec, checked_rows, from_terms
from .importance import positive
from .logged import Floats, Integers

__all__ = ["dm", "dr", "dr_shrunk", "mrdr_weights", "switch_dr"]

_NORMAL = IntervalSpec()


def dm(target: Floats, q: Floats, weight: Floats, how: IntervalSpec = _NORMAL) -> Estimate:
    """Direct method: what the model says of the target policy.

        V = (1/n) Σᵢ Σ_a π(a | xᵢ) q̂(xᵢ, a)

    Biased by the model's error, which no interval here contains: alone it never supports a claim.

    Parameters
    ----------
    target (n, K) : pmf of the target policy. q (n, K) : modelled reward of each arm.
    weight (n,) : importance weights; for the effective sample size that is reported only.

    References
    ----------
    Dudík, Langford & Li (2011), Doubly robust policy evaluation and learning, ICML, §2.
    """
    (weight,) = checked_rows(weight=weight)
    arm = np.zeros(len(weight), np.int64)
    expected, _ = modelled(target, q, arm)
    notes = ("the interval leaves the model's own error out: it supports no claim",)
    return from_terms("dm", expected, weight, how, Bounds(), notes)


def dr(
    reward: Floats,
    weight: Floats,
    arm: Integers,
    target: Floats,
    q: Floats,
    how: IntervalSpec = _NORMAL,
    *,
    name: str = "dr",
) -> Estimate:
    """Doubly robust: the model's answer, corrected by what the weighted residuals say of it.

        V = (1/n) Σᵢ [Σ_a π(a | xᵢ) q̂(xᵢ, a) + wᵢ (rᵢ − q̂(xᵢ, aᵢ))]

    Unbiased where the propensities are right, whatever the model; a good model takes the noise out.

    Parameters
    ----------
    reward, weight, arm (n,); target, q (n, K). name : in the estimate.

    Raises
    ------
    LogInvalid : unusable rows. NoOverlap : every weight is 0.

    References
    ----------
    Dudík, Erhan, Langford & Li (2014), Doubly robust policy evaluation and optimization, Statistical Science
    29(4).
    """
    return _corrected(name, reward, weight, weight, arm, target, q, how, how.weight_max)


def switch_dr(
    reward: Floats,
    weight: Floats,
    arm: Integers,
    target: Floats,
    q: Floats,
    threshold: float,
    how: IntervalSpec = _NORMAL,
) -> Estimate:
    """SWITCH-DR: rows that weigh more than the threshold are left to the model.

        V = (1/n) Σᵢ [Σ_a π(a | xᵢ) q̂(xᵢ, a) + wᵢ 1{wᵢ ≤ threshold} (rᵢ − q̂(xᵢ, aᵢ))]

    References
    ----------
    Wang, Agarwal & Dudík (2017), Optimal and adaptive off-policy evaluation in contextual bandits, ICML.
    """
    reward, weight = checked_rows(reward=reward, weight=weight)
    kept = np.where(weight <= positive("threshold", threshold), weight, 0.0)
    left = float((kept < weight).mean())
    notes = (f"{left:.2%} of the rows weigh more than {threshold:g}: left to the model",) if left else ()
    return _corrected("switch_dr", reward, weight, kept, arm, target, q, how, None, notes)


def dr_shrunk(
    reward: Floats,
    weight: Floats,
    arm: Integers,
    target: Floats,
    q: Floats,
    shrinkage: float,
    how: IntervalSpec = _NORMAL,
) -> Estimate:
    """DR with optimistic shrinkage (DRos): weights are shrunk, the large ones most.

        ŵ = λ w / (w² + λ):    λ → ∞ is DR, λ → 0 the direct method

    References
    ----------
    Su, Dimakopoulou, Krishnamurthy & Dudík (2020), Doubly robust off-policy evaluation with shrinkage, ICML.
    """
    reward, weight = checked_rows(reward=reward, weight=weight)
    shrinkage = positive("shrinkage", shrinkage)
    shrunk = weight if shrinkage == np.inf else shrinkage * weight / (weight * weight + shrinkage)
    return _corrected("dr_shrunk", reward, weight, shrunk, arm, target, q, how, None)


def mrdr_weights(weight: Floats, propensity: Floats) -> Floats:
    """Weights of the squared errors that a model is fitted with for MRDR: (n,).

        w² (1 − μ) :  E[w² (1 − μ(a | x)) (r − q̂)²] is DR's variance given the contexts

    (up to a constant) for a deterministic target policy; for others without the covariances between arms.
    DR with a model fitted so is MRDR.

    References
    ----------
    Farajtabar, Chow & Ghavamzadeh (2018), More robust doubly robust off-policy evaluation, ICML.
    """
    found: Floats = weight * weight * (1.0 - propensity)
    return found


def _corrected(
    name: str,
    reward: Floats,
    weight: Floats,
    used: Floats,
    arm: Integers,
    target: Floats,
    q: Floats,
    how: IntervalSpec,
    weight_max: float | None,
    notes: tuple[str, ...] = (),
) -> Estimate:
    reward, weight, used = checked_rows(reward=reward, weight=weight, used=used)
    arm = np.ascontiguousarray(arm, np.int64)
    if arm.shape != reward.shape:
        raise _misfit("arm", f"({len(reward)},)", arm.shape)
    expected, chosen = modelled(target, q, arm)
    terms = expected + used * (reward - chosen)
    bounds = Bounds()
    if weight_max is not None:
        low, high = min(0.0, float(q.min())), max(1.0, float(q.max()))
        bounds = Bounds(low - weight_max * (high - low), high + weight_max * (high - low))
    return from_terms(name, terms, weight, how, bounds, notes)


def modelled(target: Floats, q: Floats, arm: Integers) -> tuple[Floats, Floats]:
    """Expected modelled reward under the target, and that of the chosen arm, (n,) each."""
    n = len(arm)
    target, q = np.asarray(target, np.float64), np.asarray(q, np.float64)
    if q.ndim != 2 or q.shape[0] != n or target.shape != q.shape:
        raise _misfit("q", f"({n}, K), as the target's pmf", q.shape)
    if arm.min() < 0 or arm.max() >= q.shape[1]:
        raise _misfit("arm", f"indices below {q.shape[1]}", (int(arm.min()), int(arm.max())))
    expected, chosen = np.empty(n), np.empty(n)
    kernels.expected_under(target, q, arm, expected, chosen)
    if not (kernels.all_finite(expected) and kernels.all_finite(chosen)):
        raise LogInvalid(
            "the reward model gives values that are none",
            expected="a finite reward for each row and arm",
            found="NaN or infinity",
            fix="fit the model on rows with finite rewards and features",
        )
    return expected, chosen


def _misfit(name: str, expected: str, found: tuple[int, ...]) -> LogInvalid:
    return LogInvalid(
        f"'{name}' does not fit the log",
        expected=expected,
        found=str(found),
        fix="pass one row for each logged decision, one column for each arm of the log",
    )
