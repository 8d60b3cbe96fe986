"""What was reached: by each strategy in each kind of task, and by each type of agent, against the others."""

from .agents import AgentPerformancePattern, analyze_agent_performance_by_type
from .analysis import MetricPattern, StrategyPattern, StrategyPatterns, analyze_strategy_patterns

__all__ = [
    "AgentPerformancePattern",
    "MetricPattern",
    "StrategyPattern",
    "StrategyPatterns",
    "analyze_agent_performance_by_type",
    "analyze_strategy_patterns",
]
