"""The hierarchical linear model by dense linear algebra on rows: slow, short, and no code of the engine's.

    r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise

One vector holds (θ₀, then θ_s and λ_s of each strategy); a row's design repeats φ and marks its levels. The
prior is N(0, σ²/precision), the noise inverse gamma: normal–inverse-gamma throughout. A ratio multiplies the
prior sds of interactions, its root those of other effects, and nothing the overall level's. Gelman et al.
(2013), Bayesian Data Analysis, ch. 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from ...bandit import ArmTable
from ...bandit.strategies import listed
from .states import History

__all__ = ["Component", "components"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """The model at one ratio: its probability, and for one context each arm's posterior mean, variance of its
    own part, and variance of the whole, (K,) each.
    """

    weight: float
    mean: Floats
    own: Floats
    whole: Floats


def components(
    parameters: Mapping[str, float | str], arms: ArmTable, features: int, past: History, phi: Floats
) -> list[Component]:
    """The mixture over the ratios that the policies read."""
    ratios = sorted({float(parameters["ratio_low"]), float(parameters["ratio_high"])})
    found = [_posterior(parameters, arms, features, past, phi, ratio) for ratio in ratios]
    top = max(evidence for evidence, _ in found)
    weights = np.exp([evidence - top for evidence, _ in found])
    weights /= weights.sum()
    return [
        Component(float(weight), mean, own, whole)
        for weight, (_, (mean, own, whole)) in zip(weights, found, strict=True)
    ]


def _posterior(
    parameters: Mapping[str, float | str],
    arms: ArmTable,
    features: int,
    past: History,
    phi: Floats,
    ratio: float,
) -> tuple[float, tuple[Floats, Floats, Floats]]:
    def number(name: str) -> float:
        return float(parameters[name])

    d = len(phi)
    share = sqrt(max(1, features))
    main = sqrt(ratio)
    sd = [number("sd_global"), *[main * number("sd_context") / share] * (d - 1)]
    for strategy in arms.strategies:
        sd += [main * number("sd_strategy"), *[ratio * number("sd_interaction") / share] * (d - 1)]
        sd += [main * number("sd_parameter")] * sum(len(listed(strategy, key)) for key in strategy.parameters)
    noise, weight = number("noise"), number("noise_weight")
    prior = np.diag(noise / np.array(sd) ** 2)
    rows = [_design(arms, arm, x, len(sd)) for arm, x in zip(past.arm.tolist(), past.phi, strict=True)]
    design = np.array(rows).reshape(-1, len(sd))
    y = past.reward - number("mean")
    precision = prior + design.T @ design
    center = np.linalg.solve(precision, design.T @ y)
    residual = weight * noise + y @ y - y @ design @ center
    weight += len(y)
    evidence = 0.5 * (
        np.linalg.slogdet(prior)[1] - np.linalg.slogdet(precision)[1] - weight * np.log(0.5 * residual)
    )
    query = np.array([_design(arms, arm, phi, len(sd)) for arm in range(len(arms))])
    own = query.copy()
    own[:, :d] = 0.0
    covariance = residual / weight * np.linalg.inv(precision)
    return float(evidence), (
        number("mean") + query @ center,
        np.einsum("ij,jk,ik->i", own, covariance, own),
        np.einsum("ij,jk,ik->i", query, covariance, query),
    )


def _design(arms: ArmTable, arm: int, phi: Floats, size: int) -> Floats:
    d = len(phi)
    row = np.zeros(size)
    row[:d] = phi
    place = d
    for strategy in arms.strategies:
        if strategy.name == arms[arm].strategy:
            row[place : place + d] = phi
        place += d
        for key in sorted(strategy.parameters):
            values = list(listed(strategy, key))
            if strategy.name == arms[arm].strategy:
                row[place + values.index(arms[arm].parameters[key])] = 1.0
            place += len(values)
    return row
