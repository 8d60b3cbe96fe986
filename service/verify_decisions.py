"""Derive many stored decisions anew, and tell which are, to the last bit, what the learner decides.

Each comparison of ``Walk._is_again`` is made here on columns. A decision that passes is sound; of one that
does not, ``Walk`` says what is wrong, if anything is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bandit.arms import ArmTable
from ..bandit.choice import TOTAL, Keyed
from ..bandit.decision import ARM_STAGE, IMPORTED
from ..bandit.kernels.choice import draw
from ..bandit.learner import COHORT_STAGE
from ..bandit.many import ManyChooser, Run
from ..canonical import canonical_json, quoted
from ..errors import NyxError
from ..features import ONE
from ..features.encoding import groups
from ..jit import kernel
from ..persistence.wire import Integers, WireRows
from .blake2b import uniforms
from .context_columns import ContextColumns
from .decision_check import Walk
from .spelling import Flags, Recipe, float_texts, spell
from .text_table import TextTable
from .verify_columns import DECISION, DecisionColumns, equal
from .verify_fold import PageFold, plain

__all__ = ["DecisionsAgain", "Prepared"]

_POLICY, _ONLY, _HELD_BACK, _HOLDOUT = range(4)
_REASONS = ("policy", "only_arm", "conservative", "holdout")
_MEMO = 20_000
_DAY_ZERO = -10_957  # 1970-01-01, in days since 2000-01-01
_MAX_ID = 512


@dataclass(slots=True)
class Prepared:
    """All that can be told of some decisions of one spec without the sums.

    ``rows`` : their places among the stored ones; row i of each other array is of decision ``rows[i]``.
    ``kinds`` : a number for each set of allowed arms.
    """

    rows: Integers
    states: Integers
    good: Flags
    units: Integers
    phi: npt.NDArray[np.float64]
    allowed: list[tuple[int, ...] | None]
    kinds: Integers
    only: Flags
    pmf: Integers
    mass: Integers
    held: Flags
    uniforms: Integers
    propensity: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    holdout: Flags
    epochs: Integers
    reasons: Integers


class DecisionsAgain:
    """Derives the decisions of one walk's spec."""

    def __init__(self, walk: Walk) -> None:
        spec, learner = walk.spec, walk.learner
        self._walk, self._baseline = walk, spec.baseline
        self._keyed = Keyed(spec.seed, spec.name)
        self._arms = spec.arms if isinstance(spec.arms, ArmTable) else None
        self._chooser: ManyChooser | None = None
        if self._arms is not None:
            columns = tuple(groups(spec.context))
            self._chooser = ManyChooser(spec, self._arms, columns, learner.sums, self._keyed)
        holdout = round(spec.holdout * TOTAL)
        self._cohorts = (TOTAL - holdout, holdout)
        self._encoder = ContextColumns(spec.context)
        self._contexts: dict[bytes, list[int] | None] = {}
        self._eligible: dict[bytes, tuple[int, ...] | None] = {}
        self._units, self._reasons = TextTable(*spec.arms.units), TextTable(*_REASONS)
        self._turn = False
        self._recipe = _recipe(spec.name, spec.spec_hash)

    def arranged(self, decisions: DecisionColumns) -> Prepared | None:
        """What can be told of this spec's decisions before the walk is at their rows; None where it is
        nothing. Calls may not overlap.
        """
        if self._chooser is None:
            return None
        rows = np.flatnonzero(equal(decisions.rows, "spec_hash", self._walk.spec.spec_hash))
        return self._prepared(decisions.part(rows), rows)

    def again(
        self, decisions: DecisionColumns, made: Prepared | None, fold: PageFold | None
    ) -> tuple[int, list[tuple[int, str | None]]]:
        """Derive this spec's decisions anew, each behind the row that it knew; ``made`` is what ``prepare``
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

    def _prepared(self, decisions: DecisionColumns, places: Integers) -> Prepared:
        walk, rows, count = self._walk, decisions.rows, len(decisions)
        spec = walk.spec
        everything = np.arange(count)
        units = self._units.find(*rows.field("arm_id"))
        phi, whole = rows.arrays("phi", everything, walk.learner.sums.dimension)
        pmf, full = rows.arrays("pmf", everything, len(spec.arms.units))
        time, timed = rows.floats("decided_at")
        allowed, kinds, proper = self._allowed(rows)
        texts = [decisions.chances, float_texts(time, timed)]
        spelled = spell(self._recipe, rows, [np.maximum(units, 0)], texts)
        held_out, staged = self._cohort(rows)
        served = held_out & np.array([a is None or spec.baseline in a for a in allowed], np.bool_)
        size = rows.length[:, rows.at("decision_id")]
        good = (
            (units >= 0)
            & whole
            & full
            & proper
            & staged
            & spelled.done
            & ~spelled.hashes_differ(rows, rows.at("digest"))
            & (self._encoded(rows, phi.shape[1]) == phi).all(axis=1)
            & equal(rows, "bandit", spec.name)
            & equal(rows, "encoding", walk.spec.encoding)
            & ~equal(rows, "mode", IMPORTED)
            & (decisions.days == _days(time, timed))
            & (size <= _MAX_ID)
            & (size > 0)
            & (decisions.epochs >= 0)
        )
        uniforms = self._uniforms(rows, ARM_STAGE)
        cohort = np.where(held_out, self._cohorts[1], self._cohorts[0]) / TOTAL
        arms = len(spec.arms.units)
        return Prepared(
            places,
            decisions.states,
            good,
            units,
            phi.astype(np.float64) * (1.0 / ONE),
            allowed,
            kinds,
            np.array([arms == 1 if a is None else len(a) == 1 for a in allowed], np.bool_),
            pmf,
            np.zeros_like(pmf),
            np.zeros(count, np.bool_),
            uniforms,
            decisions.propensities,
            cohort,
            served,
            decisions.epochs,
            self._reasons.find(*rows.field("reason")),
        )

    def _uniforms(self, rows: WireRows, stage: str) -> Integers:
        spec = self._walk.spec
        return uniforms(spec.seed, spec.name, stage, *rows.field("decision_id"))

    def _cohort(self, rows: WireRows) -> tuple[Flags, Flags]:
        """Which decisions were held out, and which have just the stages that say so."""
        if not self._cohorts[1]:
            return np.zeros(len(rows), np.bool_), equal(rows, "stages", "[]")
        held = self._uniforms(rows, COHORT_STAGE) >= self._cohorts[0]
        texts = [
            canonical_json(
                [
                    {
                        "chosen": chosen,
                        "name": COHORT_STAGE,
                        "names": ["learner", "holdout"],
                        "pmf": list(self._cohorts),
                    }
                ]
            )
            for chosen in (0, 1)
        ]
        staged = np.where(held, equal(rows, "stages", texts[1]), equal(rows, "stages", texts[0]))
        return held, staged

    def _allowed(self, rows: WireRows) -> tuple[list[tuple[int, ...] | None], Integers, Flags]:
        """The eligible arms, a number for each set of them, and which are in order."""
        found: list[tuple[int, ...] | None] = [None] * len(rows)
        kinds, proper = np.full(len(rows), -1, np.int64), np.ones(len(rows), np.bool_)
        places: dict[tuple[int, ...] | None, int] = {}
        if len(self._eligible) > _MEMO:
            self._eligible.clear()
        known, f = self._eligible, rows.at("eligible")
        for i in np.flatnonzero(rows.length[:, f] >= 0).tolist():
            begin = int(rows.place[i, f])
            key = rows.sent[begin : begin + int(rows.length[i, f])]
            if key not in known:
                given = rows.value(i, "eligible")
                whole = given and all(type(arm) is int for arm in given) and given == sorted(set(given))
                most = len(self._walk.spec.arms.units)
                known[key] = tuple(given) if whole and 0 <= given[0] <= given[-1] < most else None
            found[i] = known[key]
            proper[i] = found[i] is not None
            kinds[i] = places.setdefault(found[i], len(places))
        return found, kinds, proper

    def _encoded(self, rows: WireRows, dimension: int) -> Integers:
        """φ of each context; −1 in all columns where a context is none of the schema."""
        found, done = self._encoder.encode(rows.sent, *rows.field("context"))
        left = np.flatnonzero(~done)
        if len(left):
            if len(self._contexts) > _MEMO:
                self._contexts.clear()
            known, none = self._contexts, [-1] * dimension
            for i, text in zip(left.tolist(), rows.part(left).raw("context"), strict=True):
                key = text or b""
                if key not in known:
                    known[key] = self._phi(key)
                found[i] = known[key] or none
        return found

    def _phi(self, text: bytes) -> list[int] | None:
        try:
            given = json.loads(text.decode())
            context, phi = self._walk.learner.encoder.encode(given)
        except (NyxError, TypeError, ValueError, AttributeError):
            return None
        return phi if context == given else None


def _runs(chosen: Integers, bounds: Integers, made: Prepared) -> list[Run]:
    """Neighbours among the decisions ``chosen`` that are of one group and have the same eligible arms."""
    steps, kinds = np.searchsorted(bounds, chosen, "right") - 1, made.kinds[chosen]
    changes = np.flatnonzero((np.diff(steps) != 0) | (np.diff(kinds) != 0)) + 1
    begins = np.concatenate([[0], changes])
    ends = [*changes.tolist(), len(chosen)]
    eligible = [made.allowed[i] for i in chosen[begins].tolist()]
    return list(map(Run, steps[begins].tolist(), begins.tolist(), ends, eligible))


def _recipe(bandit: str, spec_hash: str) -> Recipe:
    """``Decision.digest`` of a decision among listed arms."""
    return Recipe.of(
        list(DECISION),
        '{"arm":',
        ("quoted", "arm_id"),
        f',"bandit":{quoted(bandit)},"context":',
        ("json", "context"),
        ',"decision_id":',
        ("quoted", "decision_id"),
        ',"eligible":',
        ("list or null", "eligible"),
        ',"epoch":',
        ("int", "epoch"),
        ',"mode":',
        ("quoted", "mode"),
        ',"phi":',
        ("list", "phi"),
        ',"propensity":',
        ("text", 0),
        ',"reason":',
        ("quoted", "reason"),
        f',"spec_hash":{quoted(spec_hash)},"stages":[',
        ("inside", "stages"),
        '{"chosen":',
        ("number", 0),
        f',"name":"{ARM_STAGE}","names":null,"pmf":',
        ("list", "pmf"),
        '}],"state_seq":',
        ("int", "state_seq"),
        ',"time":',
        ("text", 1),
        "}",
    )


def _days(time: npt.NDArray[np.float64], timed: Flags) -> Integers:
    """``day_of`` each time, in days since 2000-01-01."""
    finite = np.where(timed & np.isfinite(time), time, 0.0)
    return _DAY_ZERO + np.trunc(np.clip(finite / 86400.0, -700_000.0, 2_900_000.0)).astype(np.int64)


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
            reason = 1 if only[i] else 2 if held[i] else 0
        same = reasons[i] == reason and draw(mass[i], uniforms[i]) == units[i]
        same = same and epochs[i] == present[units[i]]
        same = same and propensity[i] == 1.0 * share[i] * (mass[i, units[i]] / 4294967296.0)
        for k in range(mass.shape[1]):
            same = same and mass[i, k] == pmf[i, k]
        good[i] = same
        differing += not same
    return differing
