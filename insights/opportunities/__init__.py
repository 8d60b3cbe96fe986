"""``identify_optimization_opportunities``: what to change next, and what that is expected to bring."""

from .identifying import identify_optimization_opportunities
from .result import Change, Evidence, OptimizationOpportunities, OptimizationOpportunity, Risk

__all__ = [
    "Change",
    "Evidence",
    "OptimizationOpportunities",
    "OptimizationOpportunity",
    "Risk",
    "identify_optimization_opportunities",
]
