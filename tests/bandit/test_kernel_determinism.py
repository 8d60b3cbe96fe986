"""The kernels give the same bits for every instruction set, variant of the C library, and build."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from nyx_learning.bandit.kernels import elementary
from nyx_learning.bandit.kernels.best_arm import best_arm_beta, best_arm_gaussian

# A change of these bits changes decisions that were already logged.
PINNED = "c5b00080a9f683d8bc88d410ee4e999f"

# Hides fused multiply-add from glibc ≥ 2.26, which then takes other versions of exp and log.
HIDE_FMA = "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4"

ENVIRONMENTS = {
    # Together, as for the golden decisions: whichever comes later loads what the other has compiled.
    "generic processor, bounds checked": {"NUMBA_CPU_NAME": "generic", "NUMBA_BOUNDSCHECK": "1"},
    "libm": {"GLIBC_TUNABLES": HIDE_FMA},
    "hash": {"PYTHONHASHSEED": "12345"},
}


def states() -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Rates and evidences without random numbers: equal, close, spread, and a new arm among known ones."""
    for arms in (1, 2, 3, 10, 36):
        place = np.arange(arms) / arms
        yield np.full(arms, 0.5), np.full(arms, 30.0)
        yield 0.4 + 0.25 * place, 2.0 + 58.0 * ((7 * np.arange(arms)) % 11) / 11
        yield 0.55 + 0.125 * place, np.array([[1.0, 30.0, 900.0, 2e4, 1e6][i % 5] for i in range(arms)])
        yield 0.6 + 0.0001 * place, np.array([1.0] + [1e6] * (arms - 1))


def digest() -> str:
    hashed = hashlib.blake2b(digest_size=16)
    x = np.arange(-7400, 7100) / 10.0 + 0.03125
    out = np.empty_like(x)
    elementary.exp_into(x, out)
    hashed.update(out.tobytes())
    hashed.update(np.array([elementary.log(v) for v in out.tolist()]).tobytes())
    for rate, evidence in states():
        everyone = np.ones(len(rate), np.bool_)
        p = np.empty(len(rate))
        sd = 0.5 / np.sqrt(evidence)
        best_arm_gaussian(rate, sd, everyone, p)
        hashed.update(p.tobytes())
        best_arm_gaussian(rate, np.where(np.arange(len(rate)) % 4 == 1, 0.0, sd), everyone, p)
        hashed.update(p.tobytes())
        best_arm_beta(0.5 + evidence * rate, 0.5 + evidence * (1 - rate), everyone, p)
        hashed.update(p.tobytes())
    return hashed.hexdigest()


def libm_digest() -> str:
    values = [f(v / 7.0) for v in range(1, 5000) for f in (math.exp, math.log) if v < 4900]
    return hashlib.blake2b(np.array(values).tobytes(), digest_size=16).hexdigest()


def start(extra: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ | extra,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def answers() -> dict[str, list[str]]:
    """Started together, because one of them compiles the kernels anew."""
    processes = {name: start(extra) for name, extra in ENVIRONMENTS.items()}
    found = {}
    for name, process in processes.items():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found[name] = out.split()
    return found


def test_the_bits_are_pinned() -> None:
    assert digest() == PINNED


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_another_environment_gives_the_same_bits(name: str, answers: dict[str, list[str]]) -> None:
    assert answers[name][0] == PINNED


def test_hiding_instructions_reaches_the_c_library(answers: dict[str, list[str]]) -> None:
    """Otherwise the test above would prove nothing about ``libm``."""
    if answers["libm"][1] == libm_digest():
        pytest.skip("this C library has one version of exp and log for this processor")
    assert answers["hash"][1] == libm_digest()


if __name__ == "__main__":
    print(digest(), libm_digest())  # noqa: T201 (the answer to the parent process)
