"""The verdict: "would the policy have been at least 20 % better?", with an error rate that holds."""

from .bounds import LOGGED
from .gathering import gathered, gathered_file
from .holdout import judge_holdout
from .judge import judge, judge_all
from .judged import Judged
from .log import JudgedLog, judged_log
from .result import Beside, Bound, Ceiling, MoreData, Support, Verdict

__all__ = [
    "LOGGED",
    "Beside",
    "Bound",
    "Ceiling",
    "Judged",
    "JudgedLog",
    "MoreData",
    "Support",
    "Verdict",
    "gathered",
    "gathered_file",
    "judge",
    "judge_all",
    "judge_holdout",
    "judged_log",
]
