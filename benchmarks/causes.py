"""Likely root causes: how often the planted one is named, and how often something else is.

    python -m benchmarks causes

Worlds of 1,000 executions with three strategies, two features without effect, and one kind of error, in 5 %
of the executions wherever nothing is planted:

- *proxy*: 30 % with strategy a; a queue goes with that strategy in 80 % of its executions, and in 20 % of the
  others'.
- *chain of proxies*: the queue goes with a region as well, in the same way.
- *number*: 30 % where a size is above its 60 % quantile; a number of tokens is the size with noise
  (correlation .8).
- *part of a strategy*: 30 % with one of three timeouts that only strategy a has.
- *two*: 25 % more with strategy a, 25 % more for one kind of task; a proxy of either.
- *both*: 40 % where strategy a meets one kind of task.
- *error before*: strategy a brings an error in 30 %, and that another one in 70 %.
- *copy*: as proxy, and every execution of the queue is one of the strategy: nothing can tell them apart.
- *shuffled*: as proxy, and the errors are put into other executions at random.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np

from nyx_learning.insights.executed import Executed, Plain
from nyx_learning.insights.failures import LikelyCause, detect_failure_patterns

WORLDS: dict[str, tuple[str, ...]] = {
    "proxy": ("strategy a",),
    "chain of proxies": ("strategy a",),
    "number": ("size",),
    "part of a strategy": ("timeout_s 10",),
    "two": ("strategy a", "task code"),
    "both": ("strategy a", "task code"),
    "error before": ("preceding error first",),
    "copy": (),
    "shuffled": (),
}
"""What is planted, by world."""


def world(name: str, n: int, seed: int) -> list[Executed]:
    """Executions of one world; the failure is called "late"."""
    rng = np.random.default_rng([seed, 0xCA])
    arm = rng.integers(0, 3, n)
    task = rng.integers(0, 3, n)
    a, code = arm == 0, task == 0
    size = rng.normal(size=n)
    tokens = 0.8 * size + 0.6 * rng.normal(size=n)
    near = rng.random(n) < np.where(a, 0.8, 0.2)
    far = rng.random(n) < np.where(near, 0.8, 0.2)
    desk = rng.random(n) < np.where(code, 0.8, 0.2)
    risk = np.where(a, 0.30, 0.05)
    if name == "number":
        risk = np.where(size > np.quantile(size, 0.6), 0.30, 0.05)
    timeout = rng.choice([10, 20, 40], n)
    if name == "part of a strategy":
        risk = np.where(a & (timeout == 10), 0.30, 0.05)
    if name == "two":
        risk = 0.05 + 0.25 * a + 0.25 * code
    if name == "both":
        risk = np.where(a & code, 0.40, 0.05)
    late = rng.random(n) < risk
    if name == "shuffled":
        late = rng.permutation(late)
    if name == "copy":
        near = a
    first = late
    second = rng.random(n) < np.where(first, 0.7, 0.02)
    found = []
    for i in range(n):
        context: dict[str, Plain] = {
            "task": ("code", "text", "data")[task[i]],
            "user": f"u{rng.integers(5)}",
            "urgent": bool(rng.integers(2)),
        }
        parameters: Mapping[str, Plain] = {}
        if name in ("proxy", "chain of proxies", "copy", "shuffled", "error before"):
            context["queue"] = "near" if near[i] else "far"
        if name == "chain of proxies":
            context["region"] = "north" if far[i] else "south"
        if name == "number":
            context |= {"size": float(size[i]), "tokens": float(tokens[i])}
        if name == "part of a strategy" and a[i]:
            parameters = {"timeout_s": int(timeout[i])}
        if name == "two":
            context |= {"queue": "near" if near[i] else "far", "desk": "yes" if desk[i] else "no"}
        codes: tuple[str, ...] = ("late",) if late[i] else ()
        if name == "error before":
            codes = (*(("first",) if first[i] else ()), *(("late",) if second[i] else ()))
        found.append(
            Executed(
                f"e-{i}",
                "abc"[arm[i]],
                parameters,
                context,
                error_codes=codes,
                time=1_700_000_000.0 + 1200.0 * i,
            )
        )
    return found


def concluded(name: str, n: int, seed: int) -> LikelyCause:
    """What is said of the failure "late" in one world."""
    codes = detect_failure_patterns(world(name, n, seed)).codes
    return next(pattern.likely_cause for pattern in codes if pattern.sequence == ("late",))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Likely root causes of planted failures.")
    parser.add_argument("--worlds", type=int, default=200, help="of each kind")
    parser.add_argument("--executions", type=int, default=1000, help="in each world")
    parser.add_argument("--only", choices=sorted(WORLDS), help="one kind of worlds")
    options = parser.parse_args()
    print(f"{options.worlds} worlds of {options.executions:,} executions each; shares of worlds")
    print("world | all planted named, nothing else | anything else named | undecided | nothing said")
    for name, planted in WORLDS.items():
        if options.only not in (None, name):
            continue
        exact = other = undecided = silent = 0
        for seed in range(options.worlds):
            found = concluded(name, options.executions, seed)
            named = [cause.text for cause in found.causes]
            right = [any(text.startswith(each) for text in named) for each in planted]
            wrong = [text for text in named if not any(text.startswith(each) for each in planted)]
            exact += bool(planted) and all(right) and not wrong
            other += bool(wrong)
            undecided += bool(found.undecided)
            silent += found.state == "none"
        shares = " | ".join(f"{count / options.worlds:.3f}" for count in (exact, other, undecided, silent))
        print(f"{name} | {shares}")


if __name__ == "__main__":
    main()
