"""Microseconds per best-arm quadrature, by family, kind of state and number of arms.

    python benchmarks/best_arm.py [repeats]

A figure is the median over ten states of the median over repeats, each the mean of many calls. Compare only
runs on a quiet machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from nyx_learning.bandit.kernels.best_arm import best_arm_beta, best_arm_gaussian

Array = npt.NDArray[np.float64]

ARMS = (2, 5, 10, 36, 100)
KINDS = ("equal", "typical", "spread", "new")


def states(kind: str, arms: int, seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """Rates and evidences of ten states of a kind."""
    rng = np.random.default_rng((seed, arms))
    for _ in range(10):
        if kind == "equal":
            yield np.full(arms, 0.6), np.full(arms, 30.0)
        elif kind == "typical":  # a few dozen runs each
            yield rng.uniform(0.4, 0.7, arms), rng.uniform(2, 60, arms)
        elif kind == "spread":  # from 1 to 10⁶ runs
            yield rng.uniform(0.4, 0.7, arms), 10 ** rng.uniform(0, 6, arms)
        else:  # one arm without data among well-known ones
            evidence = np.full(arms, 1e6)
            evidence[0] = 1
            yield 0.6 + 0.0005 * rng.normal(size=arms), evidence


def microseconds(call: Callable[[], None], repeats: int) -> float:
    """Median over repeats of the time per call."""
    call()
    start = time.perf_counter()
    call()
    calls = max(3, int(0.002 / (time.perf_counter() - start)))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - start) / calls * 1e6)
    return float(np.median(found))


def row(kernel: Callable[..., None], family: str, kind: str, repeats: int) -> list[float]:
    """Median microseconds over the states of one kind, for each number of arms."""
    figures = []
    for arms in ARMS:
        out = np.empty(arms)
        everyone = np.ones(arms, np.bool_)
        found = []
        for rate, evidence in states(kind, arms):
            first, second = rate, 0.5 / np.sqrt(evidence)
            if family == "beta":
                first, second = 1 + evidence * rate, 1 + evidence * (1 - rate)
            found.append(microseconds(partial(kernel, first, second, everyone, out), repeats))
        figures.append(float(np.median(found)))
    return figures


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'µs per call':20}" + "".join(f"{f'K={arms}':>9}" for arms in ARMS))
    for family, kernel in (("gaussian", best_arm_gaussian), ("beta", best_arm_beta)):
        for kind in KINDS:
            figures = row(kernel, family, kind, repeats)
            print(f"{family + ' ' + kind:20}" + "".join(f"{figure:9.1f}" for figure in figures))


if __name__ == "__main__":
    main()
