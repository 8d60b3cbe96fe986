"""``detect_failure_patterns``: errors that repeat, sequences that are no chance, and what they go with."""

from .causes import Cause, LikelyCause, Meeting
from .changes import AfterChange, Change
from .detecting import FailurePattern, FailurePatterns, detect_failure_patterns
from .links import Link
from .mining import FoundSequence, mine

__all__ = [
    "AfterChange",
    "Cause",
    "Change",
    "FailurePattern",
    "FailurePatterns",
    "FoundSequence",
    "LikelyCause",
    "Link",
    "Meeting",
    "detect_failure_patterns",
    "mine",
]
