"""The interchange format of logs: decisions and what they were worth, in JSONL, CSV or Parquet.

``read_log(path)`` gives one ``LoggedChoice`` a line, whoever wrote the file; ``open_writer`` writes what the
engine exports; ``Fitter`` turns a line into the rows that a bandit stores. None of them knows a database.
"""

from .choice import FIELDS, LoggedChoice, choice_from
from .documents import document_of
from .fitting import Fitted, Fitter
from .reading import FORMATS, Reject, format_of, read_columns, read_log
from .writing import LogWriter, open_writer

__all__ = [
    "FIELDS",
    "FORMATS",
    "Fitted",
    "Fitter",
    "LogWriter",
    "LoggedChoice",
    "Reject",
    "choice_from",
    "document_of",
    "format_of",
    "open_writer",
    "read_columns",
    "read_log",
]
