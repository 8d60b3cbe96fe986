"""Where the bandit stands: its arms, and whether learning has paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import OpenParts

if TYPE_CHECKING:
    from ..standing import BanditReport

__all__ = ["ReportCalls"]


class ReportCalls(OpenParts):
    """The engine's call that judges itself; it changes nothing."""

    async def report(
        self, metric: str = "success", *, min_lift: float = 0.2, confidence: float = 0.95
    ) -> BanditReport:
        """What each arm was worth, and the verdict on the learner beside the holdout, as of now.

        The whole log is read, and judged in a thread. The verdict may be looked at as often as one likes.

        Parameters
        ----------
        metric : ``success`` or ``reward``. min_lift : how much better the learner is to be, 0.2 for a fifth.
        confidence : of each claim.

        Raises
        ------
        InputInvalid : an argument out of its domain; or more than 200,000 decisions, which ``nyx-learning
            evaluate`` judges.
        """
        self._check_open()
        from ..standing import report_on_log  # noqa: PLC0415 - loads numpy's and scipy's parts

        return await report_on_log(self._store, metric, min_lift, confidence)
