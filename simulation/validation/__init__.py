"""Checks of policies against theory, published figures and independent computation; ``suite`` lists them."""

from .check import Check, Finding
from .suite import Summary, run_checks, selected, suite, summary

__all__ = ["Check", "Finding", "Summary", "run_checks", "selected", "suite", "summary"]
