"""Worlds to try policies in, the runner that compares them there, and the replay of recorded executions."""

from .pricing import OUTCOME_FIELDS, OutcomeColumns, RewardColumn
from .replay import Replay, replay
from .rows import Rows, read_rows
from .runner import Contender, Results, Trajectory, play, play_with_learner, simulate
from .table import ExecutionTable, execution_table

__all__ = [
    "OUTCOME_FIELDS",
    "Contender",
    "ExecutionTable",
    "OutcomeColumns",
    "Replay",
    "Results",
    "RewardColumn",
    "Rows",
    "Trajectory",
    "execution_table",
    "play",
    "play_with_learner",
    "read_rows",
    "replay",
    "simulate",
]
