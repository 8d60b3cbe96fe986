"""Outcome → scores in [0, 1] → composite reward: pure functions, frozen references, honest gaps.

``trends`` and ``compare`` are not imported here: they load scipy, which pricing never needs.
"""

from .adoption import Adoption, reference_for, worth_adopting
from .bulk import PricedTable, price_bulk
from .composite import Reward, composite, composite_bulk, price
from .estimate import Execution, estimate_references
from .lifecycle import Abandoned, Change, Expired, Ledger, Report, Retracted, RewardState, advance, expired_by
from .outcome import Outcome, ValidationResult
from .performance_scorer import ComplexityLevel, PerformanceScorer, ScoringContext, ScoringResult
from .reference import ReferenceCell, ReferenceTimes
from .reprice import RewardRow, choices, reprice, reprice_reward
from .spec import COMPONENTS, Gate, RewardSpec, WeightProfile

__all__ = [
    "COMPONENTS",
    "Abandoned",
    "Adoption",
    "Change",
    "ComplexityLevel",
    "Execution",
    "Expired",
    "Gate",
    "Ledger",
    "Outcome",
    "PerformanceScorer",
    "PricedTable",
    "ReferenceCell",
    "ReferenceTimes",
    "Report",
    "Retracted",
    "Reward",
    "RewardRow",
    "RewardSpec",
    "RewardState",
    "ScoringContext",
    "ScoringResult",
    "ValidationResult",
    "WeightProfile",
    "advance",
    "choices",
    "composite",
    "composite_bulk",
    "estimate_references",
    "expired_by",
    "price",
    "price_bulk",
    "reference_for",
    "reprice",
    "reprice_reward",
    "worth_adopting",
]
