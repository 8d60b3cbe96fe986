"""Checks that simulated runs are the same bits, everywhere and always."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..contender import Contender
from ..play import play
from ..worlds import Bernoulli, World
from .check import Check, Effort, Finding
from .regret import SEED, without_floor
from .states import catalog_policy, learn
from .worlds import describe

__all__ = ["DIGESTS", "GoldenDecisions", "GoldenRun", "golden"]

DIGESTS: Mapping[str, str] = {
    "ucb1": "c53fa37a81a7d916",
    "kl_ucb": "3d5f21200a09670d",
    "thompson_beta": "a0dd1e5a4d844e30",
    "kl_maillard": "b2f67d9112d8cc8b",
    "hier_ts": "f80d0850e1810478",
    "linucb": "cda60aa646b2308e",
    "lints": "a16778b396f22266",
    "exp3_ix": "698504f32423710c",
}
"""64 bits of BLAKE2b over what was done. A change that is meant to change decisions changes them too:
``nyx-learning validate --only golden`` prints what was found."""

_RUN, _DECISIONS = Effort(2000, 2000), Effort(300, 300)


@dataclass(frozen=True, slots=True)
class GoldenRun:
    """Arms and rewards of one simulated replication."""

    contender: Contender
    world: World
    expected: str
    effort: Effort = _RUN
    kind: ClassVar[str] = "golden"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.contender.label} {describe(self.world)} arms and rewards"

    def run(self, *, full: bool) -> Finding:
        """Play, and hash."""
        size = self.effort.of(full=full)
        played = play(self.world, self.contender, size, seed=SEED, replication=3)
        rewards = np.rint(played.rewards * 65536.0).astype("<i8")
        found = _hash(played.arms.astype("<i8").tobytes() + rewards.tobytes())
        return _finding(
            self.contender.label,
            describe(self.world),
            "digest of arms and rewards",
            found,
            self.expected,
            size,
        )


@dataclass(frozen=True, slots=True)
class GoldenDecisions:
    """Pmfs and choices of a learner under a catalog policy with its defaults."""

    policy: str
    expected: str
    effort: Effort = _DECISIONS
    kind: ClassVar[str] = "golden"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.policy} 4 arms, 2 features decisions"

    def run(self, *, full: bool) -> Finding:
        """Decide, learn, and hash."""
        size = self.effort.of(full=full)
        rows = [
            [*step.decision.pmf, step.decision.arm]
            for step in learn(catalog_policy(self.policy, 0.01), size, successes=False)
        ]
        found = _hash(np.array(rows, "<i8").tobytes())
        return _finding(
            self.policy, "4 arms, 2 features", "digest of pmfs and choices", found, self.expected, size
        )


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _finding(policy: str, world: str, quantity: str, found: str, expected: str, size: int) -> Finding:
    return Finding(
        "golden",
        policy,
        world,
        quantity,
        "pass" if found == expected else "fail",
        None,
        None,
        None,
        f"digest {expected}",
        "equal digests",
        0.0,
        "an earlier run",
        size,
        f"found {found}",
    )


def golden() -> list[Check]:
    """Compiled loops, and learners."""
    world = Bernoulli([0.6, 0.2, 0.55, 0.7, 0.5])
    found: list[Check] = [
        GoldenRun(contender, world, DIGESTS.get(contender.label, ""))
        for contender in (
            without_floor("ucb1"),
            without_floor("kl_ucb"),
            without_floor("thompson_beta"),
            without_floor("kl_maillard"),
        )
    ]
    names = ("hier_ts", "linucb", "lints", "exp3_ix")
    return found + [GoldenDecisions(name, DIGESTS.get(name, "")) for name in names]
