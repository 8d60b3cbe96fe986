from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import rel_entr

from nyx_learning.bandit import PolicySpec
from nyx_learning.bandit.kernels.bernoulli import kl, kl_upper
from nyx_learning.errors import SpecInvalid

Make = Callable[..., Any]


def entropy(p: float, q: float) -> float:
    return float(rel_entr(p, q) + rel_entr(1 - p, 1 - q))


def test_relative_entropy_by_hand() -> None:
    assert kl(0.5, 0.25) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-14)
    assert kl(0.0, 0.5) == pytest.approx(math.log(2), rel=1e-15)
    assert kl(1.0, 0.5) == pytest.approx(math.log(2), rel=1e-15)
    assert kl(0.3, 0.3) == 0.0
    assert kl(0.3, 1.0) == math.inf
    assert kl(0.3, 0.0) == math.inf
    assert kl(1.0, 1.0) == 0.0
    assert kl(0.0, 0.0) == 0.0


def test_inverse_by_hand() -> None:
    assert kl_upper(0.0, math.log(2)) == pytest.approx(0.5, rel=1e-15)  # −ln(1 − q) = ln 2
    assert kl_upper(1.0, 3.0) == 1.0
    assert kl_upper(0.4, 0.0) == 0.4
    assert kl_upper(0.4, 1e9) == 1.0


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.floats(1e-9, 1 - 1e-9), st.floats(-14, 2.5))
def test_inverse_against_brent(p: float, exponent: float) -> None:
    level = 10.0**exponent
    q = kl_upper(p, level)
    assert p <= q <= 1.0
    high = math.nextafter(1.0, 0.0)
    if entropy(p, high) <= level:
        assert q >= high
        return
    expected = brentq(lambda x: entropy(p, x) - level, p, high, xtol=1e-16, rtol=1e-15, maxiter=500)
    # The entropy of two close numbers is itself only known to about 1e-16: δq = 1e-16·q(1−q)/(q−p).
    slack = 4e-16 + 4e-16 * q * (1 - q) / max(q - p, 1e-300)
    assert abs(q - expected) <= 1e-13 + min(slack, 1e-7)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 30), st.floats(0, 30))
def test_inverse_grows_with_the_level(p: float, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert kl_upper(p, low) <= kl_upper(p, high) + 1e-15


def test_the_levels(probe: Make) -> None:
    # t = 30. Found with scipy: which arm has the larger bound under each level.
    rows = np.array([[20, 12.0, 12.0], [6, 3.0, 3.0], [4, 1.0, 1.0]])
    t = 30.0
    for level, f in {
        "ln(1+t ln^2 t)": math.log(1 + t * math.log(t) ** 2),
        "ln t": math.log(t) + 2.5 * math.log(math.log(t)),
    }.items():
        bounds = [
            brentq(lambda q, n=n, m=s / n, f=f: n * entropy(m, q) - f, s / n, 1 - 1e-15) for n, s, _ in rows
        ]
        kl_ucb = probe("kl_ucb", 3, level=level, c=2.5).learn(rows)
        assert kl_ucb.policy._index == pytest.approx(bounds, abs=1e-12)
        assert kl_ucb.pmf()[np.argmax(bounds)] == 1.0


def test_untried_first_and_ties_share(probe: Make) -> None:
    assert probe("kl_ucb", 3).learn([[0] * 3, [5, 5.0, 5.0], [0] * 3]).pmf().tolist() == [0.5, 0, 0.5]
    assert probe("kl_ucb", 3).learn([[4, 2.0, 2.0], [4, 1.0, 1.0], [4, 2.0, 2.0]]).pmf().tolist() == [
        0.5,
        0,
        0.5,
    ]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="level") as caught:
        PolicySpec("kl_ucb", level="log t")
    assert "'ln t'" in caught.value.expected
    with pytest.raises(SpecInvalid):
        PolicySpec("kl_ucb", c=-1)
