"""NYX Learning: a deterministic, seeded contextual bandit for orchestrators of AI agents.

The names below are the public surface; each is loaded when it is first asked for, so that importing the
package stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bandit import Bandit, BanditSpec, Decision, PolicySpec, Range, Receipt, Strategy
    from .bandit.adapting import AdaptationRecommendation, AdaptationStakes
    from .bandit.explaining import Explanation
    from .bandit.prediction import PerformancePrediction, WorkflowInput
    from .errors import NyxError
    from .features import Categorical, ContextSchema, Flag, Numeric, Ordinal
    from .features.monitors import (
        Anomaly,
        BaselineMetrics,
        Monitors,
        PerformanceMetrics,
        detect_performance_anomalies,
    )
    from .insights.failures import FailurePattern as FailurePattern
    from .insights.opportunities import OptimizationOpportunity as OptimizationOpportunity
    from .insights.patterns import AgentPerformancePattern as AgentPerformancePattern
    from .insights.patterns import StrategyPattern as StrategyPattern
    from .insights.recommending import ExecutionResult, OptimizedParameters, StrategyRecommendation
    from .rewards import (
        ComplexityLevel,
        Outcome,
        PerformanceScorer,
        RewardSpec,
        ScoringContext,
        ScoringResult,
        ValidationResult,
    )
    from .service import ArmRequest, LearningEngine, RewardReport, warm_up
    from .service.client import AsyncNyxClient, NyxClient
    from .service.recording import ExecutionReceipt

__version__ = "0.1.0"

_PLACES = {
    "AdaptationRecommendation": "bandit.adapting",
    "AdaptationStakes": "bandit.adapting",
    "Anomaly": "features.monitors",
    "ArmRequest": "service",
    "AsyncNyxClient": "service.client",
    "Bandit": "bandit",
    "BanditSpec": "bandit",
    "BaselineMetrics": "features.monitors",
    "Categorical": "features",
    "ComplexityLevel": "rewards",
    "ContextSchema": "features",
    "Decision": "bandit",
    "ExecutionReceipt": "service.recording",
    "ExecutionResult": "insights.recommending",
    "Explanation": "bandit.explaining",
    "Flag": "features",
    "LearningEngine": "service",
    "Monitors": "features.monitors",
    "Numeric": "features",
    "NyxClient": "service.client",
    "NyxError": "errors",
    "OptimizedParameters": "insights.recommending",
    "Ordinal": "features",
    "Outcome": "rewards",
    "PerformanceMetrics": "features.monitors",
    "PerformancePrediction": "bandit.prediction",
    "PerformanceScorer": "rewards",
    "PolicySpec": "bandit",
    "Range": "bandit",
    "Receipt": "bandit",
    "RewardReport": "service",
    "RewardSpec": "rewards",
    "ScoringContext": "rewards",
    "ScoringResult": "rewards",
    "Strategy": "bandit",
    "StrategyRecommendation": "insights.recommending",
    "ValidationResult": "rewards",
    "WorkflowInput": "bandit.prediction",
    "detect_performance_anomalies": "features.monitors",
    "warm_up": "service",
}

_ANALYSED = {
    "AgentPerformancePattern": "insights.patterns",
    "FailurePattern": "insights.failures",
    "OptimizationOpportunity": "insights.opportunities",
    "StrategyPattern": "insights.patterns",
}
"""What analyses return: imported from here like all others, but apart, because it brings scipy along."""

__all__ = [
    "AdaptationRecommendation",
    "AdaptationStakes",
    "Anomaly",
    "ArmRequest",
    "AsyncNyxClient",
    "Bandit",
    "BanditSpec",
    "BaselineMetrics",
    "Categorical",
    "ComplexityLevel",
    "ContextSchema",
    "Decision",
    "ExecutionReceipt",
    "ExecutionResult",
    "Explanation",
    "Flag",
    "LearningEngine",
    "Monitors",
    "Numeric",
    "NyxClient",
    "NyxError",
    "OptimizedParameters",
    "Ordinal",
    "Outcome",
    "PerformanceMetrics",
    "PerformancePrediction",
    "PerformanceScorer",
    "PolicySpec",
    "Range",
    "Receipt",
    "RewardReport",
    "RewardSpec",
    "ScoringContext",
    "ScoringResult",
    "Strategy",
    "StrategyRecommendation",
    "ValidationResult",
    "WorkflowInput",
    "detect_performance_anomalies",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name) or _ANALYSED.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value
