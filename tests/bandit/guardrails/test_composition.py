"""All rules together against one independent statement of them, in exact fractions."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.bandit.events import GUARDRAIL, EventRow
from nyx_learning.bandit.guardrails import Guardrails, Service

WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}
ARMS = ("a", "b", "c", "d", "e")
BASELINE, NOW, KNOWN = 0, 50.0, 8
SHARE = 0.25


@dataclass(frozen=True)
class Ordered:
    """What is in force; arms by position. ``open``, ``half``: breakers."""

    barred: frozenset[int]
    pinned: frozenset[int]
    open: frozenset[int]
    half: frozenset[int]
    spent: bool
    limits: dict[int, float]
    ramp_rows: int | None
    service: bool


@st.composite
def ordered(draw: st.DrawFn) -> Ordered:
    others = st.integers(1, 4)
    barred = draw(st.frozensets(others, max_size=2))
    pinned = draw(st.one_of(st.just(frozenset[int]()), st.frozensets(others, min_size=1, max_size=3)))
    tripped = draw(st.frozensets(others, max_size=3))
    opened = frozenset(i for i in tripped if draw(st.booleans()))
    limits = {
        i: draw(st.sampled_from([0.0, 0.02, 0.1, 0.3])) for i in draw(st.frozensets(others, max_size=2))
    }
    return Ordered(
        barred,
        frozenset() if pinned <= barred else pinned,
        opened,
        tripped - opened,
        draw(st.booleans()) and draw(st.booleans()),
        limits,
        draw(st.sampled_from([None, 4, 20])),
        draw(st.booleans()),
    )


def bandit_of(told: Ordered | None) -> Bandit:
    """Under these rules; None for the same without any."""
    service = told is not None and told.service
    rails = Guardrails(service=Service(shares=(SHARE, 0.9))) if service else None
    policy = PolicySpec("thompson_gaussian", floor=0.05)
    spec = BanditSpec(
        "composed", [Strategy(n) for n in ARMS], policy=policy, baseline_arm="a", seed=2, guardrails=rails
    )
    bandit = Bandit(spec)
    bandit.learn_history([({}, ARMS[i % 5], 0.5 - 0.02 * (i % 5)) for i in range(5 * KNOWN)])
    if told is None:
        return bandit
    if told.barred:
        bandit.override("exclude", [ARMS[i] for i in sorted(told.barred)], **WHO)
    if told.pinned:
        bandit.override("pin", [ARMS[i] for i in sorted(told.pinned)], **WHO)
    for i, share in told.limits.items():
        bandit.override("cap", ARMS[i], share=share, **WHO)
    if told.ramp_rows is not None:
        bandit.override("ramp", "e", share=0.1, rows=told.ramp_rows, **WHO)
    acts = [("breaker", ARMS[i], {"act": "trip", "until": NOW + 9, "share": 0.05}) for i in sorted(told.open)]
    acts += [("breaker", ARMS[i], {"act": "trip", "until": NOW, "share": 0.05}) for i in sorted(told.half)]
    if told.spent:
        acts.append(("budget", "dear", {"act": "spent", "arms": list(ARMS[1:]), "until": NOW + 1}))
    for monitor, subject, does in acts:
        seq = bandit.learner.sums.seq + 1
        bandit.learner.begin(
            EventRow("composed", seq, GUARDRAIL, monitor, subject, 0, {}, {"guardrail": does}, spec.spec_hash)
        )
    return bandit


def stated(told: Ordered, plain: Bandit, key: str) -> list[Fraction]:
    """The pmf that the rules ask for: narrowed, filled up to the limits, mixed."""
    kept = set(range(5)) - told.barred
    if kept & told.pinned:
        kept &= told.pinned
    else:
        out = told.open | (set(range(1, 5)) if told.spent else set())
        kept = (kept - out) or kept
    p = plain.learner.decide({}, key, eligible=[ARMS[i] for i in sorted(kept)], time=NOW).pmf
    q = [Fraction(mass, TOTAL) for mass in p]
    if len(kept) == 1:
        return q
    limit = {i: Fraction(1) for i in kept}
    for i, share in told.limits.items():
        limit[i] = min(limit.get(i, Fraction(1)), Fraction(share))
    for i in told.half:
        limit[i] = min(limit.get(i, Fraction(1)), Fraction(0.05))
    if told.ramp_rows is not None and told.ramp_rows > KNOWN:
        limit[4] = min(limit.get(4, Fraction(1)), Fraction(0.1) + Fraction(0.9) * KNOWN / told.ramp_rows)
    free = [i for i in kept if limit[i] == 1]
    if not free:
        return []  # somebody must be served: ``test_acting`` says who
    # Water is poured: q_i = min(limit_i, c·p_i), with the one c at which the masses sum to 1.
    full = set[int]()
    while True:
        c = Fraction(1 - sum(limit[i] for i in full)) / (1 - sum(q[i] for i in full))
        more = {i for i in kept - full if c * q[i] > limit[i]}
        if not more:
            break
        full |= more
    q = [limit[i] if i in full else c * q[i] for i in range(5)]
    if told.service and BASELINE in kept:
        q = [Fraction(SHARE) * m + (1 - Fraction(SHARE)) * int(i == BASELINE) for i, m in enumerate(q)]
    return q


PLAIN = bandit_of(None)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(ordered())
def test_what_rules_make_of_a_pmf_together(told: Ordered) -> None:
    bandit = bandit_of(told)
    decision = bandit.learner.decide({}, "id", time=NOW)
    assert sum(decision.pmf) == TOTAL
    expected = stated(told, PLAIN, "id")
    if not expected:
        return
    for mass, wanted in zip(decision.pmf, expected, strict=True):
        assert abs(mass - wanted * TOTAL) <= 16
    changed = any(
        abs(m - p) > 16 for m, p in zip(decision.pmf, PLAIN.learner.decide({}, "id").pmf, strict=True)
    )
    assert not changed or decision.reason.startswith("guarded:") or decision.reason == "only_arm"
