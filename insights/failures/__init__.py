"""``detect_failure_patterns``: errors that repeat, sequences that are no chance, and what they go with."""

from .detecting import FailurePattern, FailurePatterns, detect_failure_patterns
from .links import Link
from .mining import FoundSequence, mine

__all__ = ["FailurePattern", "FailurePatterns", "FoundSequence", "Link", "detect_failure_patterns", "mine"]
