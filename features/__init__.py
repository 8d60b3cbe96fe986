"""Context: its schema, its encoding, and (in ``monitors``) what watches its world."""

from .encoding import ONE, Encoder
from .schema import Categorical, ContextSchema, Feature, Flag, Numeric, Ordinal, Value

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
