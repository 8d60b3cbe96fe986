"""Golden decisions: the same bits in every process, on every processor, in every build.

``golden_decisions.json`` holds, for every policy, a digest of each decision of a short run, of the sums and
of the beliefs. A change of these bits changes decisions that were already logged: it needs a reason. Then:

    python tests/bandit/test_golden_decisions.py > tests/bandit/golden_decisions.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Flag,
    Numeric,
    Ordinal,
    PolicySpec,
    Strategy,
)
from nyx_learning.bandit.parameters import Range
from nyx_learning.bandit.policies import CATALOG
from nyx_learning.canonical import digest

GOLDEN = Path(__file__).with_name("golden_decisions.json")
ROUNDS = 30
STAGED = "hier_ts, staged"

ENVIRONMENTS = {
    "hash seed 0, no fused multiply-add in libm": {
        "PYTHONHASHSEED": "0",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4",
    },
    "random hash seed": {"PYTHONHASHSEED": "random"},
    # Together, because this compiles all kernels anew.
    "hash seed 1, generic processor, bounds checked": {
        "PYTHONHASHSEED": "1",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_BOUNDSCHECK": "1",
    },
}

CONTEXT = ContextSchema(
    task=Categorical(["research", "coding"]),
    level=Ordinal(["simple", "moderate", "complex"]),
    tokens=Numeric(1, 200_000, log=True),
    age=Numeric(0, 10, optional=True),
    urgent=Flag(),
)
LISTED = [
    Strategy("direct"),
    Strategy("parallel", {"workers": [2, 4, 8], "timeout_s": [30, 60]}),
    Strategy("recursive", {"depth": [1, 2]}),
]
RANGED = [Strategy("direct"), Strategy("tuned", {"rate": Range(1, 1000, log=True), "model": ["s", "l"]})]


def spec_of(case: str) -> BanditSpec:
    policy = case.partition(",")[0]
    required = {key: p.default for key, p in CATALOG[policy].parameters.items() if p.required}
    parameters: dict[str, Any] = required
    return BanditSpec(
        name="golden",
        seed=2**63 + 9,
        strategies=RANGED if case == STAGED else LISTED,
        context=CONTEXT,
        policy=PolicySpec(policy, **parameters),
        baseline_arm="direct",
        holdout=0.1,
        bucket_rows=16,
    )


def context_of(i: int) -> dict[str, Any]:
    return {
        "task": ("research", "coding", "new")[i % 3],
        "level": ("simple", "moderate", "complex")[(i // 2) % 3],
        "tokens": 3.5 * 2 ** (i % 16),
        "age": None if i % 5 == 0 else i / 3,
        "urgent": i % 4 == 0,
    }


def run(case: str) -> dict[str, str]:
    """Decide and learn for some rounds; rewards come late, and one in five never."""
    bandit = Bandit(spec_of(case))
    decisions = []
    for i in range(ROUNDS):
        eligible = ["direct", "parallel"] if i % 7 == 6 and case != STAGED else None
        decisions.append(bandit.select_arm(context_of(i), eligible=eligible, time=1e9 + i))
        if i >= 3 and i % 5:
            late = decisions[i - 3]
            bandit.update_reward(late, reward=((7 * late.arm + 3 * i) % 11) / 10)
    if not bandit.verify().ok:
        raise SystemExit(f"{case}: {bandit.verify()}")
    beliefs = [
        [b.arm_id, b.mean.hex(), b.sd.hex(), b.probability.hex(), b.rewards]
        for i in range(3)
        for b in bandit.beliefs(context_of(i))
    ]
    # Without the hash of the spec, which says what may differ and not what was chosen.
    contents = [{k: v for k, v in d.to_dict().items() if k != "spec_hash"} for d in decisions]
    return {
        "decisions": " ".join(digest(content)[:12] for content in contents),
        "sums": bandit.learner.sums.digest(),
        "beliefs": digest(beliefs),
    }


def everything() -> dict[str, dict[str, str]]:
    return {case: run(case) for case in [*sorted(CATALOG), STAGED]}


PINNED: dict[str, dict[str, str]] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def test_every_policy_is_pinned() -> None:
    assert list(PINNED) == [*sorted(CATALOG), STAGED]
    assert all(len(golden["decisions"].split()) == ROUNDS for golden in PINNED.values())


@pytest.mark.parametrize("case", list(PINNED))
def test_decisions_sums_and_beliefs_are_the_golden_ones(case: str) -> None:
    assert run(case) == PINNED[case]


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Started together: one compiles, the others load what is compiled already."""
    started = {
        name: subprocess.Popen(
            [sys.executable, __file__],
            env=os.environ | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, extra in ENVIRONMENTS.items()
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_another_process_comes_to_the_same_bits(
    name: str, processes: dict[str, subprocess.Popen[str]]
) -> None:
    out, err = processes[name].communicate(timeout=600)
    assert processes[name].returncode == 0, err
    assert json.loads(out) == PINNED


if __name__ == "__main__":
    print(json.dumps(everything(), indent=1))  # noqa: T201 (the answer to the parent process)
