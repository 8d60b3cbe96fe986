"""Replay by rejection: rows that the target policy could have led to, taken as often as it would have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...errors import NoOverlap
from ..keys import key_of
from ..lockstep.counter import uniforms_into
from .estimate import Bounds, Estimate, IntervalSpec, checked_rows, from_terms
from .importance import positive
from .logged import Floats

__all__ = ["accepted_rows", "rejection"]


def accepted_rows(weight: Floats, limit: float, seed: int) -> npt.NDArray[np.bool_]:
    """Mask (n,): row i is taken with probability wᵢ/limit, by the keyed uniform of its place."""
    u = np.empty(len(weight))
    uniforms_into(*key_of(seed, 0, "rejection"), 0, u)
    taken: npt.NDArray[np.bool_] = u * limit < weight
    return taken


def rejection(
    reward: Floats,
    weight: Floats,
    how: IntervalSpec = IntervalSpec(),  # noqa: B008 (frozen)
    *,
    limit: float | None = None,
    seed: int = 0,
) -> Estimate:
    """Mean reward of the rows that are left when each is taken with probability w/limit.

    What is left has the law of the target policy's own log: any interval for plain means fits. For a
    deterministic target and a uniform log it is the replay method: rows whose arm is the target's. A 0/1
    reward has the exact interval ``clopper_pearson``, which holds for any number of rows taken.

    Parameters
    ----------
    limit : at least the largest possible weight; None takes the largest one seen. ``match_rate`` and ``ess``
        of the estimate count the rows taken.

    Raises
    ------
    LogInvalid : unusable rows. NoOverlap : no row is left.

    References
    ----------
    Li, Chu, Langford & Wang (2011), Unbiased offline evaluation of contextual-bandit-based news article
    recommendation algorithms, WSDM. Clopper & Pearson (1934), Biometrika 26(4).
    """
    reward, weight = checked_rows(reward=reward, weight=weight)
    largest = float(weight.max())
    bound = largest if limit is None else max(positive("limit", limit), largest)
    taken = reward[accepted_rows(weight, bound, seed)]
    n, count = len(reward), len(taken)
    if count == 0:
        raise NoOverlap(
            "no logged decision is left of the replay",
            expected="at least one that the target policy would have made",
            found=f"{n:,} rows, weights up to {largest:g}, of which the draws took none",
            fix="take ips or dr, which use all rows, or a longer log",
        )
    unit = float(taken.min()) >= 0.0 and float(taken.max()) <= 1.0
    spec = replace(how, weight_max=None)
    found = from_terms("replay", taken, np.ones(count), spec, Bounds(0.0, 1.0) if unit else Bounds())
    notes = () if limit is not None else ("rows are taken relative to the largest weight seen",)
    even = bool(((weight == 0.0) | (weight == largest)).all())
    return replace(
        found,
        ess=float(count),
        largest_weight=largest,
        match_rate=count / n,
        n=n,
        notes=() if even else notes,
    )
