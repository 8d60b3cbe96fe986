"""Every error of the project: one base, a stable code, and four parts.

A reader of a log should be able to act without reading the source, so each error says
what is wrong, what was expected, what was found, and what to do about it. Bad input is
refused *before* anything changes; callers may rely on that.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ArmUnknown",
    "BanditUnknown",
    "BudgetExhausted",
    "ContextInvalid",
    "DatabaseRefused",
    "DatabaseSetupFailed",
    "DatabaseUnavailable",
    "DecisionConflict",
    "DecisionUnknown",
    "DocumentInvalid",
    "EligibilityEmpty",
    "GuardrailConflict",
    "ImportRejected",
    "InputInvalid",
    "KeysUnreadable",
    "LogInvalid",
    "LogUnreadable",
    "LogUnwritable",
    "NoOverlap",
    "NyxError",
    "OutcomeInvalid",
    "Overloaded",
    "PackageMissing",
    "RewardConflict",
    "RewardTooLate",
    "SchemaMismatch",
    "SpecInvalid",
    "StateDropped",
    "SupportMissing",
    "TableInvalid",
    "VerificationFailed",
    "shown",
]


class NyxError(Exception):
    """Base of all errors that the project raises on purpose.

    Parameters
    ----------
    what : one sentence without a full stop: what is wrong.
    expected : what would have been accepted.
    found : what was met instead.
    fix : what the reader can do.
    """

    code: ClassVar[str] = "nyx_error"
    retryable: ClassVar[bool] = False
    """True where the same call may succeed later without being changed."""

    def __init__(self, what: str, *, expected: str, found: str, fix: str) -> None:
        self.what, self.expected, self.found, self.fix = what, expected, found, fix
        super().__init__(
            f"{what} [{self.code}]\n  expected: {expected}\n  found:    {found}\n  fix:      {fix}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default reduction, and errors
        # cross process boundaries in simulations.
        return _rebuild, (type(self), self.what, self.expected, self.found, self.fix)


def _rebuild(kind: type[NyxError], what: str, expected: str, found: str, fix: str) -> NyxError:
    return kind(what, expected=expected, found=found, fix=fix)


def shown(value: object, length: int = 80) -> str:
    """Type and beginning of any value, for ``found``; never fails, whatever the value is.

    >>> shown("abc"), shown(True)
    ("str: 'abc'", 'bool: True')
    """
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 (integers of 5,000 digits, and whatever a foreign __repr__ raises)
        text = f"not printable ({type(error).__name__})"
    return f"{type(value).__name__}: {text[:length]}"


class InputInvalid(NyxError, ValueError):
    """An argument is out of its domain."""

    code = "input_invalid"


class SpecInvalid(InputInvalid):
    """A bandit, strategy, policy, reward or context specification contradicts itself."""

    code = "spec_invalid"


class ContextInvalid(InputInvalid):
    """A context does not fit the context schema."""

    code = "context_invalid"


class ArmUnknown(InputInvalid):
    """An arm id or strategy name that the spec does not have."""

    code = "arm_unknown"


class EligibilityEmpty(InputInvalid):
    """Nothing is left to choose from."""

    code = "eligibility_empty"


class GuardrailConflict(InputInvalid):
    """An override contradicts one that is in force, or leaves nothing to choose from."""

    code = "guardrail_conflict"


class BudgetExhausted(NyxError):
    """A hard budget has not left what an execution may use."""

    code = "budget_exhausted"


class OutcomeInvalid(InputInvalid):
    """An outcome, score or reward is not usable."""

    code = "outcome_invalid"


class DocumentInvalid(InputInvalid):
    """A serialised document is damaged, of another version, or of another spec."""

    code = "document_invalid"


class KeysUnreadable(NyxError):
    """The server's file of API keys cannot be read, or holds something else."""

    code = "keys_unreadable"


class TableInvalid(InputInvalid):
    """A table of executions cannot be read as asked."""

    code = "table_invalid"


class LogInvalid(InputInvalid):
    """Logged decisions, or the probabilities of a policy over them, are unusable."""

    code = "log_invalid"


class LogUnreadable(InputInvalid):
    """A file of logged decisions cannot be read to its end."""

    code = "log_unreadable"


class LogUnwritable(InputInvalid):
    """A file of logged decisions cannot be written."""

    code = "log_unwritable"


class ImportRejected(InputInvalid):
    """Lines of a log cannot be imported, so none was."""

    code = "import_rejected"


class PackageMissing(NyxError):
    """What was asked for needs a package that is not installed."""

    code = "package_missing"


class SupportMissing(NyxError):
    """The data cannot support the answer that was asked for."""

    code = "support_missing"


class NoOverlap(SupportMissing):
    """A target policy does what the logging policy never did."""

    code = "no_overlap"


class BanditUnknown(NyxError, LookupError):
    """The database has no bandit of this name."""

    code = "bandit_unknown"


class DecisionUnknown(NyxError, LookupError):
    """An outcome came for a decision id that has not been seen (yet)."""

    code = "decision_unknown"
    retryable = True


class DecisionConflict(NyxError):
    """A decision id was used again with another context or eligibility."""

    code = "decision_conflict"


class RewardConflict(NyxError):
    """A second, different outcome came for a decision that has one."""

    code = "reward_conflict"


class RewardTooLate(NyxError):
    """An outcome came after its decision was closed, and the bandit's rule is to refuse it."""

    code = "reward_too_late"


class StateDropped(NyxError):
    """What was known at a row of the log cannot be told any more: retention dropped it."""

    code = "state_dropped"


class DatabaseUnavailable(NyxError, ConnectionError):
    """The database cannot be reached or does not answer."""

    code = "database_unavailable"
    retryable = True


class Overloaded(NyxError):
    """More is asked for at once than can be kept waiting."""

    code = "overloaded"
    retryable = True


class DatabaseRefused(NyxError):
    """The database answers, and does not take what was sent: missing rights, or a value beyond it."""

    code = "database_refused"


class DatabaseSetupFailed(NyxError):
    """The embedded database cannot be set up on this machine, or in this folder."""

    code = "database_setup_failed"


class SchemaMismatch(NyxError):
    """The database's schema is not the one that this code knows."""

    code = "schema_mismatch"


class VerificationFailed(NyxError):
    """A stored row differs from what the log re-derives."""

    code = "verification_failed"
