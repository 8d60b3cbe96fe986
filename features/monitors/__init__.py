"""Monitors that watch a bandit's world: pure functions of rows that are fed in the order of its sequence.

Each remembers a bounded stretch of rows and nothing else, so that a restart, or another process, comes to the
same alarms at the same rows. What an alarm does is decided elsewhere (``bandit.watch``).
"""

from .contexts import ContextMonitor, ContextShift
from .durations import DurationMonitor, DurationShift
from .settings import Monitors
from .shift import Shift, ShiftMonitor

__all__ = [
    "ContextMonitor",
    "ContextShift",
    "DurationMonitor",
    "DurationShift",
    "Monitors",
    "Shift",
    "ShiftMonitor",
]
