"""The value of one policy from the log of another: estimators, intervals, diagnostics.

A log is a ``LoggedData``; ``overlay`` puts a target policy over it; ``evaluate`` (or an estimator by itself)
returns ``Estimate``s, and ``diagnose`` says what to think of them.
"""

from .diagnostics import Diagnostics, diagnose
from .doubly_robust import dm, dr, dr_shrunk, mrdr_weights, switch_dr
from .estimate import Estimate, Interval, IntervalSpec
from .evaluate import ESTIMATORS, Settings, evaluate
from .importance import clipped_ips, ips, snips
from .intervals import clopper_pearson, empirical_bernstein, mover_wilson, wilson
from .learning import LearnerTarget, LearningRun, LearningTarget, dr_learning, replay_learning
from .log_tests import arm_ratio, calibration, drift, self_check
from .logged import LoggedData
from .many import evaluate_many
from .models import cross_fit
from .propensities import estimate_propensities
from .rejection import rejection
from .sequences import betting_log_capital, betting_lower, eb_lower, eb_lower_path
from .streaming import Accumulator, accumulate
from .weights import Overlay, overlay, weight_limit

__all__ = [
    "ESTIMATORS",
    "Accumulator",
    "Diagnostics",
    "Estimate",
    "Interval",
    "IntervalSpec",
    "LearnerTarget",
    "LearningRun",
    "LearningTarget",
    "LoggedData",
    "Overlay",
    "Settings",
    "accumulate",
    "arm_ratio",
    "betting_log_capital",
    "betting_lower",
    "calibration",
    "clipped_ips",
    "clopper_pearson",
    "cross_fit",
    "diagnose",
    "dm",
    "dr",
    "dr_learning",
    "dr_shrunk",
    "drift",
    "eb_lower",
    "eb_lower_path",
    "empirical_bernstein",
    "estimate_propensities",
    "evaluate",
    "evaluate_many",
    "ips",
    "mover_wilson",
    "mrdr_weights",
    "overlay",
    "rejection",
    "replay_learning",
    "self_check",
    "snips",
    "switch_dr",
    "weight_limit",
    "wilson",
]
