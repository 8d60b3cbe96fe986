"""Context: its schema, its encoding, and (in ``monitors``) what watches its world."""

from .encoding import ONE, Encoder
from .kinds import Categorical, Feature, Flag, Numeric, Ordinal, Value
from .schema import ContextSchema

__all__ = [
    "ONE",
    "Categorical",
    "ContextSchema",
    "Encoder",
    "Feature",
    "Flag",
    "Numeric",
    "Ordinal",
    "Value",
]
