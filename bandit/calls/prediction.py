"""What an execution may be expected to do."""

from __future__ import annotations

from ..prediction import PerformancePrediction, WorkflowInput
from .base import Ledger

__all__ = ["PredictionCalls"]


class PredictionCalls(Ledger):
    """The bandit's calls about executions to come; ``docs/how-to/predict.md`` shows them."""

    def predict_workflow_performance(
        self, workflow_input: WorkflowInput, proposed_strategy: str
    ) -> PerformancePrediction:
        """What an execution is expected to do: success, seconds and cost, each with an interval.

        Learned from the newest 2,000 to 4,000 rows of the ledger, as ``LearningEngine`` does from the log;
        changes nothing that a decision depends on.

        Parameters
        ----------
        workflow_input : a context of the spec's schema.
        proposed_strategy : an arm id; or a strategy, which stands for its arms as they were used.

        Raises
        ------
        ContextInvalid, ArmUnknown : not of this spec.
        """
        from ..expecting import Expectations, window_start  # noqa: PLC0415 (loads the compiler)

        first = window_start(self.seq)
        if self._known is None or self._known.first != first:
            self._known = Expectations(self.spec, first)
        for row in self._log_after(self._known.seq):
            self._known.absorb(row)
        return self._known.predict_workflow_performance(workflow_input, proposed_strategy)
