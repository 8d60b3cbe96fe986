"""Importance weighting: IPS, its clipped form, and SNIPS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import InputInvalid, shown
from .estimate import Bounds, Estimate, IntervalSpec, checked_rows, from_ratio, from_terms
from .logged import Floats

__all__ = ["clipped_ips", "ips", "snips"]

_NORMAL = IntervalSpec()


def ips(reward: Floats, weight: Floats, how: IntervalSpec = _NORMAL) -> Estimate:
    """Inverse propensity scoring: unbiased, and as noisy as the weights are uneven.

        V = (1/n) Σ wᵢ rᵢ,    wᵢ = π(aᵢ | xᵢ) / μ(aᵢ | xᵢ)

    Bounds that hold for every n come from w r ≥ 0 and w (1 − r) ≥ 0, both without a largest weight: the
    value is 1 − E[w (1 − r)] where the target stays inside the log's support.

    Parameters
    ----------
    reward : (n,) reward of each logged decision; in [0, 1] for other intervals than normal and bootstrap.
    weight : (n,) target probability over propensity; finite, ≥ 0.

    Raises
    ------
    LogInvalid : unusable rows. NoOverlap : every weight is 0.

    References
    ----------
    Horvitz & Thompson (1952), JASA 47(260); Strehl, Langford, Li & Kakade (2010), NeurIPS.
    """
    reward, weight = checked_rows(reward=reward, weight=weight)
    terms = weight * reward
    return from_terms("ips", terms, weight, how, _bounds(reward, weight, how))


def clipped_ips(reward: Floats, weight: Floats, limit: float, how: IntervalSpec = _NORMAL) -> Estimate:
    """IPS with weights cut at a limit: less noise, and a value that is too low.

        V = (1/n) Σ min(wᵢ, limit) rᵢ

    The bias is E[(w − limit)⁺ r]; its estimate from the log is in the notes. The bounds that hold for every n
    hold for the true value too: cut weights make the lower one lower and, with 1 − r, the upper one higher.

    Raises
    ------
    LogInvalid, NoOverlap : see ``ips``. InputInvalid : a limit that is not > 0.

    References
    ----------
    Ionides (2008), Truncated importance sampling, JCGS 17(2); Bottou et al. (2013), JMLR 14.
    """
    reward, weight = checked_rows(reward=reward, weight=weight)
    limit = positive("limit", limit)
    cut = np.minimum(weight, limit)
    lost = float(((weight - cut) * reward).mean())
    notes = (f"cut weights take {lost:.4g} off the value",) if lost > 0.0 else ()
    bounds = _bounds(reward, cut, replace(how, weight_max=max(1.0, limit)))
    return from_terms("clipped_ips", cut * reward, cut, how, bounds, notes)


def snips(reward: Floats, weight: Floats, how: IntervalSpec = _NORMAL) -> Estimate:
    """Self-normalised importance-sampling value of the target policy.

        V = Σ wᵢ rᵢ / Σ wᵢ

    Biased for finite n, but never leaves the range of the observed rewards, and moves with them. Its standard
    error counts the denominator's noise: √Σ wᵢ² (rᵢ − V)² / Σ wᵢ, up to n/(n − 1).

    Raises
    ------
    LogInvalid : unusable rows. NoOverlap : every weight is 0; refused, rather than reported as a value of 0.

    References
    ----------
    Swaminathan & Joachims (2015), The self-normalized estimator for counterfactual learning, NeurIPS.
    """
    reward, weight = checked_rows(reward=reward, weight=weight)
    return from_ratio("snips", weight * reward, weight, weight, how)


def positive(name: str, value: float) -> float:
    """A number > 0, infinity included; ``InputInvalid`` otherwise."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0.0:
        return float(value)
    raise InputInvalid(
        f"{name} of an estimator is unusable",
        expected="a number > 0",
        found=shown(value),
        fix=f"choose another {name}",
    )


def _bounds(reward: Floats, weight: Floats, how: IntervalSpec) -> Bounds:
    """In [0, w_max] for rewards in [0, 1]; the mirrored terms need no w_max."""
    if how.method in {"normal", "bootstrap", "none"}:
        return Bounds()
    if float(reward.min()) < 0.0 or float(reward.max()) > 1.0:
        raise InputInvalid(
            f"a {how.method} interval needs rewards in [0, 1]",
            expected="0 <= reward <= 1",
            found=f"rewards from {float(reward.min()):g} to {float(reward.max()):g}",
            fix="scale the rewards, or ask for another interval",
        )
    return Bounds(0.0, how.weight_max, weight * (1.0 - reward))
