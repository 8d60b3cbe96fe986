"""What comes in and goes out, as the OpenAPI document tells it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BanditAnswer",
    "BanditList",
    "BeliefAnswer",
    "BeliefsAnswer",
    "BeliefsRequest",
    "DecisionAnswer",
    "DecisionBatch",
    "DecisionList",
    "DecisionRequest",
    "EvaluationBatch",
    "HealthAnswer",
    "OutcomeBatch",
    "OutcomeItem",
    "OutcomeReport",
    "ReceiptAnswer",
    "ReceiptList",
    "RewardAnswer",
]

_Value = bool | int | float | str
_Text = Annotated[str, Field(max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DecisionRequest(_Request):
    """One choice to make: the arguments of ``select_arm``."""

    context: dict[str, _Value] = Field(default_factory=dict, description="A value for each feature.")
    decision_id: str | None = Field(None, description="Idempotency key: the same id gets the same decision.")
    eligible: list[str] | None = Field(None, description="Arm ids or strategy names; all by default.")
    exclude: list[str] | None = Field(None, description="Arm ids or strategy names.")
    durable: bool = Field(True, description="Answer when the decision is stored.")
    deadline_s: float | None = Field(None, description="For so long it may take until it is stored.")


class DecisionBatch(_Request):
    """Several choices; all are checked before one is made."""

    requests: list[DecisionRequest] = Field(min_length=1)
    durable: bool = True


class OutcomeReport(_Request):
    """What a decision was worth: one of outcome, reward and part; or how else it ended."""

    outcome: dict[str, Any] | None = Field(None, description="The fields of an Outcome.")
    reward: float | None = Field(None, description="A number in [0, 1].")
    part: dict[str, Any] | None = Field(None, description="Some fields of an Outcome.")
    source: _Text = Field("", description="Who reports.")
    identifier: _Text = Field("", description="Which of its reports this is.")
    corrects: int | None = Field(None, ge=0, description="Revision of the report that this one replaces.")
    retract: bool = Field(False, description="Forget the decision: what it taught leaves the sums.")
    abandon: bool = Field(False, description="The execution was cancelled: nothing is learned from it.")


class OutcomeItem(OutcomeReport):
    """A report within a batch."""

    decision_id: str


class OutcomeBatch(_Request):
    """Several reports; what the stored rows refuse concerns its own report only."""

    reports: list[OutcomeItem] = Field(min_length=1)


class EvaluationBatch(_Request):
    """Events ``gen_ai.evaluation.result``: the attributes of each, by their names."""

    evaluations: list[dict[str, Any]] = Field(min_length=1)
    fields: dict[str, str] = Field(default_factory=dict, description="Evaluation's name to outcome's field.")
    scales: dict[str, list[float]] = Field(
        default_factory=dict, description="Evaluation's name to its lowest and highest score: 0 and 1."
    )


class BeliefsRequest(_Request):
    """A context to ask about; nothing is decided."""

    context: dict[str, _Value] = Field(default_factory=dict)
    eligible: list[str] | None = None


class StageAnswer(BaseModel):
    """One draw of a decision."""

    name: str
    names: list[str] | None
    pmf: list[int]
    chosen: int


class DecisionAnswer(BaseModel):
    """A decision; ``pmf`` in units of 2⁻³², one for each arm of the spec, in its order."""

    bandit: str
    decision_id: str
    context: dict[str, _Value]
    strategy: str
    parameters: dict[str, Any]
    arm_id: str
    propensity: float
    pmf: list[int]
    stages: list[StageAnswer]
    eligible: list[int] | None
    epoch: int
    reason: str
    mode: str
    spec_hash: str
    state_seq: int
    time: float | None


class DecisionList(BaseModel):
    """The decisions of a batch, in the order of its requests."""

    decisions: list[DecisionAnswer]


class ReceiptAnswer(BaseModel):
    """What became of a report; ``applied`` is false where the same one came before."""

    decision_id: str
    seq: int
    reward: float | None
    applied: bool
    components: dict[str, float]
    missing: list[str]
    state: str
    revision: int


class ReceiptList(BaseModel):
    """A receipt or a problem for each report, in their order."""

    receipts: list[dict[str, Any]]
    refused: int


class RewardAnswer(BaseModel):
    """A decision, and where its reward stands."""

    decision: DecisionAnswer
    state: str
    reward: float | None
    outcome: dict[str, Any] | None
    components: dict[str, float]
    missing: list[str]
    reports: int


class BeliefAnswer(BaseModel):
    """What is held of an arm; mean and sd are null where nothing is."""

    arm_id: str
    mean: float | None
    sd: float | None
    probability: float
    rewards: int


class BeliefsAnswer(BaseModel):
    """Beliefs in the order of the spec, and the last row of the log that they know."""

    bandit: str
    state_seq: int
    beliefs: list[BeliefAnswer]


class BanditAnswer(BaseModel):
    """A bandit: its spec, and what its process knows."""

    name: str
    spec_hash: str
    state_seq: int
    arms: list[str] | None
    spec: dict[str, Any]


class BanditList(BaseModel):
    """Every bandit of the database."""

    bandits: list[str]


class HealthAnswer(BaseModel):
    """Whether the question is answered with yes; the state of every open bandit, and of the server itself."""

    ok: bool
    bandits: dict[str, Any]
    server: dict[str, Any] = {}
