"""The decisions that a process has made or met lately: what it is asked again, it answers the same."""

from __future__ import annotations

from collections import OrderedDict

from ..bandit import Decision

__all__ = ["Remembered"]

_REMEMBERED = 20_000


class Remembered:
    """The latest decisions by id, and which of them may not be stored yet.

    A *lost* decision was made here apart from the one that is stored under its id. As long as nobody here
    has met that one, reports by id are about the lost one: its arm is what was executed.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Decision] = OrderedDict()
        self._behind: set[str] = set()
        self._lost: OrderedDict[str, Decision] = OrderedDict()

    def get(self, key: str) -> Decision | None:
        """The decision of that id; None where it is not remembered."""
        return self._known.get(key)

    def lost(self, key: str) -> Decision | None:
        """The decision of that id that was made here, and is not the stored one."""
        return self._lost.get(key)

    def is_behind(self, key: str) -> bool:
        """Tell whether a remembered decision may not be stored yet."""
        return key in self._behind

    def add(self, decision: Decision, *, behind: bool = False) -> None:
        """Remember a decision; the oldest one is forgotten where there are too many.

        behind : it is not stored yet.
        """
        self._known[decision.decision_id] = decision
        self._known.move_to_end(decision.decision_id)
        if behind:
            self._behind.add(decision.decision_id)
        if len(self._known) > _REMEMBERED:
            self._behind.discard(self._known.popitem(last=False)[0])

    def add_stored(self, decision: Decision) -> None:
        """Remember the decision that is stored under its id."""
        self._behind.discard(decision.decision_id)
        self._lost.pop(decision.decision_id, None)
        self.add(decision)

    def mark_stored(self, key: str) -> None:
        """Note that a decision is stored."""
        self._behind.discard(key)

    def lose(self, decision: Decision) -> None:
        """Note that another decision is stored under the id of this one."""
        key = decision.decision_id
        self._known.pop(key, None)
        self._behind.discard(key)
        self._lost[key] = decision
        if len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)
