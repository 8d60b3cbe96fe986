"""Policies of the hierarchical model in a compiled loop: the learner's kernels, the learner's decisions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.choice import draw, quantise
from ...bandit.kernels.elimination import refresh_root
from ...bandit.kernels.hierarchical import mixture_pmf, refresh_node, score
from ...bandit.kernels.indices import argmax_pmf, mixture_index
from ...bandit.kernels.statistics import accumulate, read
from ...jit import kernel

__all__ = ["play"]

_F = npt.NDArray[np.float64]
_I = npt.NDArray[np.int64]

_UNIT = 1.0 / 65536.0


@kernel
def play(
    phis: _I,
    which: _I,
    rewards: _I,
    draws: _I,
    warm: int,
    warm_arms: _I,
    floor: float,
    sampled: bool,
    optimism: float,
    own_part: bool,
    caution: float,
    caution_rows: float,
    chosen: _I,
    final: _F,
    spans: _I,
    sizes: _I,
    levels: _I,
    node_of: _I,
    center: float,
    node_precision: _F,
    root_precision: _F,
    prior_logdet: _F,
    noise: float,
    noise_weight: float,
    u: _F,
    v: _F,
    z: _F,
    schur: _F,
    reduced: _F,
    scalars: _F,
    raw: _F,
    rhs: _F,
    u0: _F,
    mean0: _F,
    sigma2: _F,
    weight: _F,
    work: _F,
    mean: _F,
    own: _F,
    whole: _F,
) -> None:
    """Play one replication of a world with C contexts and K arms.

    phis (C, D) : encoded contexts. which (N,), rewards (N, K) : of the rounds, in units of 2⁻¹⁶; the first
    ``warm`` of them are history, whose arms are ``warm_arms``. draws (N,) : uniform integers below 2³².
    sampled : ``hier_ts``; otherwise ``hier_ucb`` with the width ``optimism``. From spans to whole:
    ``HierarchicalModel.layout()``. Written: chosen (N,), and final (C, K), the pmf after the last round.
    """
    rounds, arms = rewards.shape
    contexts, d = phis.shape
    size = 3 + d + d * (d + 1) // 2
    totals, unused = np.zeros((arms, size), np.int64), np.zeros(size, np.int64)
    reading = np.zeros((arms, size))
    spread, part, pmf, index = np.zeros(arms), np.zeros(arms), np.zeros(arms), np.zeros(arms)
    mass, everything = np.zeros(arms, np.int64), np.ones(arms, np.bool_)
    for t in range(warm):
        chosen[t] = warm_arms[t]
        accumulate(totals[warm_arms[t]], unused, phis[which[t]], rewards[t, warm_arms[t]], 1)
    for arm in range(arms):
        read(totals[arm], reading[arm])
    for node in range(sizes.shape[0]):
        refresh_node(
            node,
            reading,
            spans,
            sizes,
            levels,
            center,
            node_precision[node],
            u,
            v,
            z,
            schur,
            reduced,
            scalars,
            raw,
            rhs,
        )
    n = refresh_root(
        root_precision, prior_logdet, noise, noise_weight, schur, reduced, scalars, u0, mean0, sigma2, weight
    )
    for t in range(warm, rounds + contexts):
        place = which[t] if t < rounds else t - rounds
        score(
            phis[place] * _UNIT,
            spans,
            sizes,
            levels,
            center,
            u,
            v,
            z,
            u0,
            mean0,
            sigma2,
            mean,
            own,
            whole,
            work,
        )
        if sampled:
            share = min(1.0, caution * math.sqrt(1.0 + n / caution_rows))
            mixture_pmf(mean, own, whole, weight, optimism, share, everything, index, spread, part, pmf)
        else:
            mixture_index(mean, own if own_part else whole, weight, optimism, index)
            argmax_pmf(index, everything, pmf)
        quantise(pmf, everything, floor, mass)
        if t >= rounds:
            for arm in range(arms):
                final[place, arm] = mass[arm] / 4294967296.0
            continue
        arm = draw(mass, draws[t])
        chosen[t] = arm
        accumulate(totals[arm], unused, phis[place], rewards[t, arm], 1)
        read(totals[arm], reading[arm])
        refresh_node(
            node_of[arm],
            reading,
            spans,
            sizes,
            levels,
            center,
            node_precision[node_of[arm]],
            u,
            v,
            z,
            schur,
            reduced,
            scalars,
            raw,
            rhs,
        )
        n = refresh_root(
            root_precision,
            prior_logdet,
            noise,
            noise_weight,
            schur,
            reduced,
            scalars,
            u0,
            mean0,
            sigma2,
            weight,
        )
