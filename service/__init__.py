"""The shell: the engine that composes all, the commands, the demo."""

from .bulk import ArmRequest, RewardReport
from .engine import LearningEngine
from .execution import Execution
from .warming import warm_up

__all__ = ["ArmRequest", "Execution", "LearningEngine", "RewardReport", "warm_up"]
