"""Guardrails: what people order and what watching rules conclude, acting on the pmf before the draw."""

from .acting import NO_RULES, Cap, Rules, guard
from .override import PERSON, RULES, Override, revocation
from .settings import Breaker, Budget, Guardrails, Service
from .state import GuardState

__all__ = [
    "NO_RULES",
    "PERSON",
    "RULES",
    "Breaker",
    "Budget",
    "Cap",
    "GuardState",
    "Guardrails",
    "Override",
    "Rules",
    "Service",
    "guard",
    "revocation",
]
