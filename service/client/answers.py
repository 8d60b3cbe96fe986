"""What the server answers, as values; and its problems, as the errors that the engine itself would raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ... import errors
from ...errors import DatabaseUnavailable, InputInvalid, NyxError

__all__ = ["FALLBACK", "ServedDecision", "ServedReceipt", "error_of", "unreachable"]

FALLBACK = "fallback"
"""Mode and reason of a decision that the client made because no server answered; nobody learns from it."""


@dataclass(frozen=True, slots=True)
class ServedDecision:
    """A decision as the server made it; the fields mean what they mean in ``Decision``.

    ``propensity`` : None for a fallback: it was no draw. ``stages`` : the draws as plain JSON.
    """

    bandit: str
    decision_id: str
    strategy: str
    parameters: Mapping[str, Any]
    arm_id: str
    propensity: float | None
    reason: str
    mode: str
    pmf: tuple[int, ...] = ()
    stages: tuple[Mapping[str, Any], ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    eligible: tuple[int, ...] | None = None
    epoch: int = 0
    spec_hash: str = ""
    state_seq: int = 0
    time: float | None = None

    @property
    def fallback(self) -> bool:
        """Whether no server was asked in the end: outcomes of such a decision are not sent."""
        return self.mode == FALLBACK

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ServedDecision:
        """From the server's answer; what a newer server says beside it is left out."""
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        known["pmf"], known["stages"] = tuple(known["pmf"]), tuple(known["stages"])
        if known["eligible"] is not None:
            known["eligible"] = tuple(known["eligible"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class ServedReceipt:
    """What became of a report; ``state`` is ``fallback`` where the decision was the client's own."""

    decision_id: str
    seq: int
    reward: float | None
    applied: bool
    components: Mapping[str, float]
    missing: tuple[str, ...]
    state: str
    revision: int

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ServedReceipt:
        """From the server's answer."""
        known = {name: document[name] for name in cls.__dataclass_fields__}
        return cls(**{**known, "missing": tuple(known["missing"])})

    @classmethod
    def unsent(cls, decision_id: str) -> ServedReceipt:
        """For a decision that no server knows."""
        return cls(decision_id, 0, None, applied=False, components={}, missing=(), state=FALLBACK, revision=0)


def error_of(response: httpx.Response) -> NyxError:
    """The error that a problem of the server stands for."""
    try:
        told = response.json()
        parts = {name: str(told[name]) for name in ("expected", "found", "fix")}
        return _kind(told["code"])(str(told["title"]), **parts)
    except (ValueError, KeyError, TypeError):
        kind = (
            DatabaseUnavailable if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR else InputInvalid
        )
        return kind(
            "the server answered what no server of this kind answers",
            expected="JSON, or application/problem+json",
            found=f"status {response.status_code}: {response.text[:100]!r}",
            fix="look whether the URL is that of nyx-learning serve, and what stands between",
        )


def _kind(code: str) -> type[NyxError]:
    named = (getattr(errors, name) for name in errors.__all__)
    kinds = {kind.code: kind for kind in named if isinstance(kind, type) and issubclass(kind, NyxError)}
    return kinds.get(code, InputInvalid)


def unreachable(found: Exception) -> DatabaseUnavailable:
    """The error for a server that does not answer."""
    return DatabaseUnavailable(
        "the server does not answer",
        expected="an answer within the deadline",
        found=f"{type(found).__name__}: {found}"[:200],
        fix="start it (nyx-learning serve), correct the URL, or send the same call again",
    )
