"""Compiled loops of the verdict: contrasts of rows, the mixture that may be looked at, bets, and cells.

The same functions judge a log and play the simulations that hold their error rates.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.elementary import exp, log
from ...jit import kernel

__all__ = [
    "bet",
    "contrast_row",
    "contrasts",
    "control_row",
    "gaps_to_mean",
    "learn_row",
    "log_mixture",
    "sequence",
]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]

PRIOR_MEAN = 0.5
PRIOR_ROWS = 2.0


@kernel
def control_row(sums: _Floats, group: int, q: _Floats) -> None:
    """Write the guess of each arm's mean in a group, from the rows before: q (K,).

    sums (G + 1, K, 2): number and total of rewards by group and arm; the last group is all of them. A cell's
    mean is drawn towards its arm's by two rows, and that towards ½ by two.
    """
    whole = sums.shape[0] - 1
    for a in range(q.shape[0]):
        arm = (sums[whole, a, 1] + PRIOR_ROWS * PRIOR_MEAN) / (sums[whole, a, 0] + PRIOR_ROWS)
        q[a] = (sums[group, a, 1] + PRIOR_ROWS * arm) / (sums[group, a, 0] + PRIOR_ROWS)


@kernel
def learn_row(sums: _Floats, group: int, arm: int, reward: float) -> None:
    """Take a row's reward into the sums of ``control_row``."""
    whole = sums.shape[0] - 1
    sums[group, arm, 0] += 1.0
    sums[group, arm, 1] += reward
    sums[whole, arm, 0] += 1.0
    sums[whole, arm, 1] += reward


@kernel
def contrast_row(
    c: _Floats, p: _Floats, q: _Floats, arm: int, reward: float, cap: float
) -> tuple[float, float]:
    """One row's unbiased contrast D, and its gap to what was expected of it before the arm was drawn.

        D = Σ_a c_a q̃_a + gap,    gap = (c_A / p_A) (r − q̃_A) ≥ −cap

    with q̃ the guess q, moved towards 0 where c > 0 and towards 1 where c < 0 until the gap is ≥ −cap for
    every arm and r in [0, 1]. Where p_a = 0 the arm counts as the worst: as 0 if c > 0, as 1 if c < 0.
    """
    total = 0.0
    own = 0.0
    for a in range(c.shape[0]):
        if c[a] == 0.0:
            continue
        reach = cap * p[a] / c[a]
        known = min(q[a], reach) if c[a] > 0.0 else max(q[a], 1.0 + reach)
        total += c[a] * known
        if a == arm:
            own = known
    gap = c[arm] / p[arm] * (reward - own) if c[arm] != 0.0 else 0.0
    return total + gap, gap


@kernel
def contrasts(
    plus: float,
    first: _Floats,
    first_logged: bool,
    minus: float,
    second: _Floats,
    second_logged: bool,
    context: _Integers,
    pmf: _Floats,
    by_row: bool,
    group: _Integers,
    arm: _Integers,
    reward: _Floats,
    cap: float,
    sums: _Floats,
    out: _Floats,
    gaps: _Floats,
) -> None:
    """Write ``contrast_row`` of plus·first − minus·second for every row, and learn each behind it.

    Parameters
    ----------
    first, second (C, K) : pmfs by context. …_logged : it is the logging policy instead.
    pmf : of the logging policy, (n, K) for ``by_row``, else (C, K).
    context, group, arm (n,) : of each row; ``group`` chooses the sums. reward (n,), in [0, 1].
    sums (G + 1, K, 2) : of ``control_row``, updated. out, gaps (n,) : written.
    """
    k = pmf.shape[1]
    c = np.empty(k)
    q = np.empty(k)
    for i in range(arm.shape[0]):
        x = context[i]
        p = pmf[i] if by_row else pmf[x]
        for a in range(k):
            c[a] = plus * (p[a] if first_logged else first[x, a])
            c[a] -= minus * (p[a] if second_logged else second[x, a])
        control_row(sums, group[i], q)
        out[i], gaps[i] = contrast_row(c, p, q, arm[i], reward[i], cap)
        learn_row(sums, group[i], arm[i], reward[i])


@kernel
def log_mixture(total: float, variance: float, rates: _Floats, costs: _Floats) -> float:
    """ln of the mean over j of exp(λ_j S − ψ_j V); rates λ (J,), costs ψ (J,)."""
    largest = -math.inf
    for j in range(rates.shape[0]):
        value = rates[j] * total - costs[j] * variance
        largest = max(largest, value)
    mean = 0.0
    for j in range(rates.shape[0]):
        mean += exp(rates[j] * total - costs[j] * variance - largest)
    whole: float = largest + log(mean / rates.shape[0])
    return whole


@kernel
def gaps_to_mean(d: _Floats, most: float, gaps: _Floats) -> None:
    """Write D − min(mean of the rows before, most), for contrasts of which no more can be expected."""
    total = 0.0
    for i in range(d.shape[0]):
        gaps[i] = d[i] - min(total / (i + 1.0), most)
        total += d[i]


@kernel
def sequence(
    d: _Floats, gaps: _Floats, state: _Floats, threshold: float, rates: _Floats, costs: _Floats
) -> None:
    """Take contrasts d and gaps (n,) of rows in their order into a test of 'running average ≤ 0'.

    state (6,), updated: rows, ΣD, Σ gap², rows at the last crossing, rows at the first, largest ln mixture.
    A crossing is a row behind which ln mixture ≥ threshold.
    """
    for i in range(d.shape[0]):
        state[0] += 1.0
        state[1] += d[i]
        state[2] += gaps[i] * gaps[i]
        value = log_mixture(state[1], state[2], rates, costs)
        state[5] = max(state[5], value)
        if value >= threshold:
            state[3] = state[0]
            if state[4] == 0.0:
                state[4] = state[0]


@kernel
def bet(d: _Floats, null: float, floor: float, rows: float, threshold: float) -> float:
    """Largest ln Π(1 + λ_i (D_i − null)) over the rows: at least ``threshold`` with probability ≤
    exp(−threshold) if every E[D_i | rows before] ≤ null.

    floor: D ≥ −floor. λ is planned for ``rows`` rows from the variance so far, and keeps every factor ≥ ½.
    """
    room = floor + null
    if room <= 0.0:
        return math.inf
    spread = 1.0
    total = 0.0
    value = 0.0
    largest = 0.0
    for i in range(d.shape[0]):
        mean = total / (i + 1.0)
        rate = min(math.sqrt(2.0 * threshold * (i + 1.0) / (rows * spread)), 0.5 / room)
        value += log(max(1.0 + rate * (d[i] - null), 1e-300))
        largest = max(largest, value)
        gap = d[i] - mean
        spread += gap * gap
        total += d[i]
    return largest
