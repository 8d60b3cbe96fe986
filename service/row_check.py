"""Whether a row of the log follows from what it reports, its decision and the rows before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..bandit import BanditSpec
from ..bandit.events import EVENT_KINDS
from ..bandit.fixed_point import reward_to_fixed
from ..bandit.log import REPORT, RewardRow
from ..bandit.settle import draft_of, settle
from ..errors import NyxError
from ..persistence.rows import Row, adoption_from, day_of, decision_from, event_from, log_row_from
from ..rewards import Adoption, reference_for
from .plain_row import follows_plainly, is_plain

__all__ = ["RowCheck"]

_CHANGED = "its content is not what was written"
_PLAIN = {
    "kind": REPORT,
    "source": "",
    "identifier": "",
    "revision": 0,
    "state": "final",
    "taken": None,
    "place": 0,
}


class RowCheck:
    """Checks the rows of a log, one after the other in the order of their numbers.

    ``decisions`` : the stored decisions that the next rows are about; the caller puts them there and takes
    them away.
    """

    def __init__(self, specs: Mapping[str, BanditSpec]) -> None:
        self._specs = specs
        self.decisions: dict[str, Row] = {}
        self._histories: dict[str, list[RewardRow]] = {}
        self._plain: dict[str, Row] = {}  # of the present page: the only row of their decision so far
        self._adoptions: list[Adoption] = []

    @property
    def adopted_seq(self) -> int:
        """Number of the last adoption so far."""
        return self._adoptions[-1].seq if self._adoptions else 0

    def begin(self, earlier: Iterable[Row]) -> None:
        """Begin a page; ``earlier`` : all rows before it about the decisions that it is about, in order."""
        self._plain.clear()
        self._histories.clear()
        for row in earlier:
            try:
                given = log_row_from(row)
            except (TypeError, ValueError, KeyError):
                continue  # it was named where it stands
            self._histories.setdefault(given.decision_id, []).append(given)

    def problem(self, row: Row) -> str | None:
        """What is wrong with the next row; None where nothing is."""
        if row["kind"] == "adoption":
            return self._adoption(row)
        if row["kind"] in EVENT_KINDS:
            return self._event(row)
        if row["decision_id"] is None:
            return _CHANGED
        if self._follows_plainly(row):
            self._plain[row["decision_id"]] = row
            return None
        try:
            given = log_row_from(row)
            same = given.digest == row["digest"]
        except (TypeError, ValueError, KeyError):
            return _CHANGED
        history = self._history(given.decision_id)
        problem = self._content(given, same=same) or self._placed(row) or self._settled(given, history)
        history.append(given)
        return problem

    def _follows_plainly(self, row: Row) -> bool:
        key = row["decision_id"]
        if self._adoptions or key in self._plain or key in self._histories or not is_plain(row):
            return False
        decision, spec = self.decisions.get(key), self._specs.get(row["priced_by"])
        if decision is None or spec is None or decision["spec_hash"] not in self._specs:
            return False
        try:
            return follows_plainly(row, decision, spec)
        except ValueError:  # a number that JSON has no word for
            return False

    def _history(self, key: str) -> list[RewardRow]:
        history = self._histories.setdefault(key, [])
        if key in self._plain:
            history.append(log_row_from(self._plain.pop(key)))
        return history

    def _adoption(self, row: Row) -> str | None:
        try:
            adopted = adoption_from(row)
        except (NyxError, TypeError, ValueError, KeyError):
            return _CHANGED
        self._adoptions.append(adopted.adoption)
        return None if adopted.digest == row["digest"] and _of_no_decision(row) else _CHANGED

    def _event(self, row: Row) -> str | None:
        """Its content; that a monitor concludes it is for ``event_check``."""
        try:
            event = event_from(row)
        except (NyxError, TypeError, ValueError, KeyError):
            return _CHANGED
        if event.digest != row["digest"] or event.kind != row["kind"] or not _of_no_decision(row):
            return _CHANGED
        return None if event.cause < event.seq else "it stands before its cause"

    def _content(self, given: RewardRow, *, same: bool) -> str | None:
        fixed = None if given.reward is None else reward_to_fixed(given.reward)
        if not same or fixed != given.units:
            return _CHANGED
        decision = self.decisions.get(given.decision_id)
        if decision is None:
            return "its decision is not stored"
        told = (given.arm_id, given.epoch, given.encoding, list(given.phi), given.propensity)
        chosen = 0.0 if decision["reason"] == "holdout" else decision["propensity"]
        made = (decision["arm_id"], decision["epoch"], decision["encoding"], list(decision["phi"]), chosen)
        if told != made:
            return "it differs from its decision"
        return None

    def _placed(self, row: Row) -> str | None:
        """It stands in the partition of its decision: only there is the report's key unique."""
        same = row["decided_on"] == self.decisions[row["decision_id"]]["decided_on"]
        return None if same else "it differs from its decision"

    def _settled(self, given: RewardRow, history: Sequence[RewardRow]) -> str | None:
        if given.priced_by is None:  # written before rows said who priced them
            usual = all(getattr(given, name) == value for name, value in _PLAIN.items())
            return None if usual and not history else "its kind, source or revision is not what was written"
        spec = self._specs.get(given.priced_by)
        decided = self.decisions[given.decision_id]
        maker = self._specs.get(decided["spec_hash"])
        if spec is None or maker is None:
            return "its spec is not stored"
        if given.pricing and given.pricing.get("reward_fn_version") != spec.reward.version:
            return None  # priced by formulas of another version: what they gave cannot be computed here
        try:
            decision = decision_from(decided, maker)
            references = reference_for(self._adoptions, decision.state_seq, now_seq=given.seq - 1)
            again = settle(draft_of(given), history, decision, spec, references)
        except NyxError as error:
            return f"it does not follow from the rows before it ({error.code})"
        if again.seq or again.numbered(given.seq) != given:
            return "its reward does not follow from what was reported"
        return None


def _of_no_decision(row: Row) -> bool:
    """Tell whether a row that is about no decision leaves empty what only such rows have."""
    about = ("decision_id", "arm_id", "epoch", "encoding", "phi", "propensity", "units", "reward")
    others = [row[name] for name in (*about, "outcome", "taken", "priced_by")]
    plain = (row["source"], row["identifier"], row["revision"], row["state"], row["place"])
    empty = others == [None] * len(others) and plain == ("", "", 0, "final", 0)
    return empty and bool(row["decided_on"] == day_of(None))
