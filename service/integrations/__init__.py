"""The learner inside other people's programs: a block, a decorator, and adapters.

An adapter is a module of its own (``langgraph``, ``pydantic_ai``, ``openai_agents``, ``celery``,
``temporal``) and needs the package of its name; nothing else imports it.
"""

from ..execution import Execution
from ..learners import AsyncLearner, BlockingLearner, Chosen
from .blocking import BlockingEngine, BlockingExecution
from .decorator import learned

__all__ = [
    "AsyncLearner",
    "BlockingEngine",
    "BlockingExecution",
    "BlockingLearner",
    "Chosen",
    "Execution",
    "learned",
]
