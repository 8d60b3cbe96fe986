"""Where a decision comes from: whether this bandit can have made it, and the encoding of its φ."""

from __future__ import annotations

from ..bandit import BanditSpec, Decision
from ..bandit.calls.base import unknown_decision
from ..errors import InputInvalid
from ..persistence.database import reaching, unavailable
from ..persistence.replica import Replica
from ..persistence.store import Store
from .authentic import Authenticity

__all__ = ["Provenance"]


class Provenance:
    """Judges decisions that come from outside."""

    def __init__(self, spec: BanditSpec, store: Store, replica: Replica) -> None:
        self._spec, self._store, self._replica = spec, store, replica
        self._authentic: dict[str, Authenticity] = {}

    @property
    def state_seq(self) -> int:
        """Last row of the log that this process has learned."""
        return self._replica.seq

    async def check(self, decision: Decision) -> None:
        """Raise ``InputInvalid`` unless a bandit of this name can have made the decision."""
        with reaching():
            spec = await self._store.spec(decision.spec_hash) if isinstance(decision.spec_hash, str) else None
            if spec is None:
                problem: str | None = "its spec has never been used with this bandit"
            else:
                problem = self._authenticity(spec).problem(decision)
            if problem is None and decision.state_seq > self._replica.seq:
                last = await self._store.log.last_seq()
                if decision.state_seq > last:
                    problem = f"it knows row {decision.state_seq} of a log with {last} rows"
        if problem is not None:
            raise self._not_ours(decision, problem)

    def check_here(self, decision: Decision) -> None:
        """``check`` without the database, which sees to the rest when it is back.

        Raises
        ------
        InputInvalid : no bandit of this spec made it.
        DatabaseUnavailable : it is of another spec, which only the database knows.
        """
        if decision.spec_hash != self._spec.spec_hash:
            raise unavailable("it is away, and has the spec of this decision, which is from elsewhere")
        problem = self._authenticity(self._spec).problem(decision)
        if problem is not None:
            raise self._not_ours(decision, problem)

    async def encoding(self, decision: Decision) -> str:
        """Hash of the encoding that made a decision's φ."""
        if decision.spec_hash == self._spec.spec_hash:
            # Without an await: a report on one's own decision cannot be cut off here.
            return self._store.encoding
        with reaching():
            spec = await self._store.spec(decision.spec_hash)
        if spec is None:
            raise unknown_decision(self._spec.name, decision.decision_id)
        return spec.encoding

    def _authenticity(self, spec: BanditSpec) -> Authenticity:
        # Made once: its encoder takes longer than what it checks.
        known = self._authentic.get(spec.spec_hash)
        if known is None:
            known = self._authentic[spec.spec_hash] = Authenticity(spec)
        return known

    def _not_ours(self, decision: Decision, problem: str) -> InputInvalid:
        return InputInvalid(
            f"the decision {decision.decision_id!r:.80} was not made by bandit '{self._spec.name}'",
            expected="a decision as select_arm of this bandit returned it",
            found=problem,
            fix="pass that decision unchanged, or its id",
        )
