"""Compiled exp and log have the bits of ``nyx_learning.ieee``; constants and Beta densities are exact."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from mpmath import mp, mpf
from scipy import special, stats

from nyx_learning import ieee
from nyx_learning.bandit.kernels import elementary, gauss_legendre, logit_beta

Array = npt.NDArray[np.float64]

EDGES = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 1e308, -1e308, 5e-324, 2.2250738585072014e-308]


def same_bits(left: Array, right: Array) -> bool:
    both_nan = np.isnan(left) & np.isnan(right)
    return bool(np.all((left.view(np.int64) == right.view(np.int64)) | both_nan))


def test_exp_has_the_bits_of_ieee() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [
            rng.uniform(-750, 712, 300_000),
            rng.normal(size=150_000),
            rng.normal(size=25_000) * 1e-6,
            (rng.integers(-1074, 1024, 25_000) + 0.5) * math.log(2),  # next to a change of the exponent
            np.array([*EDGES, -745.2, -745.13, -708.4, -708.3, 709.78271289338397]),
        ]
    )
    out = np.empty_like(x)
    elementary.exp_into(x, out)
    assert same_bits(out, np.array([ieee.exp(v) for v in x.tolist()]))
    middle = x[(x >= -708) & (x <= 709)][:20_000]
    assert same_bits(
        np.array([elementary.exp_normal(v) for v in middle]), np.array([ieee.exp(v) for v in middle.tolist()])
    )


def test_exp_works_in_place() -> None:
    x = np.linspace(-3, 3, 37)
    expected = np.array([ieee.exp(v) for v in x.tolist()])
    elementary.exp_into(x, x)
    assert same_bits(x, expected)


def test_log_has_the_bits_of_ieee() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate(
        [
            rng.integers(0, 0x7FF0000000000000, 250_000).view(np.float64),  # all exponents
            rng.integers(0, 1 << 52, 20_000).view(np.float64),  # subnormal
            rng.uniform(0, 2, 180_000),
            1 + rng.normal(size=50_000) * 1e-9,
            np.array(EDGES),
        ]
    )
    expected = np.array([ieee.log(v) for v in x.tolist()])
    assert same_bits(np.array([elementary.log(v) for v in x.tolist()]), expected)
    normal = (x >= 2.2250738585072014e-308) & np.isfinite(x)
    some = np.flatnonzero(normal)[::20]
    assert same_bits(np.array([elementary.log_normal(v) for v in x[some].tolist()]), expected[some])


# Quadrature


def test_gauss_legendre_constants_again_with_60_digits() -> None:
    with mp.workdps(60):
        nodes: list[mpf] = []
        for i in range(16):
            x = mp.cos(mp.pi * (i + mpf(3) / 4) / (16 + mpf(1) / 2))
            for _ in range(8):
                slope = 16 * (x * mp.legendre(16, x) - mp.legendre(15, x)) / (x * x - 1)
                x -= mp.legendre(16, x) / slope
            nodes.append(x)
        nodes.sort()
        order = [*range(8), *range(15, 7, -1)]
        assert [float((nodes[i] + 1) / 2) for i in order] == gauss_legendre.NODES.tolist()
        slopes = [16 * (x * mp.legendre(16, x) - mp.legendre(15, x)) / (x * x - 1) for x in nodes]
        weights = [2 / ((1 - x * x) * d * d) for x, d in zip(nodes, slopes, strict=True)]
        assert [float(w / 2) for w in weights[:8]] == gauss_legendre.WEIGHTS.tolist()
        values = [[mp.legendre(d, x) for x in nodes] for d in range(17)]

        def cumulative(m: int, k: int) -> mpf:
            """∫ from −1 to x_k of the m-th basis polynomial, by its Legendre series; half of it on [0, 1]."""
            total = (nodes[k] + 1) / 2
            for d in range(1, 16):
                total += values[d][m] * (values[d + 1][k] - values[d - 1][k]) / 2
            return weights[m] * total / 2

        for m in range(8):
            for k in range(8):
                here, mirror = cumulative(m, k), cumulative(15 - m, k)
                assert float((here + mirror) / 2) == gauss_legendre.EVEN[m, k]
                assert float((here - mirror) / 2) == gauss_legendre.ODD[m, k]


@pytest.mark.parametrize("degree", range(16))
def test_a_polynomial_is_integrated_exactly_to_every_node(degree: int) -> None:
    nodes = gauss_legendre.NODES
    values = np.vstack([np.full(16, np.nan), nodes**degree])
    out = np.zeros((2, 16))
    whole = gauss_legendre.cumulate(values, 1, out)
    assert whole == pytest.approx(1 / (degree + 1), abs=2e-16)
    assert gauss_legendre.integrate(values, 1) == whole
    np.testing.assert_allclose(out[1], nodes ** (degree + 1) / (degree + 1), rtol=0, atol=3e-16)
    np.testing.assert_array_equal(out[0], 0.0)


# Beta densities on the logit scale

SHAPES = [
    (1.0, 1.0),
    (0.5, 0.5),
    (1e-3, 2.0),
    (3.0, 1e-3),
    (1e7, 3.0),
    (2.0, 1e6),
    (6e6, 4e6),
    (9.99, 10.01),
    (40.0, 0.1),
]


def ends(a: float, b: float, level: float) -> tuple[float, float]:
    mode = ieee.log(a / b)
    return mode - logit_beta.beta_reach(b, a, level), mode + logit_beta.beta_reach(a, b, level)


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_beta_density_on_the_logit_scale(a: float, b: float) -> None:
    """Normaliser and exponent against 50 digits; the range ends where the exponent is as asked."""
    with mp.workdps(50):
        p = mpf(a) / (mpf(a) + mpf(b))
        at_mode = mpf(a) * mp.log(p) + mpf(b) * mp.log(1 - p) - mp.log(mp.beta(a, b))
        assert logit_beta.beta_factor(a, b) == pytest.approx(float(mp.exp(at_mode)), rel=2e-14)

        def exponent(y: float) -> float:
            x = 1 / (1 + mp.exp(-mpf(y)))
            rest = 1 / (1 + mp.exp(mpf(y)))
            return float(a * mp.log(p / x) + b * mp.log((1 - p) / rest))

        low, high = ends(a, b, 31.0)
        assert 31.0 - 1e-6 <= exponent(low) <= 31.5 + 1e-6
        assert 31.0 - 1e-6 <= exponent(high) <= 31.5 + 1e-6
        for share in (0.03, 0.4, 0.7, 0.97):
            y = low + share * (high - low)
            if abs(y) > 90:
                continue
            x, rest = logit_beta.logit_pair(y)
            exact = 1 / (1 + mp.exp(-mpf(y)))
            got = logit_beta.beta_divergence(a, b, y, float(exact - p), x, rest)
            assert got == pytest.approx(exponent(y), rel=1e-13, abs=1e-14)


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_the_range_leaves_out_no_more_than_the_bound(a: float, b: float) -> None:
    """The Kullback-Leibler tail bound, checked where scipy's tails are sure: P(Y ≥ y) ≤ e^−U(y)."""
    for level in (0.5, 3.0, 12.0):
        low, high = ends(a, b, level)
        assert stats.beta.sf(special.expit(high), a, b) <= math.exp(-level) * (1 + 1e-6) or high > 30
        assert stats.beta.cdf(special.expit(low), a, b) <= math.exp(-level) * (1 + 1e-6)


@pytest.mark.parametrize("width", [1e-4, 1e-3, 0.03, 0.031, 0.5, 3.0, 12.0])
def test_the_bend_and_the_step_of_a_panel(width: float) -> None:
    tau = np.array([0.01, 0.3, 1.0]) * width
    out = np.empty(3)
    for y in (-37.0, -8.0, -0.6, 0.0, 0.3, 5.0, 29.0, 31.0, 80.0):
        x, rest = logit_beta.logit_pair(y)
        if width <= 0.03:
            logit_beta.logit_bend_series(x, rest, tau, out)
        else:
            logit_beta.logit_bend(y, x, rest, tau, out)
        with mp.workdps(70):
            exact = 1 / (1 + mp.exp(-mpf(y)))
            for t, got in zip(tau.tolist(), out.tolist(), strict=True):
                bend = float(mp.log(1 - exact + exact * mp.exp(-mpf(t))) + exact * mpf(t))
                assert got == pytest.approx(bend, rel=2e-15 if width <= 0.03 else 1e-10, abs=1e-25)
            step = float(exact - 1 / (1 + mp.exp(-(mpf(y) - mpf(width)))))
            assert logit_beta.logit_step(y, x, rest, width) == pytest.approx(step, rel=1e-14)
