"""What executions are expected to take, to cost, and whether they succeed: by arm, given the context.

Each model is a pure function of the rows that it was given, in their order.
"""

from .amounts import AmountModel, Outlook
from .conformal import COVERAGE, AdaptiveScores
from .success import Chance, SuccessModel

__all__ = ["COVERAGE", "AdaptiveScores", "AmountModel", "Chance", "Outlook", "SuccessModel"]
