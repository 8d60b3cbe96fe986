"""Names of what is told to OpenTelemetry, in one place: the semantic conventions' where there are some.

Those of feature flags and of generative AI are in development; a change of theirs is a change of this module.

References
----------
opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events;
github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/events.yaml
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "ARM",
    "BANDIT",
    "DECISION_ID",
    "ERROR_TYPE",
    "EVALUATION",
    "EVALUATION_EXPLANATION",
    "EVALUATION_LABEL",
    "EVALUATION_NAME",
    "EVALUATION_RESPONSE",
    "EVALUATION_VALUE",
    "FLAG",
    "FLAG_CONTEXT",
    "FLAG_KEY",
    "FLAG_PROVIDER",
    "FLAG_REASON",
    "FLAG_VARIANT",
    "FLAG_VERSION",
    "MODE",
    "PROPENSITY",
    "PROVIDER",
    "REASON",
    "REASONS",
    "SCOPE",
    "SPAN_SELECT",
    "SPAN_SELECT_MANY",
    "SPAN_UPDATE",
    "SPAN_UPDATE_MANY",
    "STATE",
    "STATE_SEQ",
]

SCOPE = "nyx_learning"
"""Instrumentation scope of spans and events."""

SPAN_SELECT, SPAN_UPDATE = "nyx.select_arm", "nyx.update_reward"
SPAN_SELECT_MANY, SPAN_UPDATE_MANY = "nyx.select_arms", "nyx.update_rewards"

FLAG = "feature_flag.evaluation"
FLAG_KEY = "feature_flag.key"
FLAG_PROVIDER = "feature_flag.provider.name"
FLAG_VARIANT = "feature_flag.result.variant"
FLAG_REASON = "feature_flag.result.reason"
FLAG_CONTEXT = "feature_flag.context.id"
FLAG_VERSION = "feature_flag.version"

EVALUATION = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_VALUE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"
EVALUATION_RESPONSE = "gen_ai.response.id"

ERROR_TYPE = "error.type"

PROVIDER = "nyx-learning"
BANDIT = "nyx.bandit"
DECISION_ID = "nyx.decision.id"
ARM = "nyx.arm.id"
PROPENSITY = "nyx.propensity"
REASON = "nyx.reason"
MODE = "nyx.mode"
STATE = "nyx.reward.state"
STATE_SEQ = "nyx.state_seq"

REASONS: Mapping[str, str] = {
    "policy": "split",
    "holdout": "split",
    "conservative": "split",
    "guarded": "split",
    "only_arm": "static",
    "kill_switch": "disabled",
    "shadow": "disabled",
    "imported": "unknown",
}
"""Reasons of decisions (up to the colon) as those of feature flags: ``split`` is a draw."""
