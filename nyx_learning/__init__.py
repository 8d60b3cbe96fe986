"""NYX Learning: a deterministic, seeded contextual bandit for orchestrators of AI agents.

The names below are the public surface; each is loaded when it is first asked for, so that importing the
package stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bandit import Bandit, BanditSpec, Decision, PolicySpec, Range, Receipt, Strategy
    from .bandit.adapting import AdaptationRecommendation, AdaptationStakes
    from .errors import NyxError
    from .features import Categorical, ContextSchema, Flag, Numeric, Ordinal
    from .features.monitors import (
        Anomaly,
        BaselineMetrics,
        Monitors,
        PerformanceMetrics,
        detect_performance_anomalies,
    )
    from .rewards import Outcome, RewardSpec
    from .service import ArmRequest, LearningEngine, RewardReport, warm_up
    from .service.client import AsyncNyxClient, NyxClient

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
    "ContextSchema": "features",
    "Decision": "bandit",
    "Flag": "features",
    "LearningEngine": "service",
    "Monitors": "features.monitors",
    "Numeric": "features",
    "NyxClient": "service.client",
    "NyxError": "errors",
    "Ordinal": "features",
    "Outcome": "rewards",
    "PerformanceMetrics": "features.monitors",
    "PolicySpec": "bandit",
    "Range": "bandit",
    "Receipt": "bandit",
    "RewardReport": "service",
    "RewardSpec": "rewards",
    "Strategy": "bandit",
    "detect_performance_anomalies": "features.monitors",
    "warm_up": "service",
}

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
    "ContextSchema",
    "Decision",
    "Flag",
    "LearningEngine",
    "Monitors",
    "Numeric",
    "NyxClient",
    "NyxError",
    "Ordinal",
    "Outcome",
    "PerformanceMetrics",
    "PolicySpec",
    "Range",
    "Receipt",
    "RewardReport",
    "RewardSpec",
    "Strategy",
    "detect_performance_anomalies",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
