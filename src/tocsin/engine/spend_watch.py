"""`SpendWatch`: what calls cost by service, tenant, user, session and model; days beyond all others, and budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tocsin.assess.heavy_hitters import OTHER, HeavyHitters
from tocsin.assess.spend import DAY_NS, Spend, evidence_of
from tocsin.derive.calls import Call
from tocsin.engine.call_episodes import Episodes
from tocsin.model.series import Series, Signal
from tocsin.model.text import one_line
from tocsin.spec.spend import BudgetSpec

DAY: Final = Signal("gen_ai.spend.day_ratio", "1")
BUDGET: Final = Signal("gen_ai.spend.budget_ratio", "1")
HOUR: Final = Signal("gen_ai.spend.hour", "USD")
DIMENSIONS: Final = {
    "service": "service.name",
    "tenant": "tenant.id",
    "user": "user.id",
    "session": "session.id",
    "model": "gen_ai.request.model",
    "prompt_version": "prompt.version",
}
"""Dimensions whose spending is kept by hour, and the labels that name their values."""
JUDGED: Final = ("service", "tenant")
"""Those whose days are judged: a day of a single user is too uneven."""
HELD: Final = 100
"""Values of a dimension that are followed, the most expensive ones; the others together are `(other)`."""
TOLD: Final = 20
"""Values of a dimension whose hours become points."""
MOST_TENANTS: Final = 100
EVERY_NS: Final = 10 * 60 * 10**9
LEAST_USD: Final = 1.0
_ABOVE_HIGHEST: Final = 1.5
_DEVIATES: Final = 4.0
_LEAST_SHARE: Final = 0.25
"""A day is judged once it has cost a quarter of a usual one."""
_CALM_SHARE: Final = 0.95
_LEAST_DAYS: Final = 3
_Key = tuple[str, str]
"""Tenant of this server, and dimension or budget."""


class SpendWatch:
    """Pure: what it says depends on the calls and the spec alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._budgets: Sequence[BudgetSpec] = ()
        self._spends: dict[_Key, dict[str, Spend]] = {}
        self._hitters: dict[_Key, HeavyHitters] = {}
        self._of_budgets: dict[_Key, Spend] = {}
        self._judged = 0
        self._now: dict[str, int] = {}

    def adopt(self, budgets: Sequence[BudgetSpec]) -> None:
        """Put budgets into force; one that changed keeps what it knows while it matches the same calls."""
        before = {each.name: each.match for each in self._budgets}
        self._budgets = budgets
        kept = {each.name for each in budgets if each.match == before.get(each.name, each.match)}
        self._of_budgets = {key: spend for key, spend in self._of_budgets.items() if key[1] in kept}

    def take(self, tenant: str, call: Call) -> None:
        """Take the cost of a call in."""
        if not call.cost_usd > 0 or not call.counted:
            return
        if tenant not in self._now and len(self._now) >= MOST_TENANTS:
            return
        self._now[tenant] = max(self._now.get(tenant, 0), call.time)
        told = dimensions(call)
        for dimension in DIMENSIONS:
            if told[dimension]:
                self._add((tenant, dimension), told[dimension], call)
        for budget in self._budgets:
            if budget.covers(told):
                self._of_budgets.setdefault((tenant, budget.name), Spend()).add(call.time, call.cost_usd)

    def _add(self, of: _Key, name: str, call: Call) -> None:
        hitters = self._hitters.setdefault(of, HeavyHitters(HELD))
        hitters.add({name: max(round(call.cost_usd * 1e6), 1)})
        spends = self._spends.setdefault(of, {})
        spends.setdefault(hitters.label(name), Spend()).add(call.time, call.cost_usd)
        if len(spends) > HELD + 1:  # beside (other)
            for each in [each for each in spends if each != OTHER and each not in hitters.counts]:
                spends.setdefault(OTHER, Spend()).merge(spends.pop(each))

    def judge(self, received: int) -> None:
        """Judge days and budgets, every ten minutes."""
        if received // EVERY_NS == self._judged:
            return
        self._judged = received // EVERY_NS
        for (tenant, dimension), spends in self._spends.items():
            for name, spend in spends.items() if dimension in JUDGED else ():
                if name != OTHER:
                    self._judge_day(tenant, {DIMENSIONS[dimension]: name}, name, spend)
        for budget in self._budgets:
            for (tenant, name), spend in self._of_budgets.items():
                if name == budget.name:
                    self._judge_budget(tenant, budget, spend)

    def _judge_day(self, tenant: str, labels: Mapping[str, str], name: str, spend: Spend) -> None:
        now = self._now[tenant]
        day = spend.compared(now)
        limit = self._episodes.limit(DAY.name)
        if day is None or day.ratio <= (1 + limit) / 2:
            return
        usual_day = spend.usual_day_usd(now // DAY_NS)
        least = max(LEAST_USD, _LEAST_SHARE * usual_day, _ABOVE_HIGHEST * spend.highest_until(now))
        strange = day.ratio > limit and day.deviates >= _DEVIATES and day.spent_usd >= least
        if not strange and not self._episodes.holds(tenant, DAY, labels):
            return
        evidence: dict[str, float | str] = {
            "deviation": f"{day.ratio:.1f} times the usual: {day.spent_usd:,.2f} USD today, usually "
            f"{day.usual_usd:,.2f} USD by now",
            "spender": one_line(name, 80),
            "day_usd": round(day.spent_usd, 4),
            "usual_usd": round(day.usual_usd, 4),
            "usual_day_usd": round(usual_day, 4),
            **evidence_of(spend.forecast(now)),
        }
        self._episodes.tell(tenant, DAY, labels, now, day.ratio, evidence)

    def _judge_budget(self, tenant: str, budget: BudgetSpec, spend: Spend) -> None:
        now = self._now[tenant]
        forecast = spend.forecast(now)
        over = forecast.spent_usd > budget.usd_per_month
        ratio = max(forecast.month_usd, forecast.spent_usd) / budget.usd_per_month
        labels = {"budget": budget.name}
        if ratio < _CALM_SHARE * self._episodes.limit(BUDGET.name):
            self._episodes.calm(tenant, BUDGET, labels, now)
        if ratio <= self._episodes.limit(BUDGET.name) or not (over or forecast.days_known >= _LEAST_DAYS):
            return
        evidence: dict[str, float | str] = {
            "deviation": f"{'spent' if over else 'forecast to be passed'}: {forecast.spent_usd:,.2f} of "
            f"{budget.usd_per_month:,.2f} USD so far, {forecast.month_usd:,.2f} USD by {forecast.ends}",
            "budget": budget.name,
            "budget_usd": budget.usd_per_month,
            **evidence_of(forecast),
        }
        self._episodes.tell(tenant, BUDGET, labels, now, ratio, evidence)

    def hours(self, begun_ns: int) -> Iterator[tuple[Series, float]]:
        """What was spent in the hour that began at a time, by series: the most expensive values of each dimension."""
        for (tenant, dimension), spends in self._spends.items():
            found = [(spend.hour_usd(begun_ns), name) for name, spend in spends.items()]
            held = [(usd, name) for usd, name in found if usd > 0 and name != OTHER]
            ordered = sorted(held, key=lambda each: (-each[0], each[1]))
            rest = math.fsum(usd for usd, name in found if name == OTHER) + math.fsum(usd for usd, _ in ordered[TOLD:])
            for usd, name in [*ordered[:TOLD], *([(rest, OTHER)] if rest else [])]:
                labels = {"by": dimension, DIMENSIONS[dimension]: name}
                yield Series.of(tenant, HOUR, labels), usd

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "spends": [
                [*key, name, spend.snapshot()] for key, spends in self._spends.items() for name, spend in spends.items()
            ],
            "hitters": [[*key, dict(h.counts), h.lost, h.total] for key, h in self._hitters.items()],
            "budgets": [[*key, spend.snapshot()] for key, spend in self._of_budgets.items()],
            "judged": self._judged,
            "now": dict(self._now),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back, under the budgets in force."""
        self._spends = {}
        for tenant, dimension, name, told in state["spends"]:
            self._spends.setdefault((tenant, dimension), {})[name] = Spend.of(told)
        self._hitters = {
            (tenant, dimension): HeavyHitters(HELD, dict(counts), lost, total)
            for tenant, dimension, counts, lost, total in state["hitters"]
        }
        self._of_budgets = {(tenant, name): Spend.of(told) for tenant, name, told in state["budgets"]}
        self._judged, self._now = state["judged"], dict(state["now"])


def dimensions(call: Call) -> dict[str, str]:
    """What a call's cost can be counted by."""
    return {
        "service": call.service,
        "tenant": call.customer,
        "user": call.user,
        "session": call.session,
        "model": call.model or call.answered,
        "provider": call.provider,
        "prompt": call.prompt,
        "prompt_version": call.version,
    }
