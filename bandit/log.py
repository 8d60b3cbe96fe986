"""Rows of the log: what was learned from a decision, or which references were adopted, with their numbers in
the bandit's sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from ..canonical import digest, hashed, integers, number, plain_json, quoted
from ..errors import InputInvalid
from ..rewards import Adoption, Outcome, Reward
from .decision import Decision
from .events import EventRow
from .fixed_point import reward_to_fixed
from .learner import policy_propensity

__all__ = [
    "ABANDONMENT",
    "EXPIRY",
    "REPORT",
    "REPRICING",
    "RETRACTION",
    "AdoptionRow",
    "LogRow",
    "OtherRow",
    "RewardRow",
    "RowText",
    "check_turn",
]

REPORT, EXPIRY, ABANDONMENT, RETRACTION = "reward", "expiry", "abandonment", "retraction"
REPRICING = "repricing"
"""Kinds of rows that concern one decision's reward; a correction is a report with a revision above 0."""


class RowText(NamedTuple):
    """A row as canonical JSON spells it, but for its number: spelled once for the columns and the hash.

    ``phi`` : its numbers with commas between them. ``outcome``, ``pricing`` : as JSON. ``before``,
    ``behind`` : the row as JSON, around its number.
    """

    phi: str
    outcome: str | None
    pricing: str
    before: str
    behind: str

    def digest(self, seq: int) -> str:
        """Hash of the row with this number."""
        return hashed(f"{self.before}{seq}{self.behind}")


class RewardRow(NamedTuple):
    """One row that concerns a decision's reward, as it is appended to the log; ``seq`` is 0 until it has a
    number.

    ``encoding`` (hash), ``phi``, ``arm_id`` and ``epoch`` are copied from the decision, so that the sums can
    be folded from the log alone; ``propensity`` is the
    policy's, 0 where it did not choose. ``outcome`` is what was reported, None for a plain reward;
    ``pricing`` says how the reward came about.

    ``reward``, ``units`` : what the decision contributes from this row on; None for nothing. ``taken`` : what
    it contributed before, which leaves the sums. ``place`` : number of the row in whose bucket the
    contribution stands, 0 for this one: what replaces a contribution stands in its place, as old as the
    first. ``state`` : of the decision's reward, behind this row. ``priced_by`` : hash of the spec that
    settled the row.
    """

    bandit: str
    seq: int
    decision_id: str
    arm_id: str
    epoch: int
    encoding: str
    phi: tuple[int, ...]
    propensity: float
    units: int | None
    reward: float | None
    outcome: Mapping[str, Any] | None
    pricing: Mapping[str, Any]
    reported_at: float | None
    kind: str = REPORT
    source: str = ""
    identifier: str = ""
    revision: int = 0
    state: str = "final"
    taken: int | None = None
    place: int = 0
    priced_by: str | None = None

    @classmethod
    def of(
        cls,
        decision: Decision,
        encoding: str,
        reward: Reward,
        outcome: Outcome | None,
        reported_at: float | None,
        source: str = "",
        identifier: str = "",
        revision: int = 0,
        priced_by: str | None = None,
    ) -> RewardRow:
        """Draft the row of a priced report."""
        # As the class itself does, without its looking for each name: each report goes through here.
        return tuple.__new__(
            cls,
            (
                decision.bandit,
                0,
                decision.decision_id,
                decision.arm_id,
                decision.epoch,
                encoding,
                decision.phi,
                policy_propensity(decision),
                reward_to_fixed(reward.value),
                reward.value,
                None if outcome is None else outcome.to_dict(),
                reward.to_dict(),
                reported_at,
                REPORT,
                source,
                identifier,
                revision,
                "final",
                None,
                0,
                priced_by,
            ),
        )

    @classmethod
    def bare(
        cls, decision: Decision, encoding: str, reported_at: float | None, kind: str, **fields: Any
    ) -> RewardRow:
        """Draft a row that has no price of its own: an expiry, a retraction, a part of an outcome …"""
        return cls(
            decision.bandit,
            0,
            decision.decision_id,
            decision.arm_id,
            decision.epoch,
            encoding,
            decision.phi,
            policy_propensity(decision),
            None,
            None,
            fields.pop("outcome", None),
            {},
            reported_at,
            kind,
            **fields,
        )

    def numbered(self, seq: int) -> RewardRow:
        """Return the same row with its number."""
        # As ``_replace`` does, without its looking at each field: each row of the log goes through here.
        return tuple.__new__(type(self), (self[0], seq, *self[2:]))

    @property
    def stands_at(self) -> int:
        """Number of the row in whose bucket the contribution stands."""
        return self.place or self.seq

    @property
    def value(self) -> float | None:
        """The bare reward that was reported; None where an outcome was."""
        reported = self.pricing.get("value") if self.outcome is None else None
        return None if reported is None else float(reported)

    def same_report(self, other: RewardRow) -> bool:
        """Tell whether two rows of one decision report the same."""
        return (self.kind, self.source, self.identifier, self.revision, self.outcome, self.value) == (
            other.kind,
            other.source,
            other.identifier,
            other.revision,
            other.outcome,
            other.value,
        )

    @property
    def digest(self) -> str:
        """Hash of the whole row."""
        return self.spelled().digest(self.seq)

    def spelled(self) -> RowText:
        """The row as canonical JSON spells it: ``digest(row)`` of the fields by their sorted names.

        Fields that say nothing are left out: rows of a log without them keep their hash.
        """
        # Taken apart at once: field by field takes longer than all that is spelled of some.
        (
            bandit,
            _seq,
            decision_id,
            arm_id,
            epoch,
            encoding,
            numbers,
            propensity,
            units,
            reward,
            reported,
            priced,
            reported_at,
            kind,
            source,
            identifier,
            revision,
            state,
            taken,
            place,
            priced_by,
        ) = self
        phi = integers(numbers)
        outcome = None if reported is None else plain_json(reported)
        pricing = plain_json(priced)
        name = f'"identifier":{quoted(identifier)},' if identifier else ""
        if kind != REPORT:
            name += f'"kind":{quoted(kind)},'
        where = f'"place":{place},' if place else ""
        if priced_by is not None:
            where += f'"priced_by":{quoted(priced_by)},'
        again = f'"revision":{revision},' if revision else ""
        before = (
            f'{{"arm_id":{quoted(arm_id)},"bandit":{quoted(bandit)}'
            f',"decision_id":{quoted(decision_id)},"encoding":{quoted(encoding)},"epoch":{epoch}'
            f',{name}"outcome":{outcome or "null"},"phi":[{phi}],{where}'
            f'"pricing":{pricing},"propensity":{number(propensity)},"reported_at":{number(reported_at)}'
            f',{again}"reward":{number(reward)},"seq":'
        )
        behind = f'"source":{quoted(source)},' if source else ""
        if state != "final":
            behind += f'"state":{quoted(state)},'
        if taken is not None:
            behind += f'"taken":{taken},'
        return RowText(
            phi, outcome, pricing, before, f',{behind}"units":{"null" if units is None else units}}}'
        )


@dataclass(frozen=True, slots=True)
class AdoptionRow:
    """A version of the references is adopted: it prices what is decided from here on."""

    bandit: str
    adoption: Adoption
    reported_at: float | None

    @property
    def seq(self) -> int:
        """Number of the row."""
        return self.adoption.seq

    @property
    def earlier(self) -> Literal["keep", "reprice"]:
        """What happens to rewards of earlier decisions."""
        return self.adoption.earlier

    @property
    def digest(self) -> str:
        """Hash of the whole row."""
        return digest(
            {"bandit": self.bandit, "reported_at": self.reported_at, "adoption": self.adoption.to_dict()}
        )


class OtherRow(NamedTuple):
    """A row that changes no sums: only its number counts for them."""

    seq: int


LogRow: TypeAlias = RewardRow | EventRow | OtherRow
"""Any row of the log, as it is folded."""


def check_turn(seq: int, last: int, whom: str) -> None:
    """Refuse a row that is not the next one behind ``last``; ``whom`` : who is fed.

    Raises
    ------
    InputInvalid : it is not.
    """
    if seq != last + 1:
        raise InputInvalid(
            f"a row reaches the {whom} out of turn",
            expected=f"row {last + 1}",
            found=f"row {seq}",
            fix="feed the rows in the order of the bandit's sequence, without gaps",
        )
