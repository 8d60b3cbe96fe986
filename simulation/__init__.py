"""Worlds to try policies in; so far: tables of recorded executions, and their replay."""

from .pricing import OUTCOME_FIELDS, OutcomeColumns, RewardColumn
from .replay import Replay, replay
from .rows import Rows, read_rows
from .table import ExecutionTable, execution_table

__all__ = [
    "OUTCOME_FIELDS",
    "ExecutionTable",
    "OutcomeColumns",
    "Replay",
    "RewardColumn",
    "Rows",
    "execution_table",
    "read_rows",
    "replay",
]
