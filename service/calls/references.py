"""What rewards are judged by: reference times, and other weights for what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...bandit.expected_references import ReferenceProposal
from ...rewards import Adoption, ReferenceTimes, RewardSpec
from ..referring import adopt_references, propose_references
from ..repricing import Repricing, reprice_log
from .base import OpenParts

__all__ = ["ReferenceCalls"]


class ReferenceCalls(OpenParts):
    """The engine's calls about references and prices."""

    async def adopt_references(
        self, references: ReferenceTimes, earlier: Literal["keep", "reprice"] = "keep"
    ) -> Adoption:
        """Judge from here on by these references, in every process: a numbered row of the log.

        They price what is decided behind that row. ``earlier`` : ``keep`` leaves the rewards of earlier
        decisions, and prices their later outcomes by the references of their time; ``reprice`` prices all of
        them again, as rows of their own in the same transaction. Adopting again what is in force changes
        nothing.

        Raises
        ------
        SpecInvalid, InputInvalid : an unknown rule, or no references.
        """
        self._check_open()
        return await adopt_references(self._store, self._replica, references, earlier)

    async def propose_references(
        self,
        *,
        first_seq: int = 1,
        last_seq: int | None = None,
        by: Sequence[str] | None = None,
        min_n: int = 10,
        succeeded_only: bool = False,
    ) -> ReferenceTimes:
        """Estimate references from a stretch of the log: medians, of the baseline arm where it has enough.

        ``by`` : context features, by default the spec's ``reference_by``. Nothing is adopted.

        Raises
        ------
        SupportMissing : too few executions that reported a time, tokens or a cost.
        """
        self._check_open()
        return await propose_references(
            self._store,
            self.spec,
            first_seq=first_seq,
            last_seq=last_seq,
            by=by,
            min_n=min_n,
            succeeded_only=succeeded_only,
        )

    async def propose_expected_references(
        self, *, by: Sequence[str] | None = None, min_n: int = 10
    ) -> ReferenceProposal:
        """References as executions are expected to be now, beside those in force; nothing is adopted.

        Where ``propose_references`` takes medians of a stretch of the log, these are what the baseline arm is
        expected to take in each cell's contexts: they follow a shift at once, and no change of the mix of
        tasks. A person reads the proposal and calls ``adopt_references(proposal.references)``, or does not.

        by : context features, by default the spec's ``reference_by``. min_n : executions that a cell needs.

        Raises
        ------
        SupportMissing : too few executions that reported a time, tokens or a cost.
        """
        self._check_open()
        return await self._predicting.propose_references(by, min_n)

    async def reprice(self, spec: RewardSpec, *, by: Sequence[str] | None = None) -> Repricing:
        """Read every stored reward under other weights, means, profiles and gates; changes nothing.

        by : features whose values together make a group of contexts; by default each that is no number.

        Raises
        ------
        SpecInvalid : ``spec`` has other references, factors or powers, which the stored scores cannot tell.
        """
        self._check_open()
        return await reprice_log(self._store, spec, by=by)
