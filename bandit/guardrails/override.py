"""What a person orders: a rule that holds from its row of the log on, until it expires or is revoked.

pin          only these arms are chosen
exclude      these arms are not chosen
pause        the same, of an arm that is expected back
retire       the same, of an arm that is not
cap          these arms together get at most ``share`` of the mass
ramp         the same, with a share that grows to 1 over the arms' first ``rows`` rewards
kill_switch  the baseline arm is served, and nothing else
shadow       the same, and the learner's own choice is noted in the decision's reason
freeze       what is reported is stored, and not learned from
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...errors import DocumentInvalid, InputInvalid, shown
from ..arms import checked_names
from ..events import GUARDRAIL, EventRow

if TYPE_CHECKING:
    from ..spec import BanditSpec

__all__ = ["PERSON", "RULES", "Override", "revocation"]

PERSON = "person"
"""``monitor`` of the events that a person ordered."""

OF_ARMS = ("pin", "exclude", "pause", "retire", "cap", "ramp")
OF_ALL = ("kill_switch", "shadow", "freeze")
RULES = (*OF_ARMS, *OF_ALL)
"""What an override may order: the first ones for some arms, the others for the whole bandit."""
_SHARED = ("cap", "ramp")
_MAX_TEXT = 500
_MAX_ARMS = 1024
_LATEST = 1e12
_MAX_ROWS = 1 << 40


@dataclass(frozen=True, slots=True)
class Override:
    """One rule; ``seq`` is the number of its row of the log, by which it is revoked, and 0 before it has one.

    Parameters
    ----------
    rule : one of ``RULES``.
    arms : arm ids or strategy names; none for ``kill_switch``, ``shadow`` and ``freeze``.
    author, reason : who ordered it, and why.
    share : of ``cap``, and what ``ramp`` begins with: from 0 to below 1.
    rows : of ``ramp``: rewards of an arm's present epoch at which it is no more held back.
    until : it expires then, in seconds since 1970; None for never. A ``freeze`` ends only by being revoked.
    set_at : when it was ordered; None without a clock.

    Raises
    ------
    InputInvalid : the parts do not fit together.
    """

    rule: str
    arms: tuple[str, ...]
    author: str
    reason: str
    share: float | None = None
    rows: int | None = None
    until: float | None = None
    set_at: float | None = None
    seq: int = 0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise _unusable("rule", f"one of {', '.join(RULES)}", self.rule, "correct the rule")
        _check_arms(self.rule, self.arms)
        for name in ("author", "reason"):
            text = getattr(self, name)
            if not isinstance(text, str) or not 0 < len(text.strip()) <= _MAX_TEXT or not text.isprintable():
                expected = f"a printable text of 1 to {_MAX_TEXT} characters"
                raise _unusable(name, expected, text, f"say who, and why: {name}=…")
        _check_share(self.rule, self.share)
        rows = self.rows
        if (rows is not None) != (self.rule == "ramp") or not (
            rows is None or (type(rows) is int and 0 < rows < _MAX_ROWS)
        ):
            raise _unusable(
                "rows", "a whole number from 1 on with rule 'ramp', and none else", rows, "rows=200"
            )
        _check_time("until", self.until)
        _check_time("set_at", self.set_at)
        if self.until is not None and self.rule == "freeze":
            expected = "None: what was not learned is told by the rows between freeze and revocation"
            raise _unusable("until", expected, self.until, "revoke the freeze when it is to end")
        if self.until is not None and self.set_at is not None and self.until <= self.set_at:
            found = f"{self.until!r}, when it was {self.set_at!r}"
            raise InputInvalid(
                "the override has expired before it begins",
                expected="'until' later than now, in seconds since 1970, or None",
                found=found,
                fix="pass for example until=time.time() + 3600",
            )

    def in_force(self, time: float | None) -> bool:
        """Tell whether it has not expired at this time; without a time, nothing expires."""
        return self.until is None or time is None or time < self.until

    def draft(self, bandit: str, spec_hash: str) -> EventRow:
        """The row of the log that orders it, without a number."""
        rule: dict[str, Any] = {"act": "override", "rule": self.rule, "arms": list(self.arms)}
        further = {"share": self.share, "rows": self.rows, "until": self.until}
        rule |= {name: value for name, value in further.items() if value is not None}
        told = {"author": self.author, "reason": self.reason, "at": self.set_at}
        return EventRow(bandit, 0, GUARDRAIL, PERSON, self.rule, 0, told, {"guardrail": rule}, spec_hash)

    @classmethod
    def of(cls, event: EventRow) -> Override:
        """The override that a row of the log orders.

        Raises
        ------
        DocumentInvalid : it orders none.
        """
        try:
            rule, told = event.consequence["guardrail"], event.evidence
            found = cls(
                rule["rule"],
                tuple(rule["arms"]),
                told["author"],
                told["reason"],
                rule.get("share"),
                rule.get("rows"),
                rule.get("until"),
                told["at"],
                event.seq,
            )
            again = found.draft(event.bandit, event.spec_hash)
            good = event.consequence == again.consequence and event.evidence == again.evidence
            good = good and (event.cause, event.subject, event.monitor) == (0, found.rule, PERSON)
        except (InputInvalid, KeyError, TypeError, AttributeError) as error:
            raise _damaged(event) from error
        if not good:
            raise _damaged(event)
        return found

    def numbered(self, seq: int) -> Override:
        """Return the same rule with the number of its row."""
        return replace(self, seq=seq)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        names = ("seq", "rule", "share", "rows", "until", "set_at", "author", "reason")
        return {"arms": list(self.arms), **{name: getattr(self, name) for name in names}}


def arm_names(arms: Iterable[str] | str, spec: BanditSpec) -> tuple[str, ...]:
    """Names of arms as an override takes them; ``ArmUnknown`` where one cannot be any."""
    names = checked_names(arms)
    wrong: list[Any] = [name for name in names if not isinstance(name, str)]
    spec.arms.resolve(wrong)
    return tuple(str(name) for name in names)


def revocation(
    bandit: str, spec_hash: str, seq: int, author: str, reason: str, set_at: float | None
) -> EventRow:
    """The row that ends the override ``seq``, without a number.

    Raises
    ------
    InputInvalid : no author, or no reason.
    """
    Override("kill_switch", (), author, reason, set_at=set_at)  # the same rules for texts and times
    told = {"author": author, "reason": reason, "at": set_at}
    consequence = {"guardrail": {"act": "revoke", "override": seq}}
    return EventRow(bandit, 0, GUARDRAIL, PERSON, "revoke", 0, told, consequence, spec_hash)


def revoked_by(event: EventRow) -> int:
    """Number of the override that a row of the log revokes; ``DocumentInvalid`` where it revokes none."""
    try:
        seq, told = event.consequence["guardrail"]["override"], event.evidence
        again = revocation(event.bandit, event.spec_hash, seq, told["author"], told["reason"], told["at"])
        good = type(seq) is int and event.consequence == again.consequence and event.evidence == told
        good = good and set(told) == set(again.evidence)
        good = good and (event.cause, event.subject, event.monitor) == (0, again.subject, PERSON)
    except (InputInvalid, KeyError, TypeError, AttributeError) as error:
        raise _damaged(event) from error
    if not good:
        raise _damaged(event)
    return int(seq)


def act_of(event: EventRow) -> str:
    """What a guardrail's row does: ``override``, ``revoke``, or what a watching guardrail concluded."""
    rule: object = event.consequence.get("guardrail")
    act = rule.get("act") if isinstance(rule, Mapping) else None
    if not isinstance(act, str):
        raise _damaged(event)
    return act


def _check_arms(rule: str, arms: Sequence[str]) -> None:
    good = isinstance(arms, tuple) and all(isinstance(name, str) and name for name in arms)
    good = good and len(set(arms)) == len(arms) <= _MAX_ARMS
    if not good or bool(arms) != (rule in OF_ARMS):
        expected = "arm ids or strategy names, each once" if rule in OF_ARMS else "none"
        raise _unusable("arms", f"{expected}, with rule '{rule}'", arms, "correct the arms")


def _check_share(rule: str, share: object) -> None:
    number = isinstance(share, (int, float)) and not isinstance(share, bool) and 0.0 <= share < 1.0
    if (share is not None) != (rule in _SHARED) or not (share is None or number):
        expected = "a number from 0 to below 1 with rules 'cap' and 'ramp', and none else"
        raise _unusable("share", expected, share, "for example share=0.1")


def _check_time(name: str, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LATEST
    if not (value is None or number):
        raise _unusable(name, "seconds since 1970, or None", value, f"pass {name}=time.time() + 3600")


def _unusable(part: str, expected: str, found: object, fix: str) -> InputInvalid:
    return InputInvalid(
        f"'{part}' of the override is unusable", expected=expected, found=shown(found, 100), fix=fix
    )


def _damaged(event: EventRow) -> DocumentInvalid:
    return DocumentInvalid(
        "a guardrail's row of the log cannot be read",
        expected="what Override.draft() wrote",
        found=shown(event.to_dict(), 160),
        fix="restore the row from a backup",
    )
