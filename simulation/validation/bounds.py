"""Upper bounds on regret, as formulas of means μ, gaps Δ = μ* − μ and horizon T; rewards in [0, 1].

What was done to trust each formula is said beside it: "derived" means that the proof was gone through for the
index exactly as it is computed here, where t counts the rewards learned so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi, sqrt

__all__ = [
    "alpha_ucb",
    "bernoulli_kl",
    "delayed_ucb1",
    "exp3_ix",
    "gaps_of",
    "kl_ucb",
    "lai_robbins",
    "moss",
    "oful",
    "thompson_bayes",
    "thompson_two_arms",
    "ucb1",
]

_GRID = 64


def gaps_of(means: Sequence[float]) -> list[float]:
    """Positive gaps Δ to the best mean."""
    best = max(means)
    return [best - mean for mean in means if mean < best]


def bernoulli_kl(p: float, q: float) -> float:
    """d(p, q) = p ln(p/q) + (1−p) ln((1−p)/(1−q)) for 0 < q < 1."""
    first = p * log(p / q) if p > 0.0 else 0.0
    return first + ((1.0 - p) * log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0)


def lai_robbins(means: Sequence[float]) -> float:
    """C = Σ Δ/d(μ, μ*): no policy that is good everywhere has a regret that grows slower than C ln T.

    Lai & Robbins (1985), Advances in Applied Mathematics 6.
    """
    best = max(means)
    return sum((best - mean) / bernoulli_kl(mean, best) for mean in means if mean < best)


def ucb1(means: Sequence[float], horizon: int) -> float:
    """Σ 8 ln T/Δ + (1 + π²/3) Σ Δ.

    Auer, Cesa-Bianchi & Fischer (2002), Theorem 1. Derived: after ⌈8 ln T/Δ²⌉ plays an arm is chosen only if
    one of two means is off by √(2 ln t/s), and Σ_t Σ_s Σ_s' 2 t⁻⁴ ≤ π²/3.
    """
    gaps = gaps_of(means)
    return sum(8.0 * log(horizon) / gap for gap in gaps) + (1.0 + pi * pi / 3.0) * sum(gaps)


def alpha_ucb(means: Sequence[float], horizon: int, alpha: float) -> float:
    """Σ [2α ln T/Δ + α/(α−2)] for α > 2, of the index m̂ + √(α ln t/2n).

    Bubeck & Cesa-Bianchi (2012), Theorem 2.1 with ψ(λ) = λ²/8. Derived: 1 + 2 Σ_t t^(1−α) ≤ α/(α−2) plays
    more than ⌈2α ln T/Δ²⌉; each costs Δ ≤ 1.
    """
    return sum(2.0 * alpha * log(horizon) / gap + alpha / (alpha - 2.0) for gap in gaps_of(means))


def kl_ucb(means: Sequence[float], horizon: int) -> float:
    """Σ Δ·(1 + inf_{ε₁+ε₂<Δ} [2/ε₂² + ln f(T)/d(μ+ε₁, μ*−ε₂) + 1/(2ε₁²)]), f(t) = 1 + t ln²t.

    Lattimore & Szepesvári (2020), Theorem 10.6; its proof was read. There f is taken at the round, here at
    the rewards so far, one fewer: each arm's plays rise by at most the 1 that is added. The infimum is taken
    over a grid, which can only raise the bound.
    """
    best = max(means)
    level = log(1.0 + horizon * log(horizon) ** 2)
    total = 0.0
    for mean in means:
        gap = best - mean
        if gap <= 0.0:
            continue
        plays = min(
            2.0 / second**2 + level / bernoulli_kl(mean + first, best - second) + 0.5 / first**2
            for i in range(1, _GRID)
            for j in range(1, _GRID - i)
            for first, second in [(gap * i / _GRID, gap * j / _GRID)]
        )
        total += gap * (1.0 + plays)
    return total


def thompson_bayes(arms: int, horizon: int) -> float:
    """√(½ K T ln K): Bayesian regret of Thompson sampling with the true prior.

    Russo & Van Roy (2016), JMLR 17, with H(A*) ≤ ln K; Lattimore & Szepesvári (2020), Theorem 36.7, whose
    statement and proof were read.
    """
    return sqrt(0.5 * arms * horizon * log(arms))


def delayed_ucb1(means: Sequence[float], horizon: int, delay: int) -> float:
    """Σ [8 ln T/Δ + 3.5 Δ + τΔ] where every reward is learned τ rounds late.

    Joulani, György & Szepesvári (2013), ICML, Delayed-UCB1, with at most τ outstanding rewards of an arm.
    Derived: ⌈8 ln T/Δ²⌉ + τ plays are spent before the arm is known well, and 2 Σ t⁻³ < 2.41 by mistake.
    """
    return sum(8.0 * log(horizon) / gap + (3.5 + delay) * gap for gap in gaps_of(means))


def exp3_ix(arms: int, horizon: int, risk: float) -> float:
    """4√(K T ln K) + (2√(K T/ln K) + 1) ln(2/δ): realised regret, exceeded with probability at most δ.

    Neu (2015), anytime form η_t = 2γ_t = √(ln K/(K t)). Derived with √(K T/ln K) in place of twice that, so
    that the formula holds with room; whether the paper's constant is this one was not checked against it.
    """
    root = sqrt(arms * horizon * log(arms))
    return 4.0 * root + (2.0 * root / log(arms) + 1.0) * log(2.0 / risk)


def oful(
    arms: int,
    dimension: int,
    horizon: int,
    *,
    length: float,
    ridge: float,
    noise: float,
    norm: float,
    risk: float,
) -> float:
    """2β √(2 T Γ) with probability 1 − δ, for K linear arms that share nothing; ‖φ‖ ≤ ``length``.

    β = R √(D ln(1 + T L²/(λD)) + 2 ln(K/δ)) + √λ S,   Γ = K D ln(1 + T L²/(KλD)) ≥ Σ_a ln(det A_a/λ^D)

    Abbasi-Yadkori, Pál & Szepesvári (2011), Theorems 2 and 3, for one θ. Derived for separate arms: risk δ/K
    each, Cauchy–Schwarz over all rounds, ln det concave in the number of plays.
    """
    square = length * length / (ridge * dimension)
    beta = noise * sqrt(dimension * log(1.0 + horizon * square) + 2.0 * log(arms / risk)) + sqrt(ridge) * norm
    information = arms * dimension * log(1.0 + horizon * square / arms)
    return 2.0 * beta * sqrt(2.0 * horizon * information)


def moss(arms: int, horizon: int) -> float:
    """49 √(K T).

    Audibert & Bubeck (2009), COLT, Theorem 5; as commonly stated, not checked against the paper.
    """
    return 49.0 * sqrt(arms * horizon)


def thompson_two_arms(means: Sequence[float], horizon: int) -> float:
    """40 ln T/Δ + 48/Δ³ + 18 Δ: Thompson sampling on two arms.

    Agrawal & Goyal (2012), COLT, Theorem 1; as commonly stated, not checked against the paper.
    """
    gap = max(gaps_of(means))
    return 40.0 * log(horizon) / gap + 48.0 / gap**3 + 18.0 * gap
