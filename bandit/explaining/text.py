"""A whole explanation as text, for a terminal."""

from __future__ import annotations

from .explanation import Explanation
from .wording import interval_text, spelled_value

__all__ = ["told"]


def told(found: Explanation) -> str:
    """The whole explanation as text."""
    lines = [f"decision '{found.decision_id}' of bandit '{found.bandit}', behind row {found.state_seq}"]
    lines += [
        f"  context: {', '.join(f'{k}={spelled_value(v)}' for k, v in found.context.items()) or 'none'}"
    ]
    lines += ["", "why"]
    lines += [f"  {sentence}" for sentence in found.reasons]
    lines += ["", f"arms: expected reward here ({found.coverage:.0%} credible interval)"]
    width = max(len(view.arm_id) for view in found.arms)
    for view in found.arms:
        belief = "no belief" if view.mean is None else interval_text(view)
        best = "" if view.best is None else f"  best {view.best:6.1%}"
        shut = "" if view.eligible else "  not eligible"
        lines.append(
            f"  {view.arm_id:<{width}}  {belief:<24}  n {view.rewards:>5,}{best}"
            f"  policy {view.policy:6.1%}  chosen {view.probability:6.1%}{shut}"
        )
    if found.arms_left_out:
        lines.append(f"  and {found.arms_left_out:,} further ones")
    if found.features and found.average is not None:
        lines += ["", f"features of {found.arm_id}: {found.average:.3f} in the average context"]
        for feature in found.features:
            lead = "" if feature.margin is None else f"  lead over {found.rival} {feature.margin:+.3f}"
            lines.append(f"  {feature.feature}={spelled_value(feature.value)}: {feature.effect:+.3f}{lead}")
    again = "comes out again, bit for bit" if found.rederived else "does not come out again"
    lines += ["", f"how it was drawn ({again})"]
    for stage in found.stages:
        chosen = stage.names.index(stage.chosen)
        steps = " -> ".join(f"{layer.step} {layer.probabilities[chosen]:.4f}" for layer in stage.layers)
        hit = f"u = {stage.u:.4f} lies in [{stage.low:.4f}, {stage.high:.4f})"
        lines.append(f"  {stage.name}: {stage.chosen}: {steps}; {hit}")
    lines.append(
        f"  propensity {found.propensity:.6g}; exploration floor {found.floor:.2%}; mode {found.mode}"
    )
    if found.guardrails:
        lines += ["", "guardrails in force"]
        for rail in found.guardrails:
            number = "" if rail.seq is None else f" (row {rail.seq}, {rail.author}: {rail.reason})"
            lines.append(
                f"  {rail.rule} {', '.join(rail.arms)}{number}: {'acted' if rail.acted else 'did not act'}"
            )
    return "\n".join(lines)
