"""Derive many stored decisions anew, and tell which are, to the last bit, what the learner decides.

Each comparison of ``Walk._is_again`` is made here on columns. A decision that passes is sound; of one that
does not, ``Walk`` says what is wrong, if anything is.
"""

from __future__ import annotations

import itertools
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
from ..bandit.many import ManyChooser
from ..canonical import canonical_json, quoted
from ..errors import NyxError
from ..features import ONE
from ..features.encoding import groups
from ..jit import kernel
from ..persistence.wire import Integers, WireRows
from .decision_check import Walk
from .spelling import Flags, Recipe, float_texts, spell
from .verify_columns import DECISION, DecisionColumns, equal
from .verify_fold import PageFold, plain

__all__ = ["DecisionsAgain"]

_POLICY, _ONLY, _HELD_BACK, _HOLDOUT = range(4)
_REASONS = ("policy", "only_arm", "conservative", "holdout")
_MEMO = 20_000
_DAY_ZERO = -10_957  # 1970-01-01, in days since 2000-01-01
_MAX_ID = 512


@dataclass(slots=True)
class _Prepared:
    """Some decisions of one spec; row i of each array is of one decision."""

    good: Flags
    units: Integers
    phi: npt.NDArray[np.float64]
    allowed: list[tuple[int, ...] | None]
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
        self._contexts: dict[bytes, list[int] | None] = {}
        self._places = {unit.encode(): i for i, unit in enumerate(spec.arms.units)}
        self._turn = False
        self._recipe = _recipe(spec.name, spec.spec_hash)

    def again(
        self, decisions: DecisionColumns, rows: Integers, fold: PageFold | None
    ) -> tuple[int, list[tuple[int, str | None]]]:
        """Derive the decisions ``rows`` anew, each behind the row that it knew.

        Returns how many are sound, and of the others what ``Walk`` says, by their place.
        """
        if len(rows) == 0:
            return 0, []
        sums, chooser = self._walk.learner.sums, self._chooser
        told: list[tuple[int, str | None]] = []
        made = self._prepared(decisions.part(rows)) if chooser is not None and plain(self._walk) else None
        states = decisions.states[rows]
        bounds = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(rows)]
        for begin, end in itertools.pairwise(bounds):
            state = int(states[begin])
            if fold is not None:
                fold.to(state)
            left: Sequence[int] = range(begin, end)
            if made is not None and chooser is not None and state == sums.seq:
                left = self._differing(chooser, made, begin, end)
            for i in left:
                self._take_turn(by_columns=False)
                place = int(rows[i])
                told.append((place, self._walk.problem(decisions.rows.row(place))))
        return len(rows) - len(told), told

    def _differing(self, chooser: ManyChooser, made: _Prepared, begin: int, end: int) -> Sequence[int]:
        """Which of the decisions, that all know the present sums, are not what these give."""
        sums = self._walk.learner.sums
        chosen = np.flatnonzero(made.good[begin:end] & ~made.holdout[begin:end]) + begin
        if len(chosen):
            self._take_turn(by_columns=True)
            chooser.masses(chosen.tolist(), made.phi, made.allowed, made.mass, made.held)
        _agree(
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
            np.array(sums.epochs, np.int64),
            made.epochs,
            made.reasons,
            made.good,
        )
        if made.good[begin:end].all():
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

    def _prepared(self, decisions: DecisionColumns) -> _Prepared:
        """All that can be told without the sums."""
        walk, rows, count = self._walk, decisions.rows, len(decisions)
        spec = walk.spec
        everything = np.arange(count)
        units = np.array([self._places.get(arm or b"", -1) for arm in decisions.arms], np.int64)
        phi, whole = rows.arrays("phi", everything, walk.learner.sums.dimension)
        pmf, full = rows.arrays("pmf", everything, len(spec.arms.units))
        encoded = self._encoded(rows, phi.shape[1])
        time, timed = rows.floats("decided_at")
        times, chances = float_texts(time, timed), float_texts(*rows.floats("propensity"))
        allowed, proper = self._allowed(rows)
        spelled = spell(self._recipe, rows, [np.maximum(units, 0)], [chances, times])
        hashes = spelled.hashes()
        digest = np.array([text or b"" for text in rows.raw("digest")], "S33")
        ids = [key or b"" for key in decisions.ids]
        held_out, staged = self._cohort(rows, ids)
        served = held_out & np.array([a is None or spec.baseline in a for a in allowed], np.bool_)
        good = (
            (units >= 0)
            & whole
            & full
            & proper
            & staged
            & spelled.done
            & (hashes == digest)
            & (encoded == phi).all(axis=1)
            & equal(rows, "bandit", spec.name)
            & equal(rows, "encoding", walk.spec.encoding)
            & ~equal(rows, "mode", IMPORTED)
            & (decisions.days == _days(time, timed))
            & (rows.length[:, rows.at("decision_id")] <= _MAX_ID)
            & (rows.length[:, rows.at("decision_id")] > 0)
            & (decisions.epochs >= 0)
        )
        reasons = np.full(count, -1, np.int64)
        for code, reason in enumerate(_REASONS):
            reasons[equal(rows, "reason", reason)] = code
        uniforms = np.array(self._keyed.uniforms(ids, ARM_STAGE), np.int64)
        cohort = np.where(held_out, self._cohorts[1], self._cohorts[0]) / TOTAL
        arms = len(spec.arms.units)
        return _Prepared(
            good,
            units,
            phi.astype(np.float64) * (1.0 / ONE),
            allowed,
            np.array([arms == 1 if a is None else len(a) == 1 for a in allowed], np.bool_),
            pmf,
            np.zeros_like(pmf),
            np.zeros(count, np.bool_),
            uniforms,
            decisions.propensities,
            cohort,
            served,
            decisions.epochs,
            reasons,
        )

    def _cohort(self, rows: WireRows, ids: Sequence[bytes]) -> tuple[Flags, Flags]:
        """Which decisions were held out, and which have just the stages that say so."""
        if not self._cohorts[1]:
            return np.zeros(len(rows), np.bool_), equal(rows, "stages", "[]")
        held = np.array(self._keyed.uniforms(ids, COHORT_STAGE), np.int64) >= self._cohorts[0]
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

    def _allowed(self, rows: WireRows) -> tuple[list[tuple[int, ...] | None], Flags]:
        """The eligible arms, and which of these are in order."""
        found: list[tuple[int, ...] | None] = [None] * len(rows)
        proper = np.ones(len(rows), np.bool_)
        for i in np.flatnonzero(rows.length[:, rows.at("eligible")] >= 0).tolist():
            given = rows.value(i, "eligible")
            whole = given and all(type(arm) is int for arm in given)
            if whole and given == sorted(set(given)) and 0 <= given[0] <= given[-1] < len(self._places):
                found[i] = tuple(given)
            else:
                proper[i] = False
        return found, proper

    def _encoded(self, rows: WireRows, dimension: int) -> Integers:
        """φ of each context; −1 in all columns where a context is none of the schema."""
        if len(self._contexts) > _MEMO:
            self._contexts.clear()
        known, none = self._contexts, [-1] * dimension
        found = []
        for text in rows.raw("context"):
            key = text or b""
            if key not in known:
                known[key] = self._phi(key)
            found.append(known[key] or none)
        return np.array(found, np.int64).reshape(len(found), dimension)

    def _phi(self, text: bytes) -> list[int] | None:
        try:
            given = json.loads(text.decode())
            context, phi = self._walk.learner.encoder.encode(given)
        except (NyxError, TypeError, ValueError, AttributeError):
            return None
        return phi if context == given else None


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
) -> None:
    """Leave ``good`` only those decisions that are what the masses give."""
    for i in range(begin, end):
        if not good[i]:
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
