"""What calls of models cost by hour, day and week, what the month will come to, and how budgets fare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import APIRouter

from tocsin.api.access import DepsIn, Reader
from tocsin.api.llm import Chosen
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES
from tocsin.api.times import NS
from tocsin.assess.spend import DAY_NS, HOUR_NS, Forecast, Spend
from tocsin.model.codec import Json
from tocsin.spec.spend import BudgetSpec
from tocsin.store.llm_rows import CallsAsked

router = APIRouter(prefix="/api", tags=["llm"], responses=RESPONSES)
HOURS: Final = 48
DAYS: Final = 35
WEEKS: Final = 8
MOST_BUDGETS: Final = 20
"""Budgets that are told of; each is a question of its own."""
_LEAST_DAYS: Final = 3
_WEEK_NS: Final = 7 * DAY_NS
_MONDAY_NS: Final = 4 * DAY_NS
"""The first Monday of 1970."""
Row = Mapping[str, Any]


@router.get("/llm/spend", response_class=Document)
def llm_spend(
    access: Reader,
    deps: DepsIn,
    chosen: Chosen,
) -> Document:
    """Give the cost of calls by hour, day and week in UTC, the forecast of the month, and the budgets."""
    if deps.calls is None:
        return Document({"days": None, "budgets": []})
    calls, now, tenant = deps.calls, deps.clock.now(), access.tenant
    monday = (now - _MONDAY_NS) // _WEEK_NS * _WEEK_NS + _MONDAY_NS
    start = min(monday - (WEEKS - 1) * _WEEK_NS, now // DAY_NS * DAY_NS - (DAYS - 1) * DAY_NS)
    asked = CallsAsked(start, now + 1, where=chosen)
    rows = calls.spent(tenant, asked)
    spend = _of(rows)
    of_budgets = CallsAsked(start, now + 1)
    return Document(
        {
            "hours": _steps(rows, now // HOUR_NS * HOUR_NS - (HOURS - 1) * HOUR_NS, HOUR_NS, now),
            "days": _steps(rows, now // DAY_NS * DAY_NS - (DAYS - 1) * DAY_NS, DAY_NS, now),
            "weeks": _steps(rows, monday - (WEEKS - 1) * _WEEK_NS, _WEEK_NS, now),
            "calls": sum(int(row["calls"]) for row in rows),
            "unpriced": sum(int(row["calls"]) - int(row["priced"]) for row in rows),
            "today_usd": spend.day_usd(now // DAY_NS),
            "usual_day_usd": spend.usual_day_usd(now // DAY_NS) or None,
            "month": _month(spend.forecast(now)) if rows else None,
            "budgets": [
                _budget(each, _of(calls.spent(tenant, of_budgets, each.match)).forecast(now))
                for each in calls.budgets()[:MOST_BUDGETS]
            ],
        }
    )


def _of(rows: Iterable[Row]) -> Spend:
    found = Spend()
    for row in rows:
        found.add(int(row["at"]), float(row["usd"]))
    return found


def _steps(rows: Iterable[Row], start: int, step_ns: int, now: int) -> Json:
    """Cost by steps of one length from `start` to now, times in seconds."""
    usd = dict.fromkeys(range(start, now + 1, step_ns), 0.0)
    for row in rows:
        if int(row["at"]) >= start:
            usd[start + (int(row["at"]) - start) // step_ns * step_ns] += float(row["usd"])
    return {"time": [at / NS for at in usd], "usd": [round(each, 6) for each in usd.values()]}


def _month(forecast: Forecast) -> Json:
    """The forecast of a month; before some whole days are known nothing is foretold."""
    known = forecast.days_known >= _LEAST_DAYS
    return {
        "spent_usd": forecast.spent_usd,
        "forecast_usd": forecast.month_usd if known else None,
        "lasting_usd": forecast.lasting_usd if known else None,
        "days_known": forecast.days_known,
        "ends": forecast.ends,
    }


def _budget(budget: BudgetSpec, forecast: Forecast) -> Json:
    told = _month(forecast)
    foretold = told["forecast_usd"]
    over = forecast.spent_usd > budget.usd_per_month
    passes = foretold is not None and foretold > budget.usd_per_month
    return {
        "name": budget.name,
        "match": dict(budget.match),
        "usd_per_month": budget.usd_per_month,
        "state": "over" if over else "will pass" if passes else "within" if foretold is not None else "not known yet",
        **told,
    }
