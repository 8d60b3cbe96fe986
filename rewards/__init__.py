"""Outcome → scores in [0, 1] → composite reward: pure functions, frozen references, honest gaps."""

from .composite import Reward, composite, composite_bulk, price
from .outcome import Outcome, ValidationResult
from .reference import ReferenceCell, ReferenceTimes
from .spec import COMPONENTS, Gate, RewardSpec, WeightProfile

__all__ = [
    "COMPONENTS",
    "Gate",
    "Outcome",
    "ReferenceCell",
    "ReferenceTimes",
    "Reward",
    "RewardSpec",
    "ValidationResult",
    "WeightProfile",
    "composite",
    "composite_bulk",
    "price",
]
