# mypy: disable-error-code="no-any-return"
"""Best-arm probabilities against closed forms and independent integration on scipy's distributions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import comb

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy import special

from nyx_learning.bandit.kernels.best_arm import best_arm_beta, best_arm_gaussian

Array = npt.NDArray[np.float64]
Family = Callable[[Array, Array], Array]

AIM = 5e-13
NODES, WEIGHTS = np.polynomial.legendre.leggauss(30)


def run(
    kernel: Callable[..., None], first: Array, second: Array, eligible: npt.NDArray[np.bool_] | None
) -> Array:
    out = np.full(len(first), -1.0)
    mask = np.ones(len(first), np.bool_) if eligible is None else eligible
    kernel(np.asarray(first, float), np.asarray(second, float), mask, out)
    return out


def gaussian(mean: object, sd: object, eligible: npt.NDArray[np.bool_] | None = None) -> Array:
    return run(best_arm_gaussian, np.asarray(mean, float), np.asarray(sd, float), eligible)


def beta(a: object, b: object, eligible: npt.NDArray[np.bool_] | None = None) -> Array:
    return run(best_arm_beta, np.asarray(a, float), np.asarray(b, float), eligible)


def integral(
    breaks: list[Array], density: list[Callable[..., Array]], cdf: list[Callable[..., Array]], copies: int
) -> Array:
    """P of one arm of each kind, with ``copies`` of every kind: Gauss-Legendre between all breaks."""
    edges = np.unique(np.concatenate(breaks))
    half = np.diff(edges)[:, None] / 2
    y = (edges[:-1, None] + half * (1 + NODES)).ravel()
    weight = (half * WEIGHTS).ravel()
    below = [f(y) for f in cdf]
    product = np.prod([f ** (copies - 1) for f in below], axis=0)
    out = []
    for i, f in enumerate(density):
        mass = weight * f(y)
        rest = np.prod([g for j, g in enumerate(below) if j != i], axis=0) if len(below) > 1 else 1.0
        out.append(float(np.sum(mass / np.sum(mass) * product * rest)))
    return np.array(out)


def gaussian_reference(mean: Array, sd: Array, copies: int = 1) -> Array:
    return integral(
        [m + s * np.arange(-10, 10.1, 0.8) for m, s in zip(mean, sd, strict=True)],
        [lambda y, m=m, s=s: np.exp(-0.5 * ((y - m) / s) ** 2) for m, s in zip(mean, sd, strict=True)],
        [lambda y, m=m, s=s: special.ndtr((y - m) / s) for m, s in zip(mean, sd, strict=True)],
        copies,
    )


def beta_reference(a: Array, b: Array, copies: int = 1) -> Array:
    """On the logit scale; the log-density in extended precision, since it cancels at large evidence."""
    breaks = []
    for p, q in zip(a, b, strict=True):
        mode, sd = np.log(p / q), 1 / np.sqrt(p * q / (p + q))
        step = min(sd, 1.0)
        far = step * (11 + np.cumsum(1.15 ** np.arange(200)))
        edges = np.concatenate([mode - far, mode + step * np.arange(-11, 11.1), mode + far])
        low, high = mode - 45 / min(p, 1) - 9 * sd, mode + 45 / min(q, 1) + 9 * sd
        breaks.append(edges[(edges > max(low, -650)) & (edges < min(high, 650))])

    def density(y: Array, p: float, q: float) -> Array:
        x = y.astype(np.longdouble)
        soft = np.log1p(np.exp(-np.abs(x)))
        exponent = -p * (soft - np.minimum(x, 0)) - q * (soft + np.maximum(x, 0))
        return np.exp((exponent - exponent.max()).astype(float))

    def cdf(y: Array, p: float, q: float) -> Array:
        lower = special.betainc(p, q, special.expit(np.minimum(y, 0)))
        return np.where(y < 0, lower, 1 - special.betainc(q, p, special.expit(-np.maximum(y, 0))))

    pairs = list(zip(a, b, strict=True))
    return integral(
        breaks,
        [lambda y, p=p, q=q: density(y, p, q) for p, q in pairs],
        [lambda y, p=p, q=q: cdf(y, p, q) for p, q in pairs],
        copies,
    )


# Closed forms


@pytest.mark.parametrize(
    ("gap", "first", "second"),
    [
        (0.3, 1.0, 2.0),
        (1.0, 1e-5, 1.0),
        (5.0, 1.0, 1.0),
        (0.1, 0.2, 1e-9),
        (0.0, 1e-7, 1.0),
        (1e-3, 1e-3, 1e-3),
        (0.4, 1.0, 1e-15),
        (0.4, 1.0, 1e-100),
        (-0.4, 1e-100, 1.0),
    ],
)
def test_two_gaussians_have_a_closed_form(gap: float, first: float, second: float) -> None:
    with mp.workdps(30):
        expected = float(mp.ncdf(mp.mpf(gap) / mp.sqrt(mp.mpf(first) ** 2 + mp.mpf(second) ** 2)))
    assert gaussian([gap, 0.0], [first, second]) == pytest.approx([expected, 1 - expected], abs=AIM, rel=0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (6e5, 4e5),
        (1e7, 3.0),
        (2.0, 1e6),
        (0.5, 0.5),
        (1e-3, 1e-3),
        (1e-3, 1e6),
        (1e-9, 1e-6),
        (1e-100, 1e-100),
    ],
)
def test_a_new_arm_against_any_beta(a: float, b: float) -> None:
    """U ~ Beta(1, 1) exceeds an independent X with probability E[1 − X] = b/(a+b)."""
    expected = b / (a + b)
    assert beta([1, a], [1, b]) == pytest.approx([expected, a / (a + b)], abs=AIM, rel=0)
    assert beta([a, 1], [b, 1]) == pytest.approx([a / (a + b), expected], abs=AIM, rel=0)


def test_two_betas_with_whole_parameters() -> None:
    """P(X > Y) for X ~ Beta(a, b), Y ~ Beta(3, 2): Y's distribution function is a polynomial, 4x³ − 3x⁴."""
    for a, b in itertools.product((1, 2, 7), (1, 3, 20)):
        moment = [1.0]
        for k in range(4):
            moment.append(moment[-1] * (a + k) / (a + b + k))
        assert beta([a, 3], [b, 2])[0] == pytest.approx(4 * moment[3] - 3 * moment[4], abs=AIM, rel=0)


def test_many_uniforms_against_one_beta() -> None:
    """X ~ Beta(a, 1) beats n uniforms with probability E[Xⁿ] = a/(a+n); the uniforms share the rest."""
    for a, n in ((0.5, 1), (3.0, 9), (40.0, 99)):
        p = beta([a] + [1.0] * n, [1.0] * (n + 1))
        assert p[0] == pytest.approx(a / (a + n), abs=AIM, rel=0)
        assert p[1:] == pytest.approx([(1 - a / (a + n)) / n] * n, abs=AIM, rel=0)


def test_odd_one_out_among_uniforms() -> None:
    """X ~ Beta(1, b) beats n uniforms with probability E[Xⁿ] = 1 / C(n+b, n)."""
    p = beta([1.0] * 6, [4.0] + [1.0] * 5)
    assert p[0] == pytest.approx(1 / comb(9, 5), abs=AIM, rel=0)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 36, 100])
def test_equal_arms_share_equally(count: int) -> None:
    share = np.full(count, 1 / count)
    for value, sd in ((0.0, 1.0), (0.7, 1e-6), (-1e3, 0.1), (0.5, 0.0)):
        assert gaussian([value] * count, [sd] * count) == pytest.approx(share, abs=1e-15, rel=0)
    for a, b in ((1.0, 1.0), (0.5, 0.5), (6e5, 4e5), (0.01, 2.0), (1e6, 0.3)):
        assert beta([a] * count, [b] * count) == pytest.approx(share, abs=1e-15, rel=0)


# Independent integration


@pytest.mark.parametrize("arms", [2, 3, 5, 10, 20])
def test_gaussians_against_integration(arms: int) -> None:
    rng = np.random.default_rng(arms)
    for case in range(12):
        sd = 10 ** rng.uniform(-3, -0.3, arms) if case % 2 else np.full(arms, 0.1)
        mean = rng.normal(size=arms) * np.median(sd)
        np.testing.assert_allclose(gaussian(mean, sd), gaussian_reference(mean, sd), rtol=0, atol=AIM)


@pytest.mark.parametrize("arms", [2, 3, 5, 10])
def test_betas_against_integration(arms: int) -> None:
    rng = np.random.default_rng(arms)
    for case in range(8):
        if case % 4 == 3:
            a, b = 10 ** rng.uniform(-0.7, 1, arms), 10 ** rng.uniform(-0.7, 1, arms)
        else:
            evidence = 10 ** rng.uniform(0, 6, arms)
            rate = (
                rng.uniform(0.001, 0.999, arms)
                if case % 4 == 0
                else 0.6 + 0.3 * rng.normal(size=arms) / np.sqrt(evidence)
            )
            rate = np.clip(rate, 0.001, 0.999)
            a, b = 1 + evidence * rate, 1 + evidence * (1 - rate)
        np.testing.assert_allclose(beta(a, b), beta_reference(a, b), rtol=0, atol=AIM)


@pytest.mark.parametrize(("kinds", "copies"), [(4, 9), (4, 25)])
def test_many_arms_against_integration(kinds: int, copies: int) -> None:
    """36 and 100 arms of four kinds each, evidence from 1 to 10⁶."""
    rng = np.random.default_rng(kinds * copies)
    for case in range(6):
        evidence = 10 ** rng.uniform(0, 6, kinds) if case % 2 else rng.uniform(2, 60, kinds)
        rate = np.clip(0.6 + 0.5 * rng.normal(size=kinds) / np.sqrt(evidence), 0.02, 0.98)
        sd = 0.5 / np.sqrt(evidence)
        every = np.tile(gaussian_reference(rate, sd, copies), copies)
        got = gaussian(np.tile(rate, copies), np.tile(sd, copies))
        np.testing.assert_allclose(got, every, rtol=0, atol=AIM)
        a, b = 1 + evidence * rate, 1 + evidence * (1 - rate)
        every = np.tile(beta_reference(a, b, copies), copies)
        np.testing.assert_allclose(beta(np.tile(a, copies), np.tile(b, copies)), every, rtol=0, atol=AIM)


def test_three_gaussians_against_mpmath() -> None:
    mean, sd = [0.0, 0.01, -0.5], [1.0, 1e-4, 0.5]
    with mp.workdps(20):
        breaks = sorted(
            {m + s * k for m, s in zip(mean, sd, strict=True) for k in (-10, -5, -2, 0, 2, 5, 10)}
        )
        for i in range(3):
            others = [j for j in range(3) if j != i]
            expected = mp.quad(
                lambda y, i=i, others=others: (
                    mp.npdf(y, mean[i], sd[i]) * mp.fprod(mp.ncdf(y, mean[j], sd[j]) for j in others)
                ),
                breaks,
            )
            assert gaussian(mean, sd)[i] == pytest.approx(float(expected), abs=AIM, rel=0)


# Laws


arm_lists = st.lists(st.tuples(st.floats(0.001, 0.999), st.floats(-0.5, 7.0)), min_size=1, max_size=12)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(arm_lists, st.randoms(use_true_random=False))
def test_a_permutation_of_the_arms_permutes_the_result(
    arms: list[tuple[float, float]], random: object
) -> None:
    rate = np.array([r for r, _ in arms])
    evidence = np.array([10**e for _, e in arms])
    order = list(range(len(arms)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for family, first, second in (
        (gaussian, rate, 0.5 / np.sqrt(evidence)),
        (beta, rate * evidence, (1 - rate) * evidence),
    ):
        p = family(first, second)
        assert np.all(p >= 0)
        assert np.all(p <= 1)
        assert p.sum() == pytest.approx(1, abs=1e-12, rel=0)
        np.testing.assert_allclose(family(first[order], second[order]), p[order], rtol=0, atol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(arm_lists, st.floats(-1e3, 1e3), st.floats(-30, 30))
def test_gaussians_do_not_depend_on_place_and_unit(
    arms: list[tuple[float, float]], shift: float, power: float
) -> None:
    mean = np.array([round(r * 1024) / 1024 for r, _ in arms])  # so that the shift is exact
    sd = np.array([10 ** (-e / 2) for _, e in arms])
    unit = 2.0 ** round(power)
    shift = round(shift)
    np.testing.assert_allclose(
        gaussian((mean + shift) * unit, sd * unit), gaussian(mean, sd), rtol=0, atol=1e-12
    )


def test_ineligible_arms_do_not_compete() -> None:
    mask = np.array([True, False, True, False])
    p = gaussian([0.0, 9.0, 1.0, np.nan], [1.0, 1.0, 1.0, -1.0], mask)
    np.testing.assert_array_equal(p[mask], gaussian([0.0, 1.0], [1.0, 1.0]))
    np.testing.assert_array_equal(p[~mask], 0.0)
    p = beta([1.0, 50.0, 2.0, -1.0], [1.0, 1.0, 1.0, np.nan], mask)
    np.testing.assert_array_equal(p[mask], beta([1.0, 2.0], [1.0, 1.0]))
    np.testing.assert_array_equal(p[~mask], 0.0)
    nobody = np.zeros(2, np.bool_)
    np.testing.assert_array_equal(gaussian([0.0, 1.0], [1.0, 1.0], nobody), 0.0)
    np.testing.assert_array_equal(beta([1.0, 1.0], [1.0, 1.0], nobody), 0.0)


def test_one_hopeless_arm_changes_nothing() -> None:
    few = gaussian([0.5, 0.6], [0.1, 0.1])
    many = gaussian([0.5, -3.0, 0.6], [0.1, 0.1, 0.1])
    assert many[1] == 0.0
    np.testing.assert_allclose(many[[0, 2]], few, rtol=0, atol=1e-13)


# Point masses


def test_point_masses_alone() -> None:
    np.testing.assert_array_equal(gaussian([0.2, 0.7, 0.7, 0.1], [0.0] * 4), [0.0, 0.5, 0.5, 0.0])


def test_a_point_mass_wins_when_all_others_fall_below_it() -> None:
    mean, sd = [0.0, 0.3, 1.0, 1.0, 0.5], [1.0, 0.4, 0.0, 0.0, 0.0]
    p = gaussian(mean, sd)
    together = special.ndtr(1.0) * special.ndtr(0.7 / 0.4)
    assert p[2] == p[3] == pytest.approx(together / 2, abs=AIM, rel=0)
    assert p[4] == 0.0
    expected = [special.ndtr(-1.0) * 1.0, 0.0]  # P(X₀ > max(1, X₁)), by integration over X₁
    with mp.workdps(20):
        for i, j in ((0, 1), (1, 0)):
            expected[i] = float(
                mp.quad(
                    lambda y, i=i, j=j: mp.npdf(y, mean[i], sd[i]) * mp.ncdf(y, mean[j], sd[j]), [1, 2, 4, 12]
                )
            )
    assert p[:2] == pytest.approx(expected, abs=AIM, rel=0)


def test_a_point_mass_is_the_limit_of_a_narrow_arm() -> None:
    np.testing.assert_allclose(
        gaussian([0.0, 0.4, 0.1], [1.0, 1e-14, 0.3]),
        gaussian([0.0, 0.4, 0.1], [1.0, 0.0, 0.3]),
        rtol=0,
        atol=AIM,
    )


def test_a_point_mass_out_of_reach_either_way() -> None:
    np.testing.assert_array_equal(gaussian([0.0, 99.0], [1.0, 0.0]), [0.0, 1.0])
    np.testing.assert_array_equal(gaussian([0.0, -99.0], [1.0, 0.0]), [1.0, 0.0])


def test_equal_means_with_scales_that_vanish_beside_them() -> None:
    """mean − 7.5 sd rounds to the mean for all of them: the narrowest must still end the integral."""
    for order in itertools.permutations(range(4)):
        p = gaussian([-8.7e-8] * 4, np.array([1e-25, 1e-65, 1e-45, 1e-85])[list(order)])
        assert p.sum() == pytest.approx(1, abs=1e-12, rel=0)
        at = dict(zip(order, p, strict=True))
        # All wider arms fall above the narrowest with probability ½ each; the widest one above decides.
        assert [at[0], at[2], at[1], at[3]] == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=AIM, rel=0)


# Bad input


@pytest.mark.parametrize(
    ("mean", "sd"), [(np.nan, 1.0), (np.inf, 1.0), (0.0, np.nan), (0.0, -1.0), (0.0, np.inf), (1e200, 1.0)]
)
def test_gaussian_outside_its_bounds_is_never_a_probability(mean: float, sd: float) -> None:
    assert np.isnan(gaussian([0.0, mean, 1.0], [1.0, sd, 1.0])).all()


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, 1.0), (1.0, -1.0), (np.nan, 1.0), (1.0, np.inf), (1e-200, 1.0), (1e20, 1.0)]
)
def test_beta_outside_its_bounds_is_never_a_probability(a: float, b: float) -> None:
    assert np.isnan(beta([1.0, a, 2.0], [1.0, b, 2.0])).all()
