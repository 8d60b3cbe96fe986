"""The compiled scan for a shift of the mean under a linear model of the context.

    r_i = x_i·θ + δ·[i > t] + noise        no shift: δ = 0 for every t

x is the encoded context, and one column for each arm where several share the rows. With θ̂ of all rows (ridge,
A = Σ x xᵀ + Λ), the rows behind t have the sum of residuals U and the information

    m = n₁ − (Σ x)ᵀ A⁻¹ (Σ x),      δ̂ = U / m

which is n₀n₁/n without a context, and what an unchanged mix of contexts could not explain with one: where a
new kind of task and a shift come together, m is 0 and nothing is claimed. By Bernstein's inequality a mean of
m residuals of variance σ² and size at most b exceeds δ̂ with probability at most e^−E,

    E = m δ̂² / (2 (σ² + b |δ̂| / 3))

and E is the evidence in nats. The largest E over a grid of t is compared with a threshold that was set by
simulation (``docs/how-to/watch-for-drift.md``), because the maximum over t and over all rows is no single
test.

Contexts and rewards are multiples of 2⁻¹⁶, so that sums of products of a thousand rows are exact: the state
depends on no order, and only the factorisation rounds, in a fixed one.

References
----------
Andrews (1993), Tests for parameter instability and structural change with unknown change point, Econometrica
61; Bifet & Gavaldà (2007), Learning from time-changing data with adaptive windowing, SDM (the bound).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["EVIDENCE", "SHIFT", "SPLIT", "add_row", "expectation", "factorise", "scan", "solve"]

Floats = npt.NDArray[np.float64]

EVIDENCE, SPLIT, SHIFT = 0, 1, 2
"""Columns of what ``scan`` writes: the evidence, how many rows stand behind the split, and the shift."""

PRIOR_VARIANCE = 0.21
PRIOR_ROWS = 4.0
"""Noise that is assumed before the rows say otherwise, and how many rows that is worth."""

FEWEST_BEHIND = 3
FEWEST_BEFORE = 8
GRID_RATIO = 1.2


@kernel
def add_row(a: Floats, b: Floats, x: Floats, reward: float, sign: float) -> None:
    """Add (sign 1) or take back (sign −1) one row of A (P, P, lower triangle) and Σ x r (P,)."""
    p = b.shape[0]
    for i in range(p):
        scaled = sign * x[i]
        if scaled != 0.0:
            b[i] += scaled * reward
            for j in range(i + 1):
                a[i, j] += scaled * x[j]


@kernel
def factorise(a: Floats, ridge: Floats, lower: Floats) -> None:
    """Write the Cholesky factor of A + diag(ridge) into ``lower`` (P, P)."""
    p = ridge.shape[0]
    for i in range(p):
        for j in range(i + 1):
            s = a[i, j]
            if i == j:
                s += ridge[i]
            for k in range(j):
                s -= lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(s) if i == j else s / lower[j, j]


@kernel
def solve(lower: Floats, b: Floats, theta: Floats) -> None:
    """Solve L Lᵀ θ = b."""
    p = b.shape[0]
    for i in range(p):
        s = b[i]
        for k in range(i):
            s -= lower[i, k] * theta[k]
        theta[i] = s / lower[i, i]
    for i in range(p - 1, -1, -1):
        s = theta[i]
        for k in range(i + 1, p):
            s -= lower[k, i] * theta[k]
        theta[i] = s / lower[i, i]


@kernel
def expectation(a: Floats, b: Floats, ridge: Floats, x: Floats, lower: Floats, theta: Floats) -> float:
    """x·θ̂: what the rows so far let expect of a row."""
    factorise(a, ridge, lower)
    solve(lower, b, theta)
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * theta[i]
    return total


@kernel
def _explained(lower: Floats, sums: Floats, line: Floats) -> float:
    """(Σ x)ᵀ A⁻¹ (Σ x)."""
    total = 0.0
    for i in range(sums.shape[0]):
        s = sums[i]
        for k in range(i):
            s -= lower[i, k] * line[k]
        line[i] = s / lower[i, i]
        total += line[i] * line[i]
    return total


@kernel
def scan(
    rows: Floats,
    owners: npt.NDArray[np.int64],
    rewards: Floats,
    n: int,
    a: Floats,
    b: Floats,
    ridge: Floats,
    lower: Floats,
    work: Floats,
    residuals: Floats,
    out: Floats,
) -> None:
    """Look for a shift among the first ``n`` rows.

    Parameters
    ----------
    rows (N, P), owners (N,), rewards (N,) : x, arm and reward of each row, oldest first.
    a (P, P), b (P,) : Σ x xᵀ (lower triangle) and Σ x r of these rows. ridge (P,) : diagonal of Λ.
    lower (P, P), work (4, P), residuals (N,) : room to work.
    out (2, 3) : strongest evidence, rows behind its split, and the shift; [0] among all rows, [1] among those
        of the newest row's arm. The evidence is 0 where no split can be judged.
    """
    p = b.shape[0]
    theta, sums, own, line = work[0], work[1], work[2], work[3]
    out[:] = 0.0
    factorise(a, ridge, lower)
    solve(lower, b, theta)
    arm = owners[n - 1]
    squares, largest, count = 0.0, 0.0, 0
    for i in range(n):
        e = rewards[i]
        for j in range(p):
            e -= rows[i, j] * theta[j]
        residuals[i] = e
        squares += e * e
        largest = max(largest, abs(e))
        if owners[i] == arm:
            count += 1
    freedom = 0.0
    for j in range(p):
        freedom += a[j, j] / (a[j, j] + ridge[j])
    freedom = min(freedom, 0.5 * n)
    variance = (squares + PRIOR_ROWS * PRIOR_VARIANCE) / (n - freedom + PRIOR_ROWS)
    sums[:] = 0.0
    own[:] = 0.0
    u, u_own = 0.0, 0.0
    behind_own = 0
    due, due_own = FEWEST_BEHIND, FEWEST_BEHIND
    for behind in range(1, n + 1):
        i = n - behind
        mine = owners[i] == arm
        for j in range(p):
            sums[j] += rows[i, j]
        u += residuals[i]
        if behind == due and n - behind >= FEWEST_BEFORE:
            due = max(due + 1, int(due * GRID_RATIO))
            _judge(0, u, behind - _explained(lower, sums, line), variance, largest, behind, out)
        if mine:
            for j in range(p):
                own[j] += rows[i, j]
            u_own += residuals[i]
            behind_own += 1
            if behind_own == due_own and count - behind_own >= FEWEST_BEFORE:
                due_own = max(due_own + 1, int(due_own * GRID_RATIO))
                _judge(
                    1, u_own, behind_own - _explained(lower, own, line), variance, largest, behind_own, out
                )


@kernel
def _judge(level: int, u: float, m: float, variance: float, largest: float, behind: int, out: Floats) -> None:
    if m < 1.0:
        return
    shift = u / m
    evidence = m * shift * shift / (2.0 * (variance + largest * abs(shift) / 3.0))
    if evidence > out[level, EVIDENCE]:
        out[level, EVIDENCE], out[level, SPLIT], out[level, SHIFT] = evidence, behind, shift
