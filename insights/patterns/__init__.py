"""``analyze_strategy_patterns``: how each strategy does in each kind of task, against the others there."""

from .analysis import MetricPattern, StrategyPattern, StrategyPatterns, analyze_strategy_patterns

__all__ = ["MetricPattern", "StrategyPattern", "StrategyPatterns", "analyze_strategy_patterns"]
