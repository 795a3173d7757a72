"""Calls of models in the small world: two models, two versions of a prompt, errors, feedback and retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.world import HOSTILE, NOW
from tocsin.spec.spend import BudgetSpec
from tocsin.store.llm_rows import COLUMNS, OTHERS, CallsAsked

Row = Mapping[str, Any]
NAMES: dict[str, list[str]] = {
    "model": ["llama-3.1-70b", "gpt-5-mini", HOSTILE, *(f"m{k}" for k in range(5))],
    "prompt_version": ["answer-v7", "answer-v6", ""],
    "customer": ["acme", HOSTILE],
    "service": ["support-bot"],
    "provider": ["vllm", "openai"],
    "region": ["eu-west-1"],
    "user": ["anna", HOSTILE],
    "session": ["s-1"],
}


def measures(calls: int, size: float = 1.0) -> dict[str, Any]:
    """Measures of so many calls."""
    return {
        "calls": calls, "errors": calls // 40, "input_tokens": round(calls * 1450 * size), "output_tokens": calls * 210,
        "cache_read_tokens": calls * 100, "estimated": 0, "cost_usd": calls * 0.0041 * size, "priced": calls, "lasted": calls, "timed": calls,
        "latency": [0.84 * size, 1.9 * size], "ttft": [0.31 * size, 0.62 * size], "near_limit": calls // 100, "truncation_risk": 0,
    }  # fmt: skip


class FakeCalls:
    """Calls of models of this world."""

    def __init__(self, *, full: bool) -> None:
        self.full = full

    def _names(self, asked: CallsAsked) -> list[str]:
        chosen = asked.where.get(asked.by)
        return [name for name in NAMES[asked.by] if chosen in (None, name)] if self.full else []

    def totals(self, tenant: str, asked: CallsAsked) -> Row:
        return measures(4200 if self.full and self._names(asked) else 0, 1.0 if asked.end < NOW else 2.4)

    def groups(self, tenant: str, asked: CallsAsked) -> Sequence[Row]:
        unpriced = {"cost_usd": 0, "priced": 0, "timed": 0}
        rows = [{"name": name, **measures(3000 // (k + 1), 1 + k)} for k, name in enumerate(self._names(asked))]
        return [{**row, **unpriced} if row["name"] == HOSTILE else row for row in rows]

    def over_time(self, tenant: str, asked: CallsAsked, names: Sequence[str], step_ns: int) -> Sequence[Row]:
        steps = range(asked.start, asked.end, step_ns)
        return [
            {
                "name": name,
                "at": at,
                **measures(30 + 10 * k + i % 7, 2.6 if k == 0 and at > NOW - 2400 * 10**9 else 1.0),
            }
            for i, at in enumerate(steps)
            for k, name in enumerate([*names, OTHERS])
            if self.full and not (k == 1 and 20 < i < 26)
        ]

    def errors(self, tenant: str, asked: CallsAsked) -> Sequence[Row]:
        rows = [("llama-3.1-70b", "rate_limit", 61), ("gpt-5-mini", "timeout", 22), (HOSTILE, "context_overflow", 3)]
        return [{"name": name, "error_class": kind, "calls": n, "last": NOW} for name, kind, n in rows if self.full]

    def spent(self, tenant: str, asked: CallsAsked, match: Mapping[str, str] | None = None) -> Sequence[Row]:
        """More by day than by night, since 40 days; a third of it of acme."""
        if not self.full or not all(value in NAMES[name] for name, value in asked.where.items()):
            return []
        hour = 3600 * 10**9
        part = 1 / 3 if match else 1.0
        hours = range(max(asked.start, NOW - 40 * 24 * hour) // hour * hour, min(asked.end, NOW), hour)
        return [
            {"at": at, "usd": part * (1.4 if 7 <= at // hour % 24 < 19 else 0.3), "calls": 60, "priced": 58}
            for at in hours
        ]

    def budgets(self) -> Sequence[BudgetSpec]:
        """One that will be passed, one that is not."""
        if not self.full:
            return []
        acme = BudgetSpec(name="acme", match={"tenant": "acme"}, usd_per_month=150)
        return [acme, BudgetSpec(name="all-of-it", usd_per_month=2000)]

    def retrieval(self, tenant: str, asked: CallsAsked) -> Sequence[Row]:
        row = {
            "name": "support-bot" if asked.by == "service" else "llama-3.1-70b" if asked.by == "model" else "answer-v7",
            "calls": 900,
            "errors": 4,
            "latency": [0.1, 0.3],
            "counted": 900,
            "documents": 4.2,
        }
        return [{**row, "empty": 12, "similarity": 0.55 if asked.end >= NOW else 0.82}] if self.full else []

    def feedback(self, tenant: str, asked: CallsAsked) -> Sequence[Row]:
        down = 40 if asked.end >= NOW else 20
        rows = [
            ("answer-v7", '{"thumb": "down"}', down),
            ("answer-v7", '{"thumb": "up"}', 100 - down),
            ("", f'"{"so " * 5}"', 3),
        ]
        return [{"name": name, "feedback": text, "rows": n} for name, text, n in rows if self.full]

    def judged(self, tenant: str, asked: CallsAsked) -> Sequence[Row]:
        rows = [("answer-v7", '{"faithfulness": 0.875}', 16)]
        if asked.end >= NOW:
            rows = [("answer-v7", '{"faithfulness": 0.75}', 12), ("answer-v7", '{"faithfulness": 0.25}', 4)]
            rows += [("answer-v7", '{"hallucination": 1}', 4), ("answer-v7", '{"hallucination": 0}', 12)]
        return [{"name": name, "feedback": text, "rows": n} for name, text, n in rows if self.full]

    def names(self, tenant: str, start: int, end: int) -> Mapping[str, Sequence[str]]:
        return {name: [each for each in NAMES[name] if each] if self.full else [] for name in COLUMNS}
