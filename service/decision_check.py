"""A learner that walks along the log, and derives each stored decision anew at its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as _text
from typing import Any

from ..bandit import BanditSpec, Decision, Learner
from ..bandit.decision import ARM_STAGE, IMPORTED
from ..bandit.events import EventRow
from ..bandit.learner import checked_id
from ..errors import NyxError
from ..persistence.fold import Fold
from ..persistence.rows import Row, any_row_from, day_of, decision_from
from ..persistence.store import StoredBlock
from .authentic import Authenticity
from .plain_row import integers_text, is_plain

__all__ = ["Walk"]

_REPR = float.__repr__


class Walk:
    """One spec's learner at a row of the log, and the decisions that it makes there.

    It begins behind row ``seq``, with the sums of ``blocks`` and the rows of ``guardrails`` up to there.
    """

    def __init__(
        self,
        spec: BanditSpec,
        seq: int = 0,
        blocks: Iterable[StoredBlock] = (),
        guardrails: Iterable[EventRow] = (),
    ) -> None:
        self.spec = spec
        self.learner = Learner(spec)
        self.fold = Fold(self.learner)
        self.fold.restore(seq, blocks, guardrails)
        self._begin = seq
        self._authenticity = Authenticity(spec)
        self._staged = spec.arms.staged
        self._units: Sequence[str] = spec.arms.units
        self._index = {} if self._staged else {arm_id: i for i, arm_id in enumerate(self._units)}
        renamed = set(spec.arms.former.values())
        self._plain = {arm_id: i for arm_id, i in self._index.items() if i not in renamed}
        self._hash, self._encoding = spec.spec_hash, spec.encoding

    @property
    def seq(self) -> int:
        """Last row that was folded."""
        return self.fold.seq

    def absorb(self, row: Row, context: Mapping[str, Any] | None) -> None:
        """Fold the next row; ``context`` : of its decision, where the row's φ is of another encoding."""
        unit = self._plain.get(row["arm_id"])
        sums = self.learner.sums
        phi, seq, units = row["phi"], row["seq"], row["units"]
        if (
            unit is None
            or not self.learner.guards.learns_all
            or row["encoding"] != self._encoding
            or len(phi) != sums.dimension
            or not is_plain(row)
        ):
            self.fold.absorb(any_row_from(row), context)
            return
        # What ``Fold`` does with such a row, without making one of it.
        sums.expect(seq)
        further = self.learner.increments(row["propensity"], units, seq) if sums.further else ()
        sums.absorb(unit, row["epoch"], seq, phi, units, 1, further)
        sums.seq = seq

    def problem(self, row: Row) -> str | None:
        """What shows that this decision was not made here by the spec; None where nothing does."""
        if self._is_again(row):
            return None
        return self._problem(row)

    def _is_again(self, row: Row) -> bool:
        """Tell whether the row is, to the last bit, what the learner decides now, and has the hash of that.

        Everything that ``_problem`` looks for is decided by this comparison, at a fraction of its time: it
        holds for every sound row, and where it does not hold, ``_problem`` says why.
        """
        if row["state_seq"] != self.fold.seq:
            return False
        if not self._staged and self._digest(row) != row["digest"]:
            return False
        eligible = row["eligible"]
        allowed = None if eligible is None else tuple(eligible)
        if allowed is not None and not self._ascending(allowed):
            return False
        try:
            given = json.loads(row["context"])
            context, phi = self.learner.encoder.encode(given)
            again = self.learner.choose(
                context,
                phi,
                checked_id(row["decision_id"]),
                allowed,
                time=row["decided_at"],
                mode=row["mode"],
            )
        except (NyxError, TypeError, ValueError, AttributeError):
            return False
        return bool(
            context == given
            and again.bandit == row["bandit"]
            and list(again.phi) == row["phi"]
            and again.arm_id == row["arm_id"]
            and again.propensity == row["propensity"]
            and again.epoch == row["epoch"]
            and again.reason == row["reason"]
            and row["mode"].isprintable()
            and row["spec_hash"] == self._hash
            and row["encoding"] == self._encoding
            and row["decided_on"] == day_of(row["decided_at"])
            and list(again.stages[-1].pmf) == row["pmf"]
            and self._is_spelled(again, row)
        )

    def _is_spelled(self, again: Decision, row: Row) -> bool:
        """Tell whether the row has the stages of the decision, and its hash where it was not looked at."""
        if not self._staged:
            return bool(_stages_of(again) == row["stages"])
        told = again.spelled()
        return bool(told.stages == row["stages"] and told.digest == row["digest"])

    def _digest(self, row: Row) -> str:
        """``Decision.digest`` of a row among listed arms, put together from its columns as they are."""
        before = "" if row["stages"] == "[]" else f"{row['stages'][1:-1]},"
        time, eligible = row["decided_at"], row["eligible"]
        text = (
            f'{{"arm":{_text(row["arm_id"])},"bandit":{_text(row["bandit"])},"context":{row["context"]},'
            f'"decision_id":{_text(row["decision_id"])},'
            f'"eligible":{"null" if eligible is None else integers_text(eligible)},"epoch":{row["epoch"]},'
            f'"mode":{_text(row["mode"])},"phi":{integers_text(row["phi"])},"propensity":{_REPR(row["propensity"])},'
            f'"reason":{_text(row["reason"])},"spec_hash":{_text(row["spec_hash"])},"stages":[{before}'
            f'{{"chosen":{self._index.get(row["arm_id"])},"name":"{ARM_STAGE}","names":null,'
            f'"pmf":{integers_text(row["pmf"])}}}],"state_seq":{row["state_seq"]},'
            f'"time":{"null" if time is None else _REPR(time)}}}'
        )
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _ascending(self, allowed: tuple[int, ...]) -> bool:
        return allowed == tuple(sorted(set(allowed))) and 0 <= allowed[0] <= allowed[-1] < len(self._units)

    def _problem(self, row: Row) -> str | None:
        try:
            decision = decision_from(row, self.spec)
            digest = decision.digest
        except (NyxError, ValueError, TypeError):  # the latter two where a number is none
            return "unreadable"
        if digest != row["digest"] or row["encoding"] != self._encoding or list(decision.pmf) != row["pmf"]:
            return "its content is not what was written"
        if decision.mode == IMPORTED:
            return self._authenticity.imported_problem(decision)
        problem = self._authenticity.problem(decision)
        if problem is not None:
            return problem
        if decision.state_seq < self._begin:
            return None  # retention dropped what it knew
        if self.fold.seq != decision.state_seq:
            return f"the log does not reach row {decision.state_seq}"
        again = self.learner.choose(
            dict(decision.context),
            decision.phi,
            decision.decision_id,
            decision.eligible,
            time=decision.time,
            mode=decision.mode,
        )
        if again != decision:
            differing = [name for name in Decision._fields if getattr(again, name) != getattr(decision, name)]
            return f"re-derived otherwise: {', '.join(differing)} (arm '{again.arm_id}')"
        return None


def _stages_of(decision: Decision) -> str:
    """The column ``stages`` of a decision among listed arms."""
    return f"[{','.join(map(_stage_of, decision.stages[:-1]))}]"


def _stage_of(stage: Any) -> str:
    names = ",".join(map(_text, stage.names))
    return (
        f'{{"chosen":{stage.chosen},"name":{_text(stage.name)},"names":[{names}],'
        f'"pmf":{integers_text(list(stage.pmf))}}}'
    )
