"""``explain_decision``: why a decision came out as it did, from the learner as it stood when it was made."""

from .assembling import explain_decision
from .explanation import Explanation
from .twin import twin_of

__all__ = ["Explanation", "explain_decision", "twin_of"]
