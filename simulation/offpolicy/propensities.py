"""Propensities for logs that have none: a calibrated model of what the logging policy did."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from ...errors import InputInvalid, LogInvalid, shown
from .logged import Floats, Integers, LoggedData
from .models import fold_numbers

__all__ = ["Known", "estimate_propensities"]

Known: TypeAlias = Literal["refuse", "replace", "keep"]

_STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_STEPS = 400
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Logit:
    """p(a | φ) ∝ exp(φ·coefficients[a] / temperature)."""

    coefficients: Floats
    temperature: float

    def __call__(self, phi: Floats) -> Floats:
        return _softmax(phi @ self.coefficients.T / self.temperature)


def estimate_propensities(log: LoggedData, *, known: Known = "refuse", seed: int = 0) -> LoggedData:
    """The log with modelled propensities, marked as ``estimated`` (or ``mixed``).

    Contexts that are cells: each cell's shares, shrunk to the overall ones by the strength that predicts left
    out rows best. Features: multinomial logistic regression, whose probabilities are then made flatter or
    steeper by the temperature that predicts left out folds best. Neither: the overall shares.

    What follows rests on an assumption that no log can prove: that the arm depended on nothing but what the
    model reads.

    Parameters
    ----------
    known : what to do where propensities were logged: ``refuse``; ``replace`` all of them; ``keep`` those,
        and estimate the rest (``mixed``).

    Raises
    ------
    LogInvalid : propensities are known, and ``known`` does not say what to do with them.

    References
    ----------
    Rosenbaum & Rubin (1983), Biometrika 70(1). Böhning (1992), Multinomial logistic regression algorithm,
    Annals of the Institute of Statistical Mathematics 44(1). Guo et al. (2017), On calibration of modern
    neural networks, ICML: temperature scaling.
    """
    if known not in {"refuse", "replace", "keep"}:
        raise InputInvalid(
            "what to do with known propensities is unclear",
            expected="refuse, replace or keep",
            found=shown(known),
            fix="choose one of these",
        )
    logged = None if log.propensity is None else ~np.isnan(log.propensity)
    if known == "refuse" and logged is not None and logged.any():
        raise LogInvalid(
            f"{int(logged.sum()):,} of {len(log):,} decisions have a logged propensity",
            expected="a log without propensities, or word of what to do with them",
            found='known="refuse"',
            fix='known="replace" estimates all; known="keep" estimates the rest, and marks the log as mixed',
        )
    pmf = _model(log, seed)
    given = pmf[np.arange(len(log)), log.arm]
    mixed = known == "keep" and log.propensity is not None and logged is not None and bool(logged.any())
    if mixed and log.propensity is not None and logged is not None:
        return replace(log, propensity=np.where(logged, log.propensity, given), logging=None, source="mixed")
    return replace(log, propensity=given, logging=pmf, source="estimated", partly_known=False)


def _model(log: LoggedData, seed: int) -> Floats:
    arms = len(log.arms)
    if log.features is not None and log.cell is None:
        return _by_features(log, seed)
    cell = np.zeros(len(log), np.int64) if log.cell is None else log.cell
    contexts = int(cell.max()) + 1
    count = np.bincount(cell * arms + log.arm, minlength=contexts * arms).reshape(contexts, arms)
    overall = count.sum(axis=0) / len(log)
    total = count.sum(axis=1, keepdims=True)

    def left_out(strength: float) -> float:
        """Log loss of each row under the shares of the others in its cell."""
        shares = (count - 1.0 + strength * overall) / (total - 1.0 + strength)
        seen = count > 0
        return -float((count[seen] * np.log(np.maximum(shares[seen], 1e-300))).sum())

    strength = min(_STRENGTHS, key=left_out)
    shares = (count + strength * overall) / (total + strength)
    found: Floats = shares[cell]
    return found


def _by_features(log: LoggedData, seed: int) -> Floats:
    features = np.zeros((len(log), 0)) if log.features is None else log.features
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0))[:, spread > 0.0] / spread[spread > 0.0]
    phi = np.concatenate([np.ones((len(log), 1)), scaled], axis=1)
    tried = np.unique(log.arm)
    place = np.searchsorted(tried, log.arm)
    count = min(5, len(log))
    scores = np.zeros((len(log), len(tried)))
    if count >= 2:
        number = fold_numbers(len(log), count, seed, log.decision_ids)
        for fold in np.unique(number).tolist():
            out = number == fold
            if not out.all():
                scores[out] = phi[out] @ _logit(phi[~out], place[~out], len(tried)).T
    rows = np.arange(len(log))

    def left_out(temperature: float) -> float:
        shares = _softmax(scores / temperature)[rows, place]
        return -float(np.log(np.maximum(shares, 1e-300)).sum())

    temperature = min([2.0 ** (j / 8.0) for j in range(-8, 33)], key=left_out)
    found = np.zeros((len(log), len(log.arms)))
    found[:, tried] = _Logit(_logit(phi, place, len(tried)), temperature)(phi)
    return found


def _logit(phi: Floats, arm: Integers, arms: int) -> Floats:
    """Coefficients (K, D) of a ridge-penalised multinomial regression, by Böhning's bound on the Hessian."""
    n, d = phi.shape
    ridge = np.full(d, _RIDGE)
    ridge[0] = 1e-6
    hit = np.zeros((n, arms))
    hit[np.arange(n), arm] = 1.0
    # ½ (I − 11ᵀ/K) ⊗ ΦᵀΦ bounds the Hessian; ½ I ⊗ ΦᵀΦ bounds that, and needs one system of D equations.
    inverse = np.linalg.inv(0.5 * phi.T @ phi + np.diag(ridge))
    found = np.zeros((arms, d))
    for _ in range(_STEPS):
        gradient = (hit - _softmax(phi @ found.T)).T @ phi - found * ridge
        step = gradient @ inverse
        found += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return found


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found
