"""``analyze_resource_patterns``: timeouts, retries and limits against outcome, and where more stops paying.

Two kinds of curves. *Chosen*: each numeric parameter of a strategy, with success and reward at each of its
values, weighted by the inverse of the propensities where these are known: what was chosen for the easy
executions does not look good for it. *Reached*: the share of executions that have succeeded within so many
seconds, or so many retries. There a timeout or a limit cuts what would have come later (censoring), and a
failure before the timeout ends an execution for good (a competing event): the share is Aalen's and
Johansen's estimate.

The knee of a curve is the smallest value whose success (or reward) is within ``margin`` of the best;
success is taken never to fall with more of a resource (isotonic regression), reward is not. Its interval
is that of a bootstrap, of the values' means or of the executions.
"""

from .analyzing import analyze_resource_patterns, check_margin
from .curves import Beyond, Level, ResourcePattern, ResourcePatterns

__all__ = [
    "Beyond",
    "Level",
    "ResourcePattern",
    "ResourcePatterns",
    "analyze_resource_patterns",
    "check_margin",
]
