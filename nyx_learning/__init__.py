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
    from .insights.failures import FailurePattern
    from .insights.opportunities import OptimizationOpportunity
    from .insights.patterns import AgentPerformancePattern, StrategyPattern
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
    "AgentPerformancePattern": "insights.patterns",
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
    "FailurePattern": "insights.failures",
    "Flag": "features",
    "LearningEngine": "service",
    "Monitors": "features.monitors",
    "Numeric": "features",
    "NyxClient": "service.client",
    "NyxError": "errors",
    "OptimizationOpportunity": "insights.opportunities",
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
    "StrategyPattern": "insights.patterns",
    "StrategyRecommendation": "insights.recommending",
    "ValidationResult": "rewards",
    "WorkflowInput": "bandit.prediction",
    "detect_performance_anomalies": "features.monitors",
    "warm_up": "service",
}

__all__ = [
    "AdaptationRecommendation",
    "AdaptationStakes",
    "AgentPerformancePattern",
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
    "FailurePattern",
    "Flag",
    "LearningEngine",
    "Monitors",
    "Numeric",
    "NyxClient",
    "NyxError",
    "OptimizationOpportunity",
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
    "StrategyPattern",
    "StrategyRecommendation",
    "ValidationResult",
    "WorkflowInput",
    "detect_performance_anomalies",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
