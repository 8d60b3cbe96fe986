"""The watching guardrails: breaker, comparison budgets; by hand, by law, and under ``verify``."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nyx_learning import Bandit, BanditSpec, Outcome, PolicySpec, Range, Strategy
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.bandit.events import GUARDRAIL, EventRow
from nyx_learning.bandit.guardrails import Breaker, Budget, Guardrails, Service
from nyx_learning.bandit.guardrails.comparison import Comparison
from nyx_learning.bandit.guardrails.sentry import Sentry
from nyx_learning.bandit.log import OtherRow, RewardRow
from nyx_learning.errors import DocumentInvalid, SpecInvalid


def spec_with(rails: Guardrails | None, policy: str = "uniform", **kwargs: Any) -> BanditSpec:
    return BanditSpec(
        "watched",
        [Strategy("a"), Strategy("b"), Strategy("c")],
        policy=PolicySpec(policy, floor=0.05),
        baseline_arm="a",
        guardrails=rails,
        seed=5,
        **kwargs,
    )


def row(
    seq: int, arm: str, at: float | None, *, success: bool, propensity: float = 0.5, **told: Any
) -> RewardRow:
    reward = 1.0 if success else 0.0
    outcome = {"success": success, **told}
    return RewardRow(
        "watched", seq, f"d-{seq}", arm, 0, "", (), propensity, int(reward * 65536), reward, outcome, {}, at
    )


def concluded(sentry: Sentry, rows: list[RewardRow]) -> list[tuple[int, str, dict[str, Any]]]:
    """What follows from rows, with an event's number between each conclusion and the next row."""
    found = []
    for given in rows:
        for event in sentry.absorb(given._replace(seq=sentry.seq + 1)):
            found.append((event.cause, event.subject, dict(event.consequence["guardrail"])))
            sentry.absorb(event.numbered(sentry.seq + 1))
    return found


def test_a_breaker_by_hand() -> None:
    """Three of four failed: out for 10 s; what was under way counts nothing; a failed probe; two good."""
    breaker = Breaker(window=4, failures=3, cooldown_s=10.0, probes=2, probe_share=0.1)
    sentry = Sentry(spec_with(Guardrails(breaker)))
    bad = [row(0, "b", 0.0, success=s) for s in (False, True, False)] + [row(0, "a", 0.5, success=False)] * 2
    assert concluded(sentry, bad) == []  # two of b's, two of a's
    assert concluded(sentry, [row(0, "b", 1.0, success=False)]) == [
        (6, "b", {"act": "trip", "until": 11.0, "share": 0.1})
    ]
    assert concluded(sentry, [row(0, "b", 10.9, success=s) for s in (False, True)]) == []
    assert concluded(sentry, [row(0, "b", 11.0, success=s) for s in (True, False)]) == [
        (11, "b", {"act": "trip", "until": 21.0, "share": 0.1})
    ]
    assert concluded(sentry, [row(0, "b", 21.0, success=True)] * 2) == [(14, "b", {"act": "close"})]
    assert concluded(sentry, [row(0, "b", 22.0, success=False)] * 2) == []  # begun anew


def test_a_limit_on_a_metric_is_a_failure_whatever_the_reward() -> None:
    sentry = Sentry(spec_with(Guardrails(Breaker(window=2, failures=2, limits={"cost": 0.5}))))
    assert concluded(sentry, [row(0, "c", 1.0, success=True, cost=c) for c in (0.6, 0.5, 0.7)]) == []
    found = concluded(sentry, [row(0, "c", 1.0, success=True, cost=0.8)])
    assert [(subject, does["act"]) for _, subject, does in found] == [("c", "trip")]


def test_the_pmf_of_an_open_and_of_a_half_open_breaker() -> None:
    """Open: as if not eligible. Half open: at most the probe's share, the rest in proportion."""
    bandit, plain = (Bandit(spec_with(None, "thompson_gaussian")) for _ in range(2))
    trip = {"guardrail": {"act": "trip", "until": 100.0, "share": 0.02}}
    event = EventRow("watched", 1, GUARDRAIL, "breaker", "b", 0, {}, trip, bandit.spec.spec_hash)
    bandit.learner.begin(event)
    plain.learner.sums.seq = 1
    for i in range(20):
        away = bandit.learner.decide({}, f"{i}", time=99.9)
        stated = plain.learner.decide({}, f"{i}", exclude=["b"], time=99.9)
        assert (away.pmf, away.arm, away.reason) == (stated.pmf, stated.arm, "guarded:breaker")
    probed = bandit.learner.decide({}, "x", time=100.0)
    free = plain.learner.decide({}, "x", time=100.0)
    assert probed.pmf[1] == round(0.02 * TOTAL)
    for i in (0, 2):
        assert abs(probed.pmf[i] - free.pmf[i] / (TOTAL - free.pmf[1]) * (TOTAL - probed.pmf[1])) <= 2
    assert probed.reason == "guarded:breaker"
    # Where nothing else is eligible, a tripped arm is better than none.
    assert bandit.learner.decide({}, "y", eligible=["b"], time=1.0).arm_id == "b"
    close = replace(event, seq=2, consequence={"guardrail": {"act": "close"}})
    bandit.learner.begin(close)
    assert bandit.learner.guards.idle


def test_a_pure_bandit_opens_probes_and_closes_and_verifies() -> None:
    rails = Guardrails(Breaker(window=5, failures=4, probe_share=0.1, probes=2))
    bandit = Bandit(spec_with(rails))
    shares = []
    for i in range(400):
        decision = bandit.select_arm({}, f"{i}")
        shares.append(decision.pmf[1] / TOTAL)
        broken = decision.arm_id == "b" and 50 <= i < 250
        bandit.update_reward(decision, Outcome(success=not broken))
    acts = [event.consequence["guardrail"]["act"] for event in bandit.events]
    assert acts[0] == "trip"
    assert acts[-1] == "close"
    assert min(shares[:50]) > 0.33
    assert max(shares[100:250]) == pytest.approx(0.1)
    assert shares[-1] > 0.33
    assert bandit.verify().ok
    again = Bandit.from_json(bandit.to_json())
    assert again.to_json() == bandit.to_json()
    assert again.select_arm({}, "next") == bandit.select_arm({}, "next")
    bandit.events[0] = replace(bandit.events[0], evidence={"failed": 5})
    assert "no monitor concludes" in str(bandit.verify().first_divergence)


def test_the_gain_is_unbiased_whatever_the_share_and_the_contexts() -> None:
    """E[D] = Σ_{a≠b} q_a (μ_a − μ_b), exactly, by enumeration of arms and rewards."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        s, p, mu, m = (
            rng.uniform(0.05, 0.95),
            rng.dirichlet([1, 1, 1]),
            rng.uniform(0, 1, 3),
            rng.uniform(0, 1),
        )
        q = s * p + (1 - s) * np.array([1, 0, 0])
        expected = sum(q[a] * (mu[a] - mu[0]) for a in (1, 2))
        d = 0.0
        for a in range(3):
            for r, chance in ((1.0, mu[a]), (0.0, 1 - mu[a])):
                weight = 1.0 if a else -(1 - q[0]) / q[0]
                d += q[a] * chance * weight * (r - m)
        assert d == pytest.approx(expected, abs=1e-12)


def played(service: Service, means: tuple[float, float], rows: int, seed: int, step: int = 0) -> list[int]:
    """Steps behind each row, of a learner that wants the other arm with probability .8; rewards 0 or 1."""
    rng, comparison = np.random.default_rng(seed), Comparison(service)
    comparison.step = step
    steps = []
    for _ in range(rows):
        other = comparison.share * 0.8
        chosen = bool(rng.random() < other)
        reward = float(rng.random() < means[chosen])
        comparison.add(reward, other if chosen else 1 - other, of_baseline=not chosen)
        steps.append(comparison.step)
    return steps


def test_a_learner_that_is_not_good_enough_is_let_up_as_seldom_as_is_said() -> None:
    """Error δ = .1 within 1,500 rewards each, at the boundary (worse by the tolerance): 100 runs."""
    service = Service(delta=0.1, tolerance=0.0)
    up = sum(max(played(service, (0.6, 0.6), 1500, seed)) > 0 for seed in range(100))
    assert up <= 20  # a binomial of 100 and .1 exceeds this with probability .0008


def test_a_better_learner_is_let_up_and_a_worse_one_comes_back() -> None:
    service = Service()
    ups = [played(service, (0.5, 0.9), 1500, seed) for seed in range(20)]
    assert all(steps[-1] == 1 for steps in ups)
    back = [played(service, (0.8, 0.4), 1500, seed, step=1) for seed in range(20)]
    assert all(steps[-1] == 0 for steps in back)


def test_a_learner_that_is_not_worse_comes_back_as_seldom_as_is_said() -> None:
    """1/back = 1,000 rewards between alarms at least, on average: 60,000 rewards, at the boundary."""
    service = Service(back=0.001, tolerance=0.0, delta=1e-9)
    alarms = sum(min(played(service, (0.6, 0.6), 1000, seed, step=1)) == 0 for seed in range(60))
    assert alarms <= 46  # P(alarm within 1,000) ≤ 1 − 1/e for a rate of 1/1,000; exceeded with p < .01


def test_the_service_mixes_until_the_learner_is_good_and_verifies() -> None:
    truth = {"a": 0.4, "b": 0.95, "c": 0.3}
    bandit = Bandit(spec_with(Guardrails(service=Service(shares=(0.3, 0.6, 0.9))), "thompson_beta"))
    rng, shares = np.random.default_rng(1), []
    for i in range(1200):
        decision = bandit.select_arm({}, f"{i}")
        shares.append(1 - decision.pmf[0] / TOTAL)
        bandit.update_reward(decision, reward=float(rng.random() < truth[decision.arm_id]))
    told = [event.consequence["guardrail"]["share"] for event in bandit.events]
    assert told == [0.6, 0.9]
    assert max(shares[:20]) <= 0.3
    assert shares[-1] > 0.8
    assert bandit.verify().ok
    assert Bandit.from_json(bandit.to_json()).to_json() == bandit.to_json()


def test_an_apprentice_takes_over_by_agreement() -> None:
    """A learner that would itself choose the baseline arm in .9 of decisions leaves the first step."""
    service, steps = Service(shares=(0.1, 0.9), agreement=0.7, delta=1e-9), []
    for agreeing in (0.9, 0.5):
        comparison, rng = Comparison(service), np.random.default_rng(2)
        for _ in range(200):
            other = 0.1 * (1 - agreeing)
            chosen = bool(rng.random() < other)
            comparison.add(0.7, other if chosen else 1 - other, of_baseline=not chosen)
        steps.append(comparison.step)
    assert steps == [1, 0]


def test_a_soft_budget_by_hand() -> None:
    """Limit 2 in windows of 100 s: reached by the third report; a new window begins at 100."""
    rails = Guardrails(budgets=(Budget("tokens", "tokens", 2.0, 100.0),))
    sentry = Sentry(spec_with(rails))
    rows = [
        row(0, arm, at, success=True, tokens=1)
        for arm, at in (("b", 1.0), ("a", 2.0), ("b", 3.0), ("c", 4.0))
    ]
    does = {"act": "spent", "arms": ["b", "c"], "until": 100.0}
    assert concluded(sentry, rows) == [(3, "tokens", does)]  # the baseline arm's are not counted
    assert concluded(sentry, [row(0, "c", 150.0, success=True, tokens=1)]) == []
    bandit = Bandit(spec_with(rails))
    event = EventRow("watched", 1, GUARDRAIL, "budget", "tokens", 0, {}, {"guardrail": does}, "")
    bandit.learner.begin(event)
    assert bandit.learner.decide({}, "x", time=99.0).pmf == (TOTAL, 0, 0)
    assert bandit.learner.decide({}, "x", time=100.0).pmf[1] > 0


def test_progress_is_a_cache_of_the_fold() -> None:
    rails = Guardrails(
        Breaker(window=6, failures=4, probes=2), Service(), (Budget("cost", "cost", 10.0, 1e3),)
    )
    spec = spec_with(rails)
    rng = np.random.default_rng(3)
    arms = ("a", "b", "c")
    rows = [
        row(
            i + 1,
            arms[rng.integers(3)],
            float(i),
            success=bool(rng.random() < 0.4),
            propensity=0.15,
            cost=0.1,
        )
        for i in range(400)
    ]
    whole = Sentry(spec)
    expected = [event for given in rows for event in whole.absorb(given)]
    again, found = Sentry(spec), []
    for i, given in enumerate(rows):
        if i % 37 == 0:
            again = Sentry.restored(spec, again.progress())
        found += again.absorb(given)
    assert found == expected
    assert len({event.monitor for event in found}) > 1
    assert again.progress() == whole.progress()
    with pytest.raises(DocumentInvalid):
        Sentry.restored(spec, {"seq": 3})
    assert again.absorb(OtherRow(401)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Breaker(window=0),
        lambda: Breaker(window=3, failures=4),
        lambda: Breaker(probe_share=1.5),
        lambda: Breaker(limits={"joy": 1.0}),
        lambda: Breaker(limits={"cost": -1.0}),
        lambda: Service(shares=(0.5,)),
        lambda: Service(shares=(0.5, 0.2)),
        lambda: Service(shares=(0.5, 1.0)),
        lambda: Service(delta=0.0),
        lambda: Service(agreement=2.0),
        lambda: Budget("", "cost"),
        lambda: Budget("x", "joy"),
        lambda: Budget("x", limit=float("nan")),
        lambda: Budget("x", window_s=0.0),
        Guardrails,
        lambda: Guardrails(budgets=(Budget("x"), Budget("x"))),
        lambda: Guardrails(Service()),  # type: ignore[arg-type]
        lambda: replace(spec_with(Guardrails(service=Service())), baseline_arm=None),
        lambda: BanditSpec(
            "s",
            [Strategy("a", {"x": Range(0, 1)}), Strategy("b")],
            baseline_arm="b",
            guardrails=Guardrails(service=Service()),
        ),
    ],
)
def test_settings_that_do_not_fit(wrong: Any) -> None:
    with pytest.raises(SpecInvalid, match="expected:"):
        wrong()


def test_a_spec_keeps_its_guardrails_and_specs_without_keep_their_hash() -> None:
    rails = Guardrails(Breaker(limits={"cost": 1}), Service(agreement=0.5), (Budget("x", hard=True),))
    spec = spec_with(rails)
    assert BanditSpec.from_dict(spec.to_dict()) == spec
    assert hash(spec.guardrails) == hash(BanditSpec.from_dict(spec.to_dict()).guardrails)
    assert "guardrails" not in spec_with(None).to_dict()
    assert spec.spec_hash != spec_with(None).spec_hash
    with pytest.raises(DocumentInvalid):
        Guardrails.from_dict({**rails.to_dict(), "breaker": {"window": 1, "joy": 2}})
