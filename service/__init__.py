"""The shell: the engine that composes all, the commands, the demo."""

from .engine import LearningEngine
from .execution import Execution
from .warming import warm_up

__all__ = ["Execution", "LearningEngine", "warm_up"]
