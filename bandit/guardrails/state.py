"""Which guardrails are in force behind a row of the log: a fold of the guardrails' own rows, and no others.

    state = GuardState(spec);  state.absorb(event), in the order of the sequence;  state.rules(time, totals)

Time enters as the decision's logged time, never as a clock's. What rewards say (a breaker that opens, a
learner that is found good enough) becomes a row of its own (``sentry``), and acts from there on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import ArmUnknown, DocumentInvalid, GuardrailConflict, InputInvalid
from ..arms import ArmTable
from ..choice import TOTAL
from ..events import GUARDRAIL, EventRow
from ..space import ArmSpace
from .acting import Cap, Rules
from .override import PERSON, Override, act_of, revoked_by

__all__ = ["GuardState"]

_SERVING = ("kill_switch", "shadow")
_BARRING = ("exclude", "pause", "retire")


class Tripped(NamedTuple):
    """An open breaker, half open from ``until`` on (None: at once): ``share`` is then the arm's limit."""

    until: float | None
    share: float


class GuardState:
    """The guardrails of one bandit at a row of its log.

    Arms that the spec does not have are another spec's: rules about them do nothing here.
    """

    def __init__(self, arms: ArmTable | ArmSpace, baseline: int, share: float | None = None) -> None:
        self._arms, self._baseline = arms, baseline
        self._first_share = share
        self.clear()

    def clear(self) -> None:
        """Go back to before the first row."""
        self.overrides: dict[int, Override] = {}
        """What was ordered and not revoked, by number; also what has expired meanwhile."""
        self.tripped: dict[str, Tripped] = {}
        """Breakers that are not closed, by arm."""
        self.spent: dict[str, tuple[tuple[str, ...], float | None]] = {}
        """Budgets that are used up: the arms that they concern, and until when."""
        self.share = self._first_share
        """Share of service of the learner; None where nothing compares it."""
        self._frozen: list[tuple[int, int | None]] = []
        self._note()

    def restore(self, events: Iterable[EventRow]) -> None:
        """Go to behind these rows: all rows of guardrails up to some number, in order."""
        self.clear()
        for event in events:
            self.absorb(event)

    def absorb(self, event: EventRow) -> None:
        """Take in the next row of a guardrail; other events change nothing.

        Raises
        ------
        DocumentInvalid : it is damaged; nothing has changed.
        """
        if event.kind != GUARDRAIL:
            return
        act = act_of(event)
        if act == "override" and event.monitor == PERSON:
            self.overrides[event.seq] = Override.of(event)
        elif act == "revoke" and event.monitor == PERSON:
            self.overrides.pop(revoked_by(event), None)
        else:
            self._conclude(act, event)
        self._note(event.seq)

    def in_force(self, time: float | None) -> list[Override]:
        """What was ordered and has neither been revoked nor expired, in the order of the rows."""
        return [override for override in self.overrides.values() if override.in_force(time)]

    def check(self, override: Override, time: float | None) -> None:
        """Refuse an override that cannot stand beside those in force.

        Raises
        ------
        ArmUnknown : it names an arm that the spec does not have.
        InputInvalid : the spec has no baseline arm to serve, or lists no arms to cap.
        GuardrailConflict : it contradicts another one, or leaves no arm to choose.
        """
        own = self._units(override, strict=True)
        if override.rule in _SERVING and self._baseline < 0:
            raise InputInvalid(
                f"rule '{override.rule}' has no arm to serve",
                expected="a spec with a baseline arm",
                found="baseline_arm=None",
                fix='BanditSpec(…, baseline_arm="direct"), or pin an arm',
            )
        if override.rule in {"cap", "ramp"} and isinstance(self._arms, ArmSpace):
            raise InputInvalid(
                f"rule '{override.rule}' needs listed arms",
                expected="a spec of at most 1,024 arms and without a Range",
                found="a space that is chosen from in stages",
                fix="exclude, pause or pin a strategy instead",
            )
        barred: set[int] = set(own) if override.rule in _BARRING else set()
        for other in self.in_force(time):
            units = self._units(other)
            same = other.rule == override.rule and other.arms == override.arms
            if same and other.until is None:
                raise _conflict(override, other, "it is in force already", f"revoke({other.seq}) first")
            clash = override.rule == "pin" and (
                other.rule == "pin" or (other.rule in _BARRING and own <= units)
            )
            clash = clash or (other.rule == "pin" and override.rule in _BARRING and units <= own)
            if clash:
                raise _conflict(override, other, "they contradict each other", f"revoke({other.seq}) first")
            barred |= units if other.rule in _BARRING else set()
        if len(barred) == len(self._arms) and override.rule in _BARRING:
            raise GuardrailConflict(
                f"rule '{override.rule}' of {list(override.arms)} leaves no arm to choose",
                expected="at least one arm that is neither excluded, paused nor retired",
                found=f"{len(barred)} of {len(self._arms)} arms are, with this one and {self._barring(time)}",
                fix="leave an arm, or use the kill switch to serve the baseline arm",
            )

    def _barring(self, time: float | None) -> str:
        numbers = [f"override {other.seq}" for other in self.in_force(time) if other.rule in _BARRING]
        return ", ".join(numbers) or "no other"

    def check_revocation(self, seq: object, time: float | None) -> Override:
        """The override of this number; ``InputInvalid`` unless it is in force."""
        known = self.overrides.get(seq) if type(seq) is int else None
        if known is None or not known.in_force(time):
            numbers = [override.seq for override in self.in_force(time)]
            found = f"{seq!r:.40}" + ("" if known is None else f", which expired at {known.until!r}")
            raise InputInvalid(
                "there is no such override to revoke",
                expected=f"the number of one that is in force: {numbers[:20]}"
                if numbers
                else "nothing: none is",
                found=found,
                fix="look at them with overrides()",
            )
        return known

    def withholds(self, place: int) -> bool:
        """Tell whether what stands at this row of the log was frozen out, and is not learned from."""
        return any(begin < place and (end is None or place < end) for begin, end in self._frozen)

    def withheld(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """``withholds`` for many rows."""
        found = np.zeros(len(places), np.bool_)
        for begin, end in self._frozen:
            found |= (begin < places) & (True if end is None else places < end)
        return found

    def rules(self, time: float | None, totals: npt.NDArray[np.int64]) -> Rules:
        """What is in force for a decision at this time. ``totals`` (K, W) : the sums; column 0 counts."""
        pinned: set[int] | None = None
        barred: set[int] = set()
        barred_by, out_by = dict[str, None](), dict[str, None]()
        caps: list[Cap] = []
        served: str | None = None
        for override in self.in_force(time):
            rule, units = override.rule, self._units(override)
            if rule in _SERVING:
                served = rule if served != "kill_switch" else served
            elif rule in _BARRING:
                barred |= units
                barred_by[rule] = None
            elif rule == "pin":
                pinned = units if pinned is None else pinned & units
            elif rule == "cap" and units:
                caps.append(Cap(tuple(sorted(units)), _limit(override.share or 0.0), rule))
            elif rule == "ramp":
                caps += self._ramp(override, units, totals)
        out: set[int] = set()
        for name, (until, share) in self.tripped.items():
            units = self._known([name])
            if until is not None and time is not None and time < until:
                out |= units
                out_by["breaker"] = None
            elif units and not isinstance(self._arms, ArmSpace):
                caps.append(Cap(tuple(units), _limit(share), "breaker"))
        for names, until in self.spent.values():
            if until is None or time is None or time < until:
                out |= self._known(names)
                out_by["budget"] = None
        service = None if self.share is None or self.share >= 1.0 else _limit(self.share)
        return Rules(
            frozenset(pinned) if pinned else None,
            frozenset(barred),
            frozenset(out),
            tuple(caps),
            service,
            served,
            tuple(barred_by),
            tuple(out_by),
        )

    def _ramp(self, override: Override, units: set[int], totals: npt.NDArray[np.int64]) -> list[Cap]:
        share, rows = override.share or 0.0, override.rows or 1
        known = {unit: int(totals[unit, 0]) for unit in sorted(units)}
        return [
            Cap((unit,), _limit(share + (1.0 - share) * n / rows), "ramp")
            for unit, n in known.items()
            if n < rows
        ]

    def _conclude(self, act: str, event: EventRow) -> None:
        told = event.consequence["guardrail"]
        try:
            if act == "trip":
                until, share = told["until"], told["share"]
                if not (until is None or isinstance(until, (int, float))) or not 0.0 <= share <= 1.0:
                    raise _unknown_act(event)
                self.tripped[self._arms.present_id(event.subject)] = Tripped(until, float(share))
            elif act == "close":
                self.tripped.pop(self._arms.present_id(event.subject), None)
            elif act == "serve":
                if self._first_share is not None:
                    self.share = float(told["share"])
            elif act == "spent":
                until = told["until"]
                self.spent[event.subject] = (tuple(told["arms"]), until if until is None else float(until))
            else:
                raise _unknown_act(event)
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown_act(event) from error

    def _note(self, seq: int = 0) -> None:
        frozen = [o.seq for o in self.overrides.values() if o.rule == "freeze"]
        begun = self._frozen[-1] if self._frozen and self._frozen[-1][1] is None else None
        if frozen and begun is None:
            self._frozen.append((seq, None))
        elif not frozen and begun is not None:
            self._frozen[-1] = (begun[0], seq)
        self.idle = not (self.overrides or self.tripped or self.spent or self.share is not None)
        """True where no decision can be touched: nothing is looked at then."""
        self.learns_all = not self._frozen
        """True where nothing was ever frozen out."""

    def _units(self, override: Override, *, strict: bool = False) -> set[int]:
        if strict and override.arms:
            return self._arms.resolve(override.arms)
        return self._known(override.arms)

    def _known(self, names: Iterable[str]) -> set[int]:
        found: set[int] = set()
        for name in names:
            try:
                found |= self._arms.resolve([name])
            except ArmUnknown:
                continue
        return found


def _limit(share: float) -> int:
    return min(TOTAL, round(share * TOTAL))


def _conflict(override: Override, other: Override, why: str, fix: str) -> GuardrailConflict:
    return GuardrailConflict(
        f"rule '{override.rule}' of {list(override.arms)} cannot stand beside override {other.seq}",
        expected="an override that agrees with those in force",
        found=f"override {other.seq}: '{other.rule}' of {list(other.arms)}, by {other.author}: {why}",
        fix=fix,
    )


def _unknown_act(event: EventRow) -> DocumentInvalid:
    return DocumentInvalid(
        "a guardrail's row of the log cannot be read",
        expected="an act of this version, with its fields",
        found=f"{event.consequence!r:.160}",
        fix="read the log with the version that wrote it, or a later one; or restore the row from a backup",
    )
