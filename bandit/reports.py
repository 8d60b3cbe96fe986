"""From what a caller reports to the draft of a row; and from a row to a receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import InputInvalid, OutcomeInvalid, shown
from ..rewards import Outcome, Report, Reward, RewardState, price
from .decision import Decision, Receipt
from .fixed_point import reward_to_fixed
from .log import REPORT, RewardRow
from .settle import current_outcome
from .spec import BanditSpec

__all__ = ["Reported", "RewardStatus", "draft_report", "priced_report", "receipt_of", "status_of"]

_MAX_NAME = 200


class Reported(NamedTuple):
    """What ``update_reward`` was told; exactly one of ``outcome``, ``reward`` and ``part`` is not None."""

    outcome: Any = None
    reward: Any = None
    part: Any = None
    source: str = ""
    identifier: str = ""
    corrects: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON.

        Raises
        ------
        OutcomeInvalid, InputInvalid : what no decision can be told, as in ``draft_report``.
        """
        names = {
            "source": _name("source", self.source),
            "identifier": _name("identifier", self.identifier),
            "corrects": None if _revision(self.corrects) == 0 else self.corrects,
        }
        if [self.outcome is None, self.reward is None, self.part is None].count(False) != 1:
            raise OutcomeInvalid(
                "a report is not one thing",
                expected="exactly one of outcome, reward and part",
                found=f"{shown(self.outcome, 40)}, {shown(self.reward, 40)}, {shown(self.part, 40)}",
                fix="send them as reports of their own, with other identifiers",
            )
        if self.reward is not None:
            reward_to_fixed(self.reward)
            return {**names, "reward": float(self.reward)}
        if self.part is not None:
            part = Report(outcome=_mapping(self.part)).outcome
            return {**names, "part": None if part is None else dict(part)}
        if not isinstance(self.outcome, Outcome):
            raise _no_outcome(self.outcome)
        return {**names, "outcome": self.outcome.to_dict()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Reported:
        """What ``to_dict`` wrote."""
        fields = dict(document)
        if fields.get("outcome") is not None:
            fields["outcome"] = Outcome.from_dict(fields["outcome"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class RewardStatus:
    """Where a decision's reward stands.

    reward : what the decision contributes to the sums; None for nothing. outcome : what its reports give
    together. components, missing, reference_version : how the reward came about. rows : all that was logged
    about it, in the order of the sequence.
    """

    decision_id: str
    state: RewardState
    reward: float | None
    outcome: Outcome | None
    components: Mapping[str, float]
    missing: tuple[str, ...]
    reference_version: str | None
    rows: tuple[RewardRow, ...]


def draft_report(
    spec: BanditSpec, decision: Decision, encoding: str, told: Reported, time: float | None
) -> RewardRow:
    """The draft of a report's row, priced where it can be priced by itself.

    Raises
    ------
    OutcomeInvalid : not exactly one of outcome, reward and part, or one out of its domain.
    InputInvalid : an unusable source, identifier or revision.
    """
    source, identifier = _name("source", told.source), _name("identifier", told.identifier)
    revision = _revision(told.corrects)
    names: dict[str, Any] = {"source": source, "identifier": identifier, "revision": revision}
    if told.part is not None:
        if told.outcome is not None or told.reward is not None:
            raise OutcomeInvalid(
                "a report is a part of an outcome and something else",
                expected="exactly one of outcome, reward and part",
                found="part, and " + ("an outcome" if told.outcome is not None else "a reward"),
                fix="send them as reports of their own, with other identifiers",
            )
        document = Report(outcome=_mapping(told.part)).outcome
        return RewardRow.bare(decision, encoding, time, REPORT, outcome=document, **names)
    try:
        priced = priced_report(spec, decision, told.outcome, told.reward)
    except OutcomeInvalid:
        if not isinstance(told.outcome, Outcome) or told.reward is not None:
            raise
        # By itself it has no price; with an adopted reference, or beside other parts, it may have one.
        document = told.outcome.to_dict()
        return RewardRow.bare(decision, encoding, time, REPORT, outcome=document, **names)
    return RewardRow.of(
        decision, encoding, priced, told.outcome, time, source, identifier, revision, spec.spec_hash
    )


def receipt_of(row: RewardRow, *, applied: bool) -> Receipt:
    """What the caller hears of a row."""
    pricing = row.pricing
    return Receipt(
        row.decision_id,
        row.seq,
        row.reward,
        applied,
        pricing.get("components", {}),
        tuple(pricing.get("missing", ())),
        row.state,
        row.revision,
    )


def status_of(decision_id: str, history: list[RewardRow], spec: BanditSpec) -> RewardStatus:
    """Where a decision's reward stands behind its rows."""
    if not history:
        return RewardStatus(decision_id, RewardState.PENDING, None, None, {}, (), None, ())
    last = history[-1]
    # The last row that moved the contribution says where it comes from.
    source = next(
        (row for row in reversed(history) if row.units is not None and row.taken != row.units), last
    )
    pricing: Mapping[str, Any] = source.pricing if last.reward is not None else {}
    return RewardStatus(
        decision_id,
        RewardState(last.state),
        last.reward,
        current_outcome(history, spec),
        pricing.get("components", {}),
        tuple(pricing.get("missing", ())),
        pricing.get("reference_version"),
        tuple(history),
    )


def priced_report(
    spec: BanditSpec, decision: Decision, outcome: Outcome | None, reward: float | None
) -> Reward:
    """Price an outcome by the spec, or wrap a plain reward; ``OutcomeInvalid`` unless one is given."""
    if (outcome is None) == (reward is None):
        raise OutcomeInvalid(
            "a report needs an outcome or a reward",
            expected="exactly one of outcome and reward",
            found="neither" if outcome is None else "both",
            fix="update_reward(decision, Outcome(success=True)) or update_reward(decision, reward=0.8)",
        )
    if outcome is not None:
        if not isinstance(outcome, Outcome):
            raise _no_outcome(outcome)
        return price(outcome, spec.reward, context=decision.context)
    reward_to_fixed(reward)
    return Reward(float(reward), {}, (), spec.reward.version)  # type: ignore[arg-type]


def _no_outcome(found: object) -> OutcomeInvalid:
    return OutcomeInvalid(
        "the outcome is not an Outcome",
        expected="Outcome(success=…)",
        found=shown(found),
        fix="build an Outcome, or pass a number as reward=…",
    )


def _mapping(part: object) -> Mapping[str, Any]:
    if isinstance(part, Mapping) and part and all(isinstance(name, str) for name in part):
        return part
    raise OutcomeInvalid(
        "the part of an outcome is none",
        expected='a mapping of fields of Outcome, such as {"user_feedback": 0.9}',
        found=shown(part),
        fix="name the fields that this source knows",
    )


def _name(what: str, value: object) -> str:
    if isinstance(value, str) and len(value) <= _MAX_NAME and (value.isprintable() or not value):
        return value
    raise InputInvalid(
        f"the {what} of a report is unusable",
        expected=f"a printable string of at most {_MAX_NAME} characters",
        found=shown(value),
        fix=f"name the {what} as every retry would name it",
    )


def _revision(corrects: object) -> int:
    if corrects is None:
        return 0
    if type(corrects) is int and 0 <= corrects < 1 << 30:
        return corrects + 1
    raise InputInvalid(
        "the correction does not say what it corrects",
        expected="the number of the revision that it replaces, 0 for the first report",
        found=shown(corrects),
        fix="pass corrects=receipt.revision of the report that was wrong",
    )
