"""Reward models q̂(x, a) for the direct and the doubly robust estimators, and their cross-fitting.

``fit_cells``: contexts that recur, as cells (context × arm). ``fit_linear``: encoded contexts. Both shrink
towards what contexts and arms have in common, by amounts that the rows themselves choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, nan
from typing import Literal, TypeAlias

import numpy as np

from ...errors import InputInvalid, LogInvalid, shown
from ..streams import Stream
from .logged import Floats, Integers, LoggedData

__all__ = ["Cells", "Linear", "Model", "cross_fit", "fit_cells", "fit_linear", "fold_numbers"]

Model: TypeAlias = Literal["auto", "cells", "linear"]

_CELL_ROWS_MIN = 5
_STRENGTHS = (1.0, 4.0, 16.0, 64.0)
_RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_VAGUE = 1e-3
"""Prior precision of the overall level, in rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """q̂ as a table (C, K); ``additive``, ``interaction``: prior rows it was shrunk with."""

    table: Floats
    additive: float
    interaction: float


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """q̂(x, a) = φ(x)·(shared + own[a]), φ with a leading 1: shared (D + 1,), own (K, D + 1)."""

    shared: Floats
    own: Floats
    ridge: float

    def __call__(self, features: Floats) -> Floats:
        """Modelled rewards (n, K) of features (n, D)."""
        found: Floats = _with_one(features) @ (self.shared + self.own).T
        return found


def fit_cells(
    reward: Floats, arm: Integers, cell: Integers, shape: tuple[int, int], weight: Floats | None = None
) -> Cells:
    """Shrunken means of C × K cells.

    The additive model m + arm + context is fitted by ridge; each cell's mean is then shrunk to it:

        q̂(c, a) = (Σ r + κ·additive(c, a)) / (n + κ)

    The two strengths (in rows) are those, of 1, 4, 16 and 64, whose model of every other row predicts the
    rest best. ``weight`` (n,) ≥ 0 multiplies the squared errors.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, ch. 5, for the shrinkage.
    """
    size = shape[0] * shape[1]
    place = cell * shape[1] + arm
    omega = np.ones(len(reward)) if weight is None else weight * (len(weight) / max(weight.sum(), 1e-300))

    def sums(rows: slice) -> tuple[Floats, Floats]:
        count = np.bincount(place[rows], omega[rows], size).astype(np.float64)
        total = np.bincount(place[rows], omega[rows] * reward[rows], size).astype(np.float64)
        return count.reshape(shape), total.reshape(shape)

    halves = sums(slice(0, None, 2)), sums(slice(1, None, 2))
    best, strengths = np.inf, (_STRENGTHS[1], _STRENGTHS[1])
    for additive in _STRENGTHS:
        priors = [_additive(count, total, additive) for count, total in halves]
        for interaction in _STRENGTHS:
            error = 0.0
            for (count, total), (other_count, other_total), prior in zip(
                halves, halves[::-1], priors, strict=True
            ):
                q = (total + interaction * prior) / (count + interaction)
                error += float((other_count * q * q - 2.0 * q * other_total).sum())
            if error < best - 1e-12:
                best, strengths = error, (additive, interaction)
    count, total = halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]
    prior = _additive(count, total, strengths[0])
    return Cells((total + strengths[1] * prior) / (count + strengths[1]), *strengths)


def _additive(count: Floats, total: Floats, strength: float) -> Floats:
    """m + α_a + β_c (C, K) by ridge, ``strength`` rows for each α and β; β is eliminated first."""
    contexts, arms = count.shape
    n = float(count.sum())
    if n == 0.0:
        return np.zeros((contexts, arms))
    mean = float(total.sum()) / n
    centered = total - mean * count
    shrink = 1.0 / (count.sum(axis=1) + strength)
    # Columns: the level, then the arms.
    design = np.concatenate([count.sum(axis=1, keepdims=True), count], axis=1)
    inner = np.zeros((arms + 1, arms + 1))
    per_arm = count.sum(axis=0)
    inner[0, 0] = n + _VAGUE
    inner[0, 1:] = inner[1:, 0] = per_arm
    inner[1:, 1:] = np.diag(per_arm + strength)
    left = inner - (design * shrink[:, None]).T @ design
    right = np.concatenate([[centered.sum()], centered.sum(axis=0)])
    right -= (design * shrink[:, None]).T @ centered.sum(axis=1)
    solved = np.linalg.solve(left, right)
    context = shrink * (centered.sum(axis=1) - design @ solved)
    found: Floats = mean + solved[0] + solved[1:] + context[:, None]
    return found


def fit_linear(
    reward: Floats, arm: Integers, features: Floats, arms: int, weight: Floats | None = None
) -> Linear:
    """Bayesian linear model with a shared part and one of each arm, ridge by marginal likelihood.

        r = φ·θ₀ + φ·θ_a + noise,   θ₀ ~ N(0, 4σ²/λ),   θ_a ~ N(0, σ²/λ)

    λ is that of .3, 1, 3, 10, 30, 100 under which the rows are most probable (σ integrated out). The arms'
    parts are eliminated, so that K arms cost K systems of D equations. ``weight`` (n,) as in ``fit_cells``.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, §3.5; Gelman et al. (2013), ch. 14.
    """
    phi = _with_one(features)
    n, d = phi.shape
    omega = np.ones(n) if weight is None else weight * (n / max(weight.sum(), 1e-300))
    center = float((omega @ reward) / max(omega.sum(), 1e-300))
    y = reward - center
    gram, moment = np.zeros((arms, d, d)), np.zeros((arms, d))
    order = np.argsort(arm, kind="stable")
    ends = np.searchsorted(arm[order], np.arange(arms + 1))
    for a in range(arms):
        rows = order[ends[a] : ends[a + 1]]
        scaled = phi[rows] * omega[rows, None]
        gram[a] = phi[rows].T @ scaled
        moment[a] = scaled.T @ y[rows]
    squares = float(omega @ (y * y))
    fits = [_ridge(gram, moment, squares, n, ridge) for ridge in _RIDGES]
    evidence, shared, own, ridge = max(fits, key=lambda fit: fit[0])
    del evidence
    shared = shared.copy()
    shared[0] += center
    return Linear(shared, own, ridge)


def _ridge(
    gram: Floats, moment: Floats, squares: float, n: int, ridge: float
) -> tuple[float, Floats, Floats, float]:
    """Log evidence up to a constant, θ₀ (d,), θ_a (K, d)."""
    arms, d = moment.shape
    own_precision = gram + ridge * np.eye(d)
    solved = np.linalg.solve(own_precision, np.concatenate([gram, moment[:, :, None]], axis=2))
    shared_prior = np.full(d, 0.25 * ridge)
    shared_prior[0] = _VAGUE
    left = (gram - gram @ solved[:, :, :d]).sum(axis=0) + np.diag(shared_prior)
    right = (moment - np.einsum("kij,kj->ki", gram, solved[:, :, d])).sum(axis=0)
    shared = np.linalg.solve(left, right)
    own = solved[:, :, d] - solved[:, :, :d] @ shared
    residual = max(squares - float((moment * (shared + own)).sum()), 1e-12 * (1.0 + squares))
    spread = float(np.linalg.slogdet(own_precision)[1].sum()) + float(np.linalg.slogdet(left)[1])
    prior = arms * d * log(ridge) + (d - 1) * log(0.25 * ridge) + log(_VAGUE)
    return 0.5 * (prior - spread - n * log(residual)), shared, own, ridge


def _with_one(features: Floats) -> Floats:
    """A leading column of ones, where the encoding has not put one there."""
    if features.shape[1] and bool((features[:, 0] == 1.0).all()):
        return features
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)


def fold_numbers(n: int, count: int, seed: int, ids: Sequence[str] | None = None) -> Integers:
    """The fold (n,) of each row, in [0, count).

    With ids, a row's fold is a hash of its id and the seed: it stays where it is, whatever other rows there
    are and in whatever order. Without, the folds are of equal size, in an order drawn from the seed.
    """
    if type(count) is not int or not 2 <= count <= 100:
        raise InputInvalid(
            "the number of folds is unusable",
            expected="a whole number from 2 to 100",
            found=shown(count),
            fix="5 is usual",
        )
    if ids is not None:
        key = seed.to_bytes(8, "big")
        return np.array(
            [
                int.from_bytes(hashlib.blake2b(i.encode(), digest_size=8, key=key).digest(), "big") % count
                for i in ids
            ],
            np.int64,
        )
    found = np.empty(n, np.int64)
    found[np.argsort(Stream(seed, 0, "folds").fractions(n), kind="stable")] = np.arange(n) % count
    return found


def cross_fit(
    log: LoggedData,
    *,
    model: Model = "auto",
    folds: int = 5,
    seed: int = 0,
    weight: Floats | None = None,
) -> Floats:
    """Modelled reward (n, K) of every row and arm, each row by a model that has not seen its fold.

    Parameters
    ----------
    model : ``auto`` takes cells where contexts recur (five rows each, on average), else features, else
        cells of a single context.
    folds : fewer where the log is shorter. weight (n,) : of the squared errors, for MRDR.

    Raises
    ------
    LogInvalid : one row alone, or the model needs what the log does not have. InputInvalid : the number of
    folds.
    """
    n, arms = len(log), len(log.arms)
    if n < 2:
        raise LogInvalid(
            "a model cannot be cross-fitted on one row",
            expected="at least two logged decisions",
            found=str(n),
            fix="evaluate more decisions, or take ips",
        )
    number = fold_numbers(n, min(folds, n) if type(folds) is int else folds, seed, log.decision_ids)
    predict = _predictor(log, _chosen(log, model), arms, weight)
    found = np.full((n, arms), nan)
    for fold in np.unique(number).tolist():
        out = number == fold
        # Ids may put all rows of a tiny log into one fold; then every other row is the rest.
        rest = ~out if not out.all() else np.arange(n) % 2 == 0
        found[out] = predict(np.flatnonzero(rest), np.flatnonzero(out))
    return np.clip(found, float(log.reward.min()), float(log.reward.max()), out=found)


def _chosen(log: LoggedData, model: Model) -> Model:
    if model not in {"auto", "cells", "linear"} or (model == "linear" and log.features is None):
        raise LogInvalid(
            f"the log has nothing that a reward model '{model!s:.20}' could read",
            expected="auto, cells, or linear with features",
            found=shown(model),
            fix="encode the contexts, or let 'auto' choose",
        )
    if model != "auto":
        return model
    recurring = log.cell is not None and len(log) >= _CELL_ROWS_MIN * len(log.cells)
    return "linear" if log.features is not None and not recurring else "cells"


def _predictor(
    log: LoggedData, model: Model, arms: int, weight: Floats | None
) -> Callable[[Integers, Integers], Floats]:
    """(rows to fit on, rows to predict) → (rows, K)."""
    features = log.features
    if model == "linear" and features is not None:

        def linear(fit: Integers, rows: Integers) -> Floats:
            omega = None if weight is None else weight[fit]
            return fit_linear(log.reward[fit], log.arm[fit], features[fit], arms, omega)(features[rows])

        return linear
    cell = np.zeros(len(log), np.int64) if log.cell is None else log.cell
    shape = (max(1, len(log.cells)) if log.cell is not None else 1, arms)

    def cells(fit: Integers, rows: Integers) -> Floats:
        omega = None if weight is None else weight[fit]
        found: Floats = fit_cells(log.reward[fit], log.arm[fit], cell[fit], shape, omega).table[cell[rows]]
        return found

    return cells
