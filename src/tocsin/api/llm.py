"""Calls of language models: tokens, cost, latency, errors, retrieval and feedback by model, prompt version, customer, region or user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES
from tocsin.api.signals import From, LastSeconds, To
from tocsin.api.times import NS, span_ns
from tocsin.derive.sayings import verdicts
from tocsin.derive.votes import WORSE
from tocsin.model.codec import Json
from tocsin.model.times import time_to_json
from tocsin.store.llm_rows import MOST_GROUPS, OTHERS, By, CallsAsked

router = APIRouter(prefix="/api", tags=["llm"], responses=RESPONSES)
_SIX_HOURS_S = 6 * 3600
_DRAWN = 5
_STEPS_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_STEPS = 90
_COUNTS = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "estimated",
    "priced",
    "near_limit",
    "truncation_risk",
)
_MOST_FEEDBACK = 60
_VOTES = (-1.0, 0.0, 1.0)
_FOUND = ("documents", "similarity", "calls")
Row = Mapping[str, Any]
Name = Annotated[str, Query(max_length=2000)]


def chosen(
    *,
    model: Name = "",
    prompt_version: Name = "",
    customer: Annotated[str, Query(max_length=2000, description="the application's own tenant")] = "",
    service: Name = "",
    provider: Name = "",
    region: Name = "",
    user: Annotated[
        str, Query(max_length=2000, description="as it is stored: a pseudonym, if users are redacted")
    ] = "",
    session: Name = "",
) -> Mapping[str, str]:
    """What calls are chosen by: only those of which each value that is given is asked for."""
    given = {
        "model": model, "prompt_version": prompt_version, "customer": customer, "service": service,
        "provider": provider, "region": region, "user": user, "session": session,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value}


Chosen = Annotated[Mapping[str, str], Depends(chosen)]


@router.get("/llm", response_class=Document)
def llm(
    access: Reader,
    deps: DepsIn,
    *,
    by: By = "model",
    chosen: Chosen,
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _SIX_HOURS_S,
) -> Document:
    """Give what calls of models took, cost and brought, by group and over time, beside the time before."""
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    asked = CallsAsked(first, last, by, chosen)
    frame: Json = {"from": first / NS, "to": last / NS, "by": by}
    if deps.calls is None:
        return Document({**frame, "totals": None, "groups": [], "names": {}})
    calls, tenant = deps.calls, access.tenant
    groups = calls.groups(tenant, asked)
    drawn = [str(row["name"]) for row in groups[:_DRAWN]]
    step_ns = step_of(first, last) * NS
    before = calls.totals(tenant, asked.before())
    return Document(
        {
            **frame,
            "step_s": step_ns // NS,
            "totals": _measures(calls.totals(tenant, asked)),
            "before": _measures(before) if before["calls"] else None,
            "groups": [{"name": row["name"], **_measures(row)} for row in groups],
            "more": len(groups) >= MOST_GROUPS,
            "lines": _lines(calls.over_time(tenant, asked, drawn, step_ns), [*drawn, OTHERS], first, last, step_ns),
            "errors": [{**row, "last": time_to_json(row["last"])} for row in calls.errors(tenant, asked)],
            "retrieval": _retrieval(calls.retrieval(tenant, asked), calls.retrieval(tenant, asked.before())),
            "feedback": _feedback(
                *([*calls.feedback(tenant, at), *calls.judged(tenant, at)] for at in (asked, asked.before()))
            ),
            "names": calls.names(tenant, first, last),
        }
    )


def step_of(start: int, end: int) -> int:
    """Seconds of a step, so that a span of time in ns has at most about 90 of them.

    >>> step_of(0, 6 * 3600 * 10**9), step_of(0, 60 * 10**9)
    (300, 10)
    """
    return next(
        (step for step in _STEPS_S if (end - start) / NS / step <= _MOST_STEPS), -(-(end - start) // NS // _MOST_STEPS)
    )


def _measures(row: Row) -> Json:
    calls, timed, lasted = int(row["calls"]), int(row["timed"]), int(row["lasted"])
    return {
        **{name: row[name] for name in _COUNTS},
        "error_ratio": row["errors"] / calls if calls else None,
        "cost_usd": row["cost_usd"] if row["priced"] else None,
        "p50_s": row["latency"][0] if lasted else None,
        "p95_s": row["latency"][1] if lasted else None,
        "ttft_p50_s": row["ttft"][0] if timed else None,
        "ttft_p95_s": row["ttft"][1] if timed else None,
    }


_DRAWN_MEASURES = ("calls", "errors", "input_tokens", "output_tokens", "cost_usd", "p50_s", "p95_s", "ttft_p95_s")
_NOTHING_IS_ZERO = frozenset({"calls", "errors", "input_tokens", "output_tokens", "cost_usd"})


def _lines(rows: Iterable[Row], names: list[str], start: int, end: int, step_ns: int) -> list[Json]:
    """A line per group that has calls: a step without any is 0 where things are counted, nothing where they are timed."""
    found: dict[str, dict[int, Json]] = defaultdict(dict)
    for row in rows:
        found[str(row["name"])][int(row["at"])] = _measures(row)
    times = list(range(start, end, step_ns))
    lines: list[Json] = []
    for name in names:
        if name not in found:
            continue
        line: Json = {
            "name": "" if name == OTHERS else name,
            "others": name == OTHERS,
            "time": [at / NS for at in times],
        }
        for measure in _DRAWN_MEASURES:
            nothing = 0 if measure in _NOTHING_IS_ZERO else None
            line[measure] = [found[name][at][measure] if at in found[name] else nothing for at in times]
        lines.append(line)
    return lines


def _retrieval(rows: Iterable[Row], before: Iterable[Row]) -> list[Json]:
    """Retrievals by group, with what they found in the time before; None where there were none then."""
    was = {row["name"]: row for row in before}
    return [
        {
            **{name: row[name] for name in ("name", "calls", "errors", "counted", "documents", "empty", "similarity")},
            "p50_s": row["latency"][0],
            "p95_s": row["latency"][1],
            "before": {name: was[row["name"]][name] for name in _FOUND} if row["name"] in was else None,
        }
        for row in rows
    ]


def _feedback(rows: Iterable[Row], before: Iterable[Row]) -> list[Json]:
    """Numbers of feedback by group and name, of those said most; what no number can be read from is counted as text.

    Where all that was said are votes, `negative` counts those that are bad news: a yes to `hallucination` is.
    """
    found, was = _said(rows), _said(before)
    ranked = sorted(found.items(), key=lambda each: (-each[1].rows, each[0]))[:_MOST_FEEDBACK]
    return [
        {
            "name": group,
            "of": name,
            "answers": said.rows,
            "mean": said.mean,
            "before": was[group, name].mean if (group, name) in was else None,
            "negative": said.negative if said.told and said.told == said.votes else None,
        }
        for (group, name), said in sorted(ranked, key=lambda each: (each[0][1], -each[1].rows, each[0]))
    ]


@dataclass(slots=True)
class _Said:
    """What was said of the answers of a group by one name: how often, numbers among it, their sum, and votes."""

    rows: int = 0
    told: int = 0
    total: float = 0.0
    votes: int = 0
    negative: int = 0

    @property
    def mean(self) -> float | None:
        return self.total / self.told if self.told else None


def _said(rows: Iterable[Row]) -> dict[tuple[str, str], _Said]:
    found: dict[tuple[str, str], _Said] = defaultdict(_Said)
    for row in rows:
        n = int(row["rows"])
        numbers: dict[str, float | None] = {**verdicts(str(row["feedback"]))}
        for name, number in (numbers or {"(text)": None}).items():
            said = found[str(row["name"]), name[:200]]
            said.rows += n
            if number is not None:
                said.told += n
                said.total += number * n
                said.votes += n * (number in _VOTES)
                said.negative += n * ((number <= 0) != (name in WORSE))
    return found
