"""Arrange stored decisions in columns, with all that can be told of them without the sums."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bandit.choice import TOTAL
from ..bandit.decision import ARM_STAGE, IMPORTED
from ..bandit.learner import COHORT_STAGE
from ..canonical import canonical_json, quoted
from ..errors import NyxError
from ..features import ONE
from ..persistence.wire import Integers, WireRows
from .blake2b import uniforms
from .context_columns import ContextColumns
from .decision_check import Walk
from .spelling import Flags, Recipe, float_texts, spell
from .text_table import TextTable
from .verify_columns import DECISION, DecisionColumns, equal

__all__ = ["REASONS", "Arranging", "Prepared"]

REASONS = ("policy", "only_arm", "conservative", "holdout")
"""A decision's ``reason``; ``Prepared.reasons`` are their places."""

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


class Arranging:
    """Arranges the decisions of one walk's spec, whose arms are listed. Calls may not overlap."""

    def __init__(self, walk: Walk) -> None:
        spec = walk.spec
        self._walk = walk
        holdout = round(spec.holdout * TOTAL)
        self._cohorts = (TOTAL - holdout, holdout)
        self._encoder = ContextColumns(spec.context)
        self._contexts: dict[bytes, list[int] | None] = {}
        self._eligible: dict[bytes, tuple[int, ...] | None] = {}
        self._units, self._reasons = TextTable(*spec.arms.units), TextTable(*REASONS)
        self._recipe = _recipe(spec.name, spec.spec_hash)

    def prepared(self, decisions: DecisionColumns, places: Integers) -> Prepared:
        """Of decisions of this spec, which stand at these places."""
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
