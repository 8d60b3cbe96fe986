"""Whether the learner is credibly at least as good as the baseline arm: a test that may be looked at always.

A decision is served by q = s·p + (1 − s)·[baseline b]. Of a reward r, with the logged propensity q_a of its
arm, and m the mean of the baseline arm's rewards before it,

    D = (r − m)·1{a ≠ b} − (r − m)·1{a = b}·(1 − q_b)/q_b,      E[D] = Σ_{a≠b} q_a (μ_a − μ_b):

what is gained in a decision over serving b, without bias in any context, whatever the share is, and whether
the policy learns meanwhile. (Both weights have mean 1 − q_b, so that m only takes variance away.) It is s
times what the learner itself, p, is better than b: so the tolerance, which is about the learner, counts s
times too.

*Up* a step: Π(1 + λ(D + s·tolerance)), mixed over λ, is a supermartingale while the learner is worse by more
than the tolerance: by Ville's inequality it ever reaches 1/δ with probability ≤ δ. |D| is at most
max(1, s/(1 − s)) at this share s; what was decided at another share is clipped to that. *Back* a step: the
same of −(D + s·tolerance), begun anew at each reward (an e-detector): while the learner is not worse, 1/back
rewards lie between two alarms at least, on average. The two tests are the hysteresis.

Where the baseline arm was served for certain (a kill switch, a shadow, a pin, a request of one arm), D is 0
whatever the learner is worth: such rows say nothing, and do not count.

What it does not know: rewards are taken to come in an order that does not depend on their values; rows of a
request for which the baseline arm was not eligible count as gains, where their propensity is at most s.

References
----------
Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, JRSS-B; Shin, Ramdas &
Rinaldo (2024), E-detectors, NEJSDS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .settings import Service

__all__ = ["Comparison"]

_BETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


class Comparison:
    """The steps of a service, fed with rewards in the order of the sequence."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._count, self._total = 0, 0.0
        self.step = 0
        self._begin()

    @property
    def share(self) -> float:
        """Share of the learner's service at the present step."""
        return self._service.shares[self.step]

    def add(self, reward: float, propensity: float, *, of_baseline: bool) -> dict[str, Any] | None:
        """Take a reward in; returns the evidence where a step is taken, up or back.

        ``propensity`` : of its arm, in the learner's cohort; 0 for a row that the policy did not serve, which
        says nothing, as 1 does.
        """
        found = None
        if 0.0 < propensity < 1.0 and (of_baseline or propensity <= self.share + 1e-9):
            found = self._judged(reward, propensity, of_baseline)
        if of_baseline:
            self._count += 1
            self._total += reward
        return found

    def to_dict(self) -> dict[str, Any]:
        """All that is needed to go on, as plain JSON."""
        return {
            "step": self.step,
            "count": self._count,
            "total": self._total,
            "rows": self._rows,
            "gained": self._gained,
            "up": list(self._up),
            "down": list(self._down),
            "agreed": self._agreed,
            "earned": self._earned,
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """Go on from what ``to_dict`` wrote."""
        self.step, self._count, self._total = document["step"], document["count"], document["total"]
        self._rows, self._gained = document["rows"], document["gained"]
        self._up, self._down = list(document["up"]), list(document["down"])
        self._agreed, self._earned = document["agreed"], document["earned"]

    def _begin(self) -> None:
        self._rows, self._gained = 0, 0.0
        self._up, self._down = [1.0] * len(_BETS), [1.0] * len(_BETS)
        self._agreed = self._earned = 0.0

    def _judged(self, reward: float, propensity: float, of_baseline: bool) -> dict[str, Any] | None:
        service, share = self._service, self.share
        mean = self._total / self._count if self._count else 0.5
        weight = -(1.0 - propensity) / propensity if of_baseline else 1.0
        bound = max(1.0, share / (1.0 - share))
        gain = weight * (reward - mean)
        allowance = share * service.tolerance
        gain = max(-bound, min(bound, gain)) + allowance
        most = bound + allowance
        self._rows += 1
        self._gained += gain - allowance
        for i, bet in enumerate(_BETS):
            self._up[i] *= 1.0 + bet / bound * gain
            self._down[i] = max(self._down[i], 1.0) * (1.0 - bet / most * gain)
        if of_baseline:
            own = max(0.0, (propensity - 1.0 + share) / share)
            self._agreed += own / propensity * reward
            self._earned += reward / propensity
        if self._rows < service.rows:
            return None
        return self._stepped(sum(self._up) / len(_BETS), sum(self._down) / len(_BETS))

    def _stepped(self, up: float, down: float) -> dict[str, Any] | None:
        service = self._service
        rows, gain = self._rows, self._gained / self._rows
        agreed = self._agreed / self._earned if self._earned > 0.0 else 0.0
        matched = self.step == 0 and service.agreement is not None and agreed >= service.agreement
        if self.step + 1 < len(service.shares) and (up >= 1.0 / service.delta or matched):
            self.step += 1
        elif self.step > 0 and down >= 1.0 / service.back:
            self.step -= 1
        else:
            return None
        self._begin()
        return {"rows": rows, "gain": gain, "up": up, "down": down, "agreement": agreed}
