"""``suggest_spec``: from a table of executions to the spec of a bandit, with reasons.

    table = read_table("history.csv")
    found = suggest_spec(table)
    found.spec            # a BanditSpec
    found.columns         # what was found out about each column, and why it is in the context or not

Which columns carry signal is tested by permutations given the strategy, with the false discovery rate held
over all columns. Whatever is random has a seed: the same table gives the same spec.
"""

from .naming import Hints
from .proposing import suggest_spec
from .result import ColumnFinding, Suggestion
from .table import Table, read_table

__all__ = ["ColumnFinding", "Hints", "Suggestion", "Table", "read_table", "suggest_spec"]
