"""Monitors that watch a bandit's world: pure functions of rows that are fed in the order of its sequence.

Each remembers a bounded stretch of rows and nothing else, so that a restart, or another process, comes to the
same alarms at the same rows. What an alarm does is decided elsewhere (``bandit.watch``).
"""

from .anomalies import AlertBudget, AnomalyMonitor
from .contexts import ContextMonitor, ContextShift
from .durations import DurationMonitor, DurationShift
from .performance import Anomaly, BaselineMetrics, PerformanceMetrics, detect_performance_anomalies
from .series import SeriesMonitor
from .settings import Monitors
from .shift import Shift, ShiftMonitor

__all__ = [
    "AlertBudget",
    "Anomaly",
    "AnomalyMonitor",
    "BaselineMetrics",
    "ContextMonitor",
    "ContextShift",
    "DurationMonitor",
    "DurationShift",
    "Monitors",
    "PerformanceMetrics",
    "SeriesMonitor",
    "Shift",
    "ShiftMonitor",
    "detect_performance_anomalies",
]
