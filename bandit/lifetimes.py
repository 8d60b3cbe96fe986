"""How long executions last until they succeed or fail: cause-specific hazards on a grid of logarithms.

An execution that was stopped is censored: it counts among those that were still running up to then, and says
nothing of how it would have ended (Kaplan and Meier 1958; two causes: Aalen and Johansen 1978; half of those
stopped within a step count as at risk in it, the actuarial estimate). The hazards of an arm in a cell of
contexts are shrunk towards those of the arm and those of the cell, these towards all executions': each
parent weighs as much as ``WEIGHT`` executions that are still running.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from math import sqrt
from typing import NamedTuple

from ..errors import InputInvalid, shown

__all__ = ["EDGES", "WEIGHT", "Curve", "Lifetimes"]

_THIRDS = (1.0, 1.2599210498948732, 1.5874010519681994)
EDGES = tuple((1 << i) / 64.0 * third for i in range(31) for third in _THIRDS)
"""Upper ends of the steps, in seconds: three to the octave, from 1/64 s to a year or more."""

WEIGHT = 4.0

_ROOT = ("all",)
_HOPE = 0.5  # standard errors
_OTHERS = 0.1  # so much evidence is an execution of another arm or cell


class Curve(NamedTuple):
    """Hazards of each step, up to the last in which anybody was still running.

    success, failure : the chance that one which reached the step ends so within it. running : how many of the
    arm in the cell, and of all, were at risk in each step. hidden : of all that are not known to have ended
    before a step, the share that had been stopped.
    """

    success: tuple[float, ...]
    failure: tuple[float, ...]
    running: tuple[float, ...]
    running_all: tuple[float, ...]
    hidden: tuple[float, ...]

    def hopeful(self) -> Curve:
        """The curve with hazards of success as high as few executions allow: half a standard error above.

        Who is stopped tells nothing of what waiting on would have brought: a wait that is cut short for want
        of evidence would stay so for ever. Hope puts the stop off there, until more were seen to run so long.
        Of the half, the share that stops have hidden: where nobody was stopped, there is nothing to hope for.
        """
        success = tuple(
            min(a + _HOPE * hidden * sqrt(a * (1.0 - a) / (own + WEIGHT + _OTHERS * every)), 1.0 - b)
            for a, b, own, every, hidden in zip(*self, strict=True)
        )
        return self._replace(success=success)

    def median(self) -> float | None:
        """Seconds until half have ended; None where more than half outlast all that is known."""
        alive, low = 1.0, 0.0
        for k, (a, b) in enumerate(zip(self.success, self.failure, strict=True)):
            left = alive * (1.0 - a - b)
            if left <= 0.5:
                return low + (EDGES[k] - low) * (alive - 0.5) / (alive - left)
            alive, low = left, EDGES[k]
        return None


class _Counts:
    """Executions by the step in which they succeeded or failed, and how many were at risk in each step."""

    __slots__ = ("failed", "running", "succeeded")

    def __init__(self) -> None:
        self.succeeded, self.failed = [0] * len(EDGES), [0] * len(EDGES)
        self.running = [0.0] * len(EDGES)

    def add(self, step: int, success: bool | None) -> None:
        """Take one execution in; one that was stopped (None) is at risk in half of its last step."""
        for k in range(step):
            self.running[k] += 1.0
        self.running[step] += 0.5 if success is None else 1.0
        if success is not None:
            (self.succeeded if success else self.failed)[step] += 1


class Lifetimes:
    """What is known of durations until success and until failure, by arm and cell of contexts.

    >>> known = Lifetimes()
    >>> for seconds in (8.0, 10.0, 12.0):
    ...     known.learn("direct", seconds, True)
    >>> known.learn("direct", 60.0, None)
    >>> known.executions, round(known.curve("direct").median(), 1)
    (4, 10.3)
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[Hashable, ...], _Counts] = {}
        self._by_arm: dict[str, int] = {}
        self._stopped = [0] * len(EDGES)
        self._curves: dict[tuple[str, Hashable], Curve] = {}
        self._hopeful: dict[tuple[str, Hashable], Curve] = {}
        self._roots: tuple[list[float], list[float]] | None = None

    @property
    def executions(self) -> int:
        """How many were learned from, stopped ones included."""
        return sum(self._by_arm.values())

    @property
    def stopped(self) -> int:
        """How many of them were stopped."""
        return sum(self._stopped)

    def of_arm(self, arm_id: str) -> int:
        """How many of this arm were learned from."""
        return self._by_arm.get(arm_id, 0)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that were learned from, in the order of their names."""
        return tuple(sorted(self._by_arm))

    def learn(self, arm_id: str, seconds: float, success: bool | None, cell: Hashable = None) -> None:
        """Take one execution in.

        success : None where it was stopped after ``seconds``, and nobody knows how it would have ended.

        Raises
        ------
        InputInvalid : seconds that are negative, no finite number, or above a year; nothing has changed.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < EDGES[-1]:
            raise InputInvalid(
                "a duration cannot be learned from",
                expected=f"a number of seconds from 0 to {EDGES[-1]:.0f}",
                found=shown(seconds),
                fix="correct it, or leave the execution out",
            )
        if success is not None and not isinstance(success, bool):
            raise InputInvalid(
                "how an execution ended cannot be learned from",
                expected="True, False, or None where it was stopped",
                found=shown(success),
                fix="pass a bool or None",
            )
        step = bisect_right(EDGES, seconds)
        for key in (_ROOT, ("arm", arm_id), ("cell", cell), ("both", arm_id, cell)):
            self._counts.setdefault(key, _Counts()).add(step, success)
        self._by_arm[arm_id] = self._by_arm.get(arm_id, 0) + 1
        self._stopped[step] += success is None
        self._curves.clear()
        self._hopeful.clear()
        self._roots = None

    def curve(self, arm_id: str, cell: Hashable = None) -> Curve:
        """The hazards of an arm in a cell; all executions' where nothing is known of either."""
        found = self._curves.get((arm_id, cell))
        if found is None:
            found = self._curves[arm_id, cell] = self._curve(arm_id, cell)
        return found

    def hopeful(self, arm_id: str, cell: Hashable = None) -> Curve:
        """``curve(…).hopeful()``."""
        found = self._hopeful.get((arm_id, cell))
        if found is None:
            found = self._hopeful[arm_id, cell] = self.curve(arm_id, cell).hopeful()
        return found

    def _curve(self, arm_id: str, cell: Hashable) -> Curve:
        every = self._counts.get(_ROOT, _EMPTY)
        if self._roots is None:
            steps = next((k for k, n in enumerate(every.running) if n <= 0.0), len(EDGES))
            self._roots = (
                _smoothed(every.succeeded, every.running, steps),
                _smoothed(every.failed, every.running, steps),
            )
        arm = self._counts.get(("arm", arm_id), _EMPTY)
        place = self._counts.get(("cell", cell), _EMPTY)
        both = self._counts.get(("both", arm_id, cell), _EMPTY)
        success, failure = (
            tuple(
                (
                    own[k]
                    + WEIGHT
                    * 0.5
                    * (
                        (of_arm[k] + WEIGHT * root) / (arm.running[k] + WEIGHT)
                        + (of_place[k] + WEIGHT * root) / (place.running[k] + WEIGHT)
                    )
                )
                / (both.running[k] + WEIGHT)
                for k, root in enumerate(roots)
            )
            for roots, of_arm, of_place, own in (
                (self._roots[0], arm.succeeded, place.succeeded, both.succeeded),
                (self._roots[1], arm.failed, place.failed, both.failed),
            )
        )
        steps = len(success)
        stopped, hidden = 0.0, []
        for k in range(steps):
            hidden.append(stopped / (stopped + every.running[k]))
            stopped += self._stopped[k]
        return Curve(
            success, failure, tuple(both.running[:steps]), tuple(every.running[:steps]), tuple(hidden)
        )


_EMPTY = _Counts()


def _smoothed(ended: list[int], running: list[float], steps: int) -> list[float]:
    """Hazards of all executions, with a quarter of the weight on each neighbour."""
    found = []
    for k in range(steps):
        events, at_risk = 2.0 * ended[k], 2.0 * running[k]
        for near in (k - 1, k + 1):
            if 0 <= near < steps:
                events, at_risk = events + ended[near], at_risk + running[near]
        found.append(events / at_risk)
    return found
