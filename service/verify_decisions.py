"""Derive many stored decisions anew, and tell which are, to the last bit, what the learner decides.

Each comparison of ``Walk._is_again`` is made here on columns. A decision that passes is sound; of one that
does not, ``Walk`` says what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..bandit.arms import ArmTable
from ..bandit.choice import Keyed
from ..bandit.kernels.choice import draw
from ..bandit.many import ManyChooser, Run
from ..features.encoding import groups
from ..jit import kernel
from ..persistence.wire import Integers
from .decision_check import Walk
from .spelling import Flags
from .verify_arranging import Arranging, Prepared
from .verify_columns import DecisionColumns, equal
from .verify_fold import PageFold, plain

__all__ = ["DecisionsAgain"]


class DecisionsAgain:
    """Derives the decisions of one walk's spec."""

    def __init__(self, walk: Walk) -> None:
        spec, learner = walk.spec, walk.learner
        self._walk, self._baseline = walk, spec.baseline
        self._chooser: ManyChooser | None = None
        self._arranging: Arranging | None = None
        if isinstance(spec.arms, ArmTable):
            keyed, columns = Keyed(spec.seed, spec.name), tuple(groups(spec.context))
            self._chooser = ManyChooser(spec, spec.arms, columns, learner.sums, keyed)
            self._arranging = Arranging(walk)
        self._turn = False

    def arranged(self, decisions: DecisionColumns) -> Prepared | None:
        """What can be told of this spec's decisions before the walk is at their rows; None where it is
        nothing. Calls may not overlap.
        """
        if self._arranging is None:
            return None
        rows = np.flatnonzero(equal(decisions.rows, "spec_hash", self._walk.spec.spec_hash))
        return self._arranging.prepared(decisions.part(rows), rows)

    def again(
        self, decisions: DecisionColumns, made: Prepared | None, fold: PageFold | None
    ) -> tuple[int, list[tuple[int, str | None]]]:
        """Derive this spec's decisions anew, each behind the row that it knew; ``made`` is what ``arranged``
        said of them.

        Returns how many are sound, and of the others what ``Walk`` says, by their place.
        """
        if made is None:
            rows = np.flatnonzero(equal(decisions.rows, "spec_hash", self._walk.spec.spec_hash))
            states = decisions.states[rows]
        else:
            rows, states = made.rows, made.states
        if len(rows) == 0:
            return 0, []
        usable = made is not None and plain(self._walk)
        epochs = np.array(self._walk.learner.sums.epochs, np.int64)  # a page that is folded so begins none
        told: list[tuple[int, str | None]] = []
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(states)) + 1, [len(rows)]])
        group = 0
        while group + 1 < len(bounds):
            begin, count = int(bounds[group]), 1
            left: Sequence[int] | None = None
            if usable and made is not None and fold is not None:
                left, count = self._differing_ahead(fold, made, epochs, bounds[group:])
            end = int(bounds[group + count])
            if left is None:
                if fold is not None:
                    fold.to(int(states[begin]))
                left = range(begin, end)
                if usable and made is not None and states[begin] == self._walk.learner.sums.seq:
                    left = self._differing(made, epochs, begin, end)
            for i in left:
                if fold is not None:
                    fold.to(int(states[i]))
                self._take_turn(by_columns=False)
                place = int(rows[i])
                told.append((place, self._walk.problem(decisions.rows.row(place))))
            if fold is not None:
                fold.to(int(states[end - 1]))
            group += count
        return len(rows) - len(told), told

    def _differing_ahead(
        self, fold: PageFold, made: Prepared, epochs: Integers, bounds: Integers
    ) -> tuple[Sequence[int] | None, int]:
        """Which of the next groups of decisions are not what the sums behind their rows give, and how many
        groups were looked at; None where these sums cannot be told ahead.
        """
        chooser = self._chooser
        readings = None
        if chooser is not None and chooser.reads_only_sums:
            readings = fold.ahead(made.states[bounds[:-1]])
        if chooser is None or readings is None:
            return None, 1
        count = len(readings.begins) - 1
        begin, end = int(bounds[0]), int(bounds[count])
        chosen = np.flatnonzero(made.good[begin:end] & ~made.holdout[begin:end]) + begin
        if len(chosen):
            self._take_turn(by_columns=True)
            mass = np.zeros((len(chosen), made.mass.shape[1]), np.int64)
            chooser.masses_at(readings, _runs(chosen, bounds, made), made.phi[chosen], mass)
            made.mass[chosen] = mass
        return self._disagreeing(made, epochs, begin, end), count

    def _differing(self, made: Prepared, epochs: Integers, begin: int, end: int) -> Sequence[int]:
        """Which of the decisions, that all know the present sums, are not what these give."""
        chosen = np.flatnonzero(made.good[begin:end] & ~made.holdout[begin:end]) + begin
        if len(chosen) and self._chooser is not None:
            self._take_turn(by_columns=True)
            self._chooser.masses(chosen, made.phi, made.allowed, made.mass, made.held)
        return self._disagreeing(made, epochs, begin, end)

    def _disagreeing(self, made: Prepared, epochs: Integers, begin: int, end: int) -> Sequence[int]:
        """Which of the decisions are not what their masses give."""
        differing = _agree(
            begin,
            end,
            self._baseline,
            made.mass,
            made.held,
            made.only,
            made.pmf,
            made.uniforms,
            made.units,
            made.propensity,
            made.share,
            made.holdout,
            epochs,
            made.epochs,
            made.reasons,
            made.good,
        )
        if not differing:
            return ()
        found: list[int] = (np.flatnonzero(~made.good[begin:end]) + begin).tolist()
        return found

    def give_way(self) -> None:
        """Let the walk derive decisions by itself."""
        self._take_turn(by_columns=False)

    def _take_turn(self, *, by_columns: bool) -> None:
        """Two choosers read the same sums, and each is told of a change only once."""
        if self._chooser is not None and self._turn != by_columns:
            self._turn = by_columns
            sums = self._walk.learner.sums
            sums.stale.update(range(sums.arms))


def _runs(chosen: Integers, bounds: Integers, made: Prepared) -> list[Run]:
    """Neighbours among the decisions ``chosen`` that are of one group and have the same eligible arms."""
    steps, kinds = np.searchsorted(bounds, chosen, "right") - 1, made.kinds[chosen]
    changes = np.flatnonzero((np.diff(steps) != 0) | (np.diff(kinds) != 0)) + 1
    begins = np.concatenate([[0], changes])
    ends = [*changes.tolist(), len(chosen)]
    eligible = [made.allowed[i] for i in chosen[begins].tolist()]
    return list(map(Run, steps[begins].tolist(), begins.tolist(), ends, eligible))


@kernel
def _agree(
    begin: int,
    end: int,
    baseline: int,
    mass: Integers,
    held: Flags,
    only: Flags,
    pmf: Integers,
    uniforms: Integers,
    units: Integers,
    propensity: npt.NDArray[np.float64],
    share: npt.NDArray[np.float64],
    holdout: Flags,
    present: Integers,
    epochs: Integers,
    reasons: Integers,
    good: Flags,
) -> int:
    """Leave ``good`` only those decisions that are what the masses give; returns how many are not."""
    differing = 0
    for i in range(begin, end):
        if not good[i]:
            differing += 1
            continue
        if holdout[i]:
            for k in range(mass.shape[1]):
                mass[i, k] = 0
            mass[i, baseline] = 4294967296
            reason = 3
        else:
            reason = 1 if only[i] else 2 if held[i] else 0  # their places among REASONS
        same = reasons[i] == reason and draw(mass[i], uniforms[i]) == units[i]
        same = same and epochs[i] == present[units[i]]
        same = same and propensity[i] == 1.0 * share[i] * (mass[i, units[i]] / 4294967296.0)
        for k in range(mass.shape[1]):
            same = same and mass[i, k] == pmf[i, k]
        good[i] = same
        differing += not same
    return differing
