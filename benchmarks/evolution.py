"""Evolution of patterns: how often an effect that did not change is told to have strengthened or weakened.

    python -m benchmarks evolution

Worlds with four strategies, three kinds of tasks and three kinds of errors: successes, rewards and seconds
differ by strategy and task by fixed amounts of many sizes, errors come with fixed shares. Nothing changes.
Six versions are stored in each world, of windows that follow each other (*apart*), of windows that share half
of their executions (*half*), or of all executions so far (*growing*). A pattern that two versions in a row
tell is asked about once for each such pair. *changed*: as apart, and from the fourth version on the first
strategy's successes rise by .2 for every task, and one error comes twice as often.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from nyx_learning.insights.evolution import PatternEvolution, pattern_evolution
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import detect_failure_patterns
from nyx_learning.insights.patterns import analyze_strategy_patterns

KINDS = ("apart", "half", "growing", "changed")
_VERSIONS = 6
_ERRORS = {"late": 0.2, "refused": 0.1, "empty": 0.04}


class Told(NamedTuple):
    """Of pairs of versions in a row: patterns that both told; of these, those that moved; pairs with one."""

    asked: int
    moved: int
    pairs: int
    alarms: int


def executions(n: int, seed: int, *, changed_from: int) -> list[Executed]:
    """n executions of one world; a change from one of them on."""
    fixed = np.random.default_rng([seed, 0xE0])
    success = np.clip(0.5 + fixed.normal(0.0, 0.15, (4, 3)), 0.1, 0.75)
    reward = 0.5 + fixed.normal(0.0, 0.08, (4, 3))
    seconds = fixed.normal(3.0, 0.3, (4, 3))
    rng = np.random.default_rng([seed, 0xE1])
    arm, task = rng.integers(0, 4, n), rng.integers(0, 3, n)
    later = np.arange(n) >= changed_from
    success_of = success[arm, task] + 0.2 * (later & (arm == 0))
    succeeded = rng.random(n) < success_of
    rewards = np.clip(rng.normal(reward[arm, task], 0.15), 0.0, 1.0)
    durations = np.exp(rng.normal(seconds[arm, task], 0.6))
    met = {
        code: rng.random(n) < share * (1.0 + (later if code == "refused" else 0.0))
        for code, share in _ERRORS.items()
    }
    return [
        Executed(
            f"e-{i}",
            "abcd"[arm[i]],
            context={"task": ("code", "text", "data")[task[i]]},
            success=bool(succeeded[i]),
            reward=float(rewards[i]),
            duration_s=float(durations[i]),
            error_codes=tuple(code for code in _ERRORS if met[code][i]),
        )
        for i in range(n)
    ]


def evolved(kind: str, seed: int, n: int) -> PatternEvolution:
    """Six versions of one world, of n executions each (*growing*: n more each)."""
    step = n // 2 if kind == "half" else n
    rows = executions(n * _VERSIONS, seed, changed_from=3 * n if kind == "changed" else n * _VERSIONS)
    stored = []
    for version in range(_VERSIONS):
        window = rows[0 if kind == "growing" else version * step : version * step + n]
        found = {
            "strategy_patterns": analyze_strategy_patterns(window, ["task"]).to_dict(),
            "failure_patterns": detect_failure_patterns(window).to_dict(),
        }
        stored.append((version + 1, found))
    return pattern_evolution(stored)


def judged(kind: str, worlds: range, n: int) -> Told:
    """Counts over some worlds; of *changed* only what did not change."""
    asked = moved = pairs = alarms = 0
    for seed in worlds:
        found = evolved(kind, seed, n)
        steps: dict[int, list[bool]] = {version: [] for version in found.versions[1:]}
        for pattern in found.patterns:
            if kind == "changed" and not _untouched(pattern.text):
                continue
            for change in pattern.history:
                if change.q is not None:
                    steps[change.version].append(change.state != "steady")
        asked += sum(len(each) for each in steps.values())
        moved += sum(sum(each) for each in steps.values())
        pairs += len(steps)
        alarms += sum(any(each) for each in steps.values())
    return Told(asked, moved, pairs, alarms)


def _untouched(text: str) -> bool:
    """Effects are against the other strategies: a change of one moves all of their successes."""
    return "success" not in text and text != "refused"


def power(worlds: range, n: int) -> tuple[int, int]:
    """How often the doubled error was told to have strengthened, when it did; of how many worlds."""
    told = 0
    for seed in worlds:
        found = next(p for p in evolved("changed", seed, n).patterns if p.text == "refused")
        told += any(c.version == 4 and c.state == "strengthened" for c in found.history)
    return told, len(worlds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="False and true changes of stored patterns.")
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--executions", type=int, default=600, help="of each version")
    options = parser.parse_args()
    worlds, n = range(options.worlds), options.executions
    print(f"{len(worlds)} worlds, six versions of {n:,} executions each; nothing that is counted changes")
    for kind in KINDS:
        told = judged(kind, worlds, n)
        share = told.moved / max(told.asked, 1)
        print(
            f"{kind}: {told.moved} of {told.asked:,} told to have moved ({share:.4f});"
            f" any in {told.alarms / told.pairs:.3f} of {told.pairs} pairs of versions"
        )
    print("an error that comes twice as often (.1 to .2) is told in {} of {}".format(*power(worlds, n)))


if __name__ == "__main__":
    main()
