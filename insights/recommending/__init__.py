"""What to run next: ``recommend_strategy``, and ``optimize_parameters`` of what runs already."""

from .execution_result import ExecutionResult
from .optimized import OptimizedParameters
from .optimizing import optimize_parameters
from .recommendation import Alternative, StrategyRecommendation
from .recommending import recommend_strategy

__all__ = [
    "Alternative",
    "ExecutionResult",
    "OptimizedParameters",
    "StrategyRecommendation",
    "optimize_parameters",
    "recommend_strategy",
]
