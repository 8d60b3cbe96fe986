"""Checks of the monitors in worlds that drift: false alarms, delays, and regret with one setting for all.

Played by the simulator with the production code: monitors are fed in the order of the simulated log, and an
epoch begins at the number of its event (see ``simulation.play``). The limits are what was asked for when the
monitors were designed, not theorems; a check passes where the mean stays below its limit by 3.09 standard
errors, or the median by an exact rank test at the same level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf
from typing import ClassVar

import numpy as np
from scipy.stats import binom

from ...bandit import PolicySpec
from ...features.monitors import Monitors
from ..contender import Contender
from ..play import play
from ..worlds import PROBLEM_1, Piecewise
from ..worlds.base import Floats, World
from .check import Check, Effort, Finding
from .judging import Z999, normal_tail
from .regret import SEED, mean_and_error, regrets, without_floor
from .worlds import describe

__all__ = ["FOUR_ARMS", "Delay", "DriftRegret", "FalseAlarms", "drift", "watched"]

_ARMS = (0.8, 0.65, 0.6, 0.5)
_LATER = {
    "nothing changes": _ARMS,
    "best arm .8 to .4": (0.4, *_ARMS[1:]),
    "best arm .8 to .55": (0.55, *_ARMS[1:]),
    "worst arm .5 to .95": (*_ARMS[:3], 0.95),
}
FOUR_ARMS = {name: Piecewise([_ARMS] * 2 + [later] * 3, 300) for name, later in _LATER.items()}
"""Four arms of which one changes at round 600 of 1,500."""

_KNOWN = 200  # rewards before a change
_LATEST = 1000  # rewards behind it that are waited for
_SOURCE = "limits set for the monitors"
_NAME = "monitors"


def watched(policy: str, *, idle: bool = True) -> Contender:
    """A policy under monitors at their default setting; with ``idle``, idle arms are slowly forgotten."""
    spec = PolicySpec(policy, floor=0.0, idle_discount=0.999 if idle else None)
    return Contender(f"{policy} watched", spec, monitors=Monitors(), bucket_rows=25)


def _stream(before: float, after: float | None = None, change: int = _KNOWN) -> Piecewise:
    """One arm, so that each round's reward is the next one of its stream."""
    means = [[before]] if after is None else [[before], [after]]
    return Piecewise(means, change)


_WATCHED_STREAM = Contender(
    "uniform watched", PolicySpec("uniform", floor=0.0), monitors=Monitors(context=False, duration=False)
)


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Alarms in 10,000 stationary rewards."""

    level: float
    limit: float
    effort: Effort
    kind: ClassVar[str] = "drift"
    rows: ClassVar[int] = 10_000

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {_NAME} {describe(_stream(self.level))} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return "false alarms in 10,000"

    def run(self, *, full: bool) -> Finding:
        """Count the alarms of independent streams."""
        size = self.effort.of(full=full)
        world = _stream(self.level)
        counts = [
            len(play(world, _WATCHED_STREAM, self.rows, seed=SEED, replication=r).begun) for r in range(size)
        ]
        return _below(self, world, self._quantity, np.array(counts, np.float64), self.limit, size)


@dataclass(frozen=True, slots=True)
class Delay:
    """Rewards from a change, behind 200 rewards, to its alarm: the median."""

    before: float
    after: float
    limit: float
    effort: Effort
    kind: ClassVar[str] = "drift"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {_NAME} {describe(self._world)} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return "median delay"

    @property
    def _world(self) -> Piecewise:
        return _stream(self.before, self.after)

    def run(self, *, full: bool) -> Finding:
        """Take the median, and test how many delays lie above the limit."""
        size = self.effort.of(full=full)
        delays = np.array([self._delay(r) for r in range(size)])
        late = int((delays > self.limit).sum())
        # With a median above the limit so few late ones, or fewer, have probability binom.cdf(late, n, 1/2).
        passed = bool(binom.cdf(late, size, 0.5) <= normal_tail(Z999))
        share = late / size
        allowed = int(binom.ppf(normal_tail(Z999), size, 0.5)) - 1
        median = float(np.median(delays))
        return Finding(
            self.kind,
            _NAME,
            describe(self._world),
            self._quantity,
            "pass" if passed else "fail",
            None if isinf(median) else median,
            None,
            self.limit,
            "limit",
            "fewer delays above the limit than half of them could be by chance, at .001",
            float(binom.sf(allowed, size, share)) if passed else 0.0,
            _SOURCE,
            size,
        )

    def _delay(self, replication: int) -> float:
        played = play(self._world, _WATCHED_STREAM, _KNOWN + _LATEST, seed=SEED, replication=replication)
        behind = [t for t, _ in played.begun if t >= _KNOWN]
        return float(behind[0] - _KNOWN + 1) if behind else np.inf


@dataclass(frozen=True, slots=True)
class DriftRegret:
    """Mean regret of a watched policy, against a limit or a share of the plain policy's regret."""

    contender: Contender
    world: World
    name: str
    horizon: int
    limit: float
    effort: Effort
    plain: Contender | None = None
    kind: ClassVar[str] = "drift"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.contender.label} {self.name} {self._quantity}"

    @property
    def _quantity(self) -> str:
        return f"regret T={self.horizon}" + (f" / {self.plain.label}" if self.plain is not None else "")

    def run(self, *, full: bool) -> Finding:
        """Simulate, and compare."""
        size = self.effort.of(full=full)
        found = regrets(self.contender, self.world, [self.horizon], size)[:, 0]
        if self.plain is not None:
            # Both meet the same rewards: the ratio's error is that of the paired differences.
            plain = regrets(self.plain, self.world, [self.horizon], size)[:, 0]
            ratio = found.mean() / plain.mean()
            found = ratio + (found - ratio * plain) / plain.mean()
        return _below(self, self.name, self._quantity, found, self.limit, size, self.contender.label)


def _below(
    check: FalseAlarms | DriftRegret,
    world: World | str,
    quantity: str,
    values: Floats,
    limit: float,
    size: int,
    policy: str = _NAME,
) -> Finding:
    mean, error = mean_and_error(values)
    room = limit - mean
    passed = room > Z999 * error
    return Finding(
        check.kind,
        policy,
        world if isinstance(world, str) else describe(world),
        quantity,
        "pass" if passed else "fail",
        mean,
        error,
        limit,
        "limit",
        "mean + 3.09 s.e. < limit",
        normal_tail(room / error - Z999) if passed and error > 0.0 else 0.0,
        _SOURCE,
        size,
    )


def drift() -> list[Check]:
    """What the monitors were asked to reach, at their default setting."""
    limits = {
        "nothing changes": (30.0, Effort(0, 3000)),
        "best arm .8 to .4": (54.0, Effort(100, 1000)),
        "best arm .8 to .55": (56.0, Effort(100, 1000)),
        "worst arm .5 to .95": (85.0, Effort(200, 1000)),
    }
    return [
        FalseAlarms(0.8, 1.5, Effort(120, 400)),
        Delay(0.8, 0.4, 35.0, Effort(100, 1000)),
        Delay(0.8, 0.6, 80.0, Effort(0, 3000)),
        *(
            DriftRegret(watched("thompson_beta"), FOUR_ARMS[name], name, 1500, limit, effort)
            for name, (limit, effort) in limits.items()
        ),
        DriftRegret(
            watched("kl_ucb"),
            PROBLEM_1,
            "pb1",
            PROBLEM_1.horizon,
            0.6,
            Effort(20, 200),
            without_floor("kl_ucb"),
        ),
    ]
