"""Arms, exact sums, policies, choice: the pure heart."""

from .arms import Arm, ArmTable
from .bandit import Bandit
from .decision import Beliefs, Decision, Receipt, Stage, VerifyReport
from .learner import Learner
from .parameters import Range
from .prior import fit_prior
from .spec import BanditSpec, PolicySpec
from .strategies import Strategy

__all__ = [
    "Arm",
    "ArmTable",
    "Bandit",
    "BanditSpec",
    "Beliefs",
    "Decision",
    "Learner",
    "PolicySpec",
    "Range",
    "Receipt",
    "Stage",
    "Strategy",
    "VerifyReport",
    "fit_prior",
]
