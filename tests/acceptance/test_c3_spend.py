"""C3: a tenant's day of three times its cost is named the same day, with a month's forecast within a fifth."""

import numpy as np
import pytest

from llm_world import DAY, HOUR, MONDAY, folded, genai_packs, spans_frame
from tocsin.model.finding import Phase

pytestmark = pytest.mark.acceptance

TENANTS = ("acme", "globex", "initech")
DEAR = 9
USD = {"gpt-4o": (2.5e-6, 10e-6)}


def month(rng):
    """Calls of each day until the end of the month, most of them by day, with token counts as long-tailed as real ones."""
    days = {}
    for day in range(27):  # 5 to 31 October
        rows = []
        for tenant, calls in zip(TENANTS, (60, 40, 25), strict=True):
            weekend = 0.5 if day % 7 >= 5 else 1.0
            count = round(calls * weekend * (3 if (tenant, day) == ("acme", DEAR) else 1))
            for at in np.sort(24 * rng.beta(2.5, 2.5, count)):
                tokens = 20_000 * rng.lognormal(-0.3, 0.8), 2_000 * rng.lognormal(-0.3, 0.8)
                rows.append((MONDAY + day * DAY + int(at * HOUR), tenant, *map(round, tokens)))
        days[day] = sorted(rows)
    return days


def frames(rows):
    """An hour's calls as a frame: tokens alone, as a provider tells them."""
    hours = {}
    for end, tenant, tokens, answer in rows:
        said = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": answer, "tenant.id": tenant,
        }  # fmt: skip
        hours.setdefault(end // HOUR, []).append((end, said, {}))
    return [spans_frame(told) for told in hours.values()]


def usd(rows, tenant):
    into, out = USD["gpt-4o"]
    return sum(tokens * into + answer * out for _, of, tokens, answer in rows if of == tenant)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_c3_a_tenants_dear_day_is_named_the_same_day_with_a_forecast_within_a_fifth(seed):
    days = month(np.random.default_rng(seed))
    seen = [row for day in range(DEAR + 1) for row in days[day]]
    budget = {"name": "all", "usd_per_month": 1e6}
    found, _ = folded(frames(seen), genai_packs("spend-day", "spend-budget"), budgets=[budget])
    named = [(at, each) for at, each in found if each.phase is not Phase.CLOSE]
    assert named, "the dear day was not named"
    assert {dict(each.series.labels).get("tenant.id", "acme") for _, each in named} == {"acme"}
    at, first = named[0]
    begin = MONDAY + DEAR * DAY
    assert begin < at <= begin + DAY
    assert first.monitor == "spend-day"
    _, last = [(at, each) for at, each in named if dict(each.series.labels).get("tenant.id") == "acme"][-1]
    truth = usd([row for day in days.values() for row in day], "acme")
    assert last.evidence["month_forecast_usd"] == pytest.approx(truth, rel=0.2)
    assert last.evidence["month_ends"] == "2026-10-31"


def test_c3_a_budget_is_told_of_weeks_before_the_month_is_over():
    days = month(np.random.default_rng(4))
    whole = usd([row for day in days.values() for row in day], "acme")
    seen = [row for day in range(8) for row in days[day]]
    budgets = [
        {"name": "tight", "match": {"tenant": "acme"}, "usd_per_month": 0.8 * whole},
        {"name": "wide", "match": {"tenant": "acme"}, "usd_per_month": 1.5 * whole},
    ]
    found, _ = folded(frames(seen), genai_packs("spend-day", "spend-budget"), budgets=budgets)
    assert {each.evidence["budget"] for _, each in found} == {"tight"}
    at, first = found[0]
    assert at < MONDAY + 8 * DAY
    assert first.evidence["month_spent_usd"] < 0.8 * whole
