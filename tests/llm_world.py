"""Made-up and recorded traffic of calls of models, as the fold sees it: for tests of what watches calls."""

import numpy as np

from tocsin.derive.calls import Call
from tocsin.engine.call_watch import CallWatch
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

S = 1_000_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
SOURCE = ("main", "otlp/bot")
MONDAY = 1_791_158_400 * S
"""Midnight of Monday, 5 October 2026, UTC."""
TEXTS = (
    "trace", "span", "parent", "service", "operation", "agent", "run", "session", "user", "customer", "provider", "model",
    "answered", "prompt", "version", "tool", "arguments", "finish", "refusal", "prompt_said", "said", "fingerprint",
    "canary",
)  # fmt: skip


def call(time, number=0, **said):
    """A call of a model; all that is not told is as usual or empty."""
    usual = {
        "span": f"{number:016x}", "service": "bot", "operation": "chat", "provider": "openai", "model": "gpt-4o",
        "finish": "stop", "refusal": "0", "failed": False, "counted": True, "start": time - S,
        "input_tokens": 500.0, "output_tokens": 100.0, "cost_usd": 0.01,
    }  # fmt: skip
    return Call(**{**dict.fromkeys(TEXTS, ""), **usual, "time": time, **said})


def watching(**changes):
    """A watch under the shipped packs."""
    watch = CallWatch()
    watch.adopt(EngineSpec(packs=[pack for pack in load_packs() if pack.name.startswith("genai")], **changes))
    return watch


def followed(watch, calls, votes=(), *, every=MINUTE, until=0):
    """All findings of a watch that is given calls and votes minute by minute, with the changes it saw."""
    calls, votes = sorted(calls), sorted(votes)
    found, changes = [], []
    times = [each.time for each in (*calls, *votes)]
    now, end = (min(times) // every + 1) * every, max(*times, until) + every
    one = two = 0
    while now <= end:
        first, second = one, two
        while one < len(calls) and calls[one].time <= now:
            one += 1
        while two < len(votes) and votes[two].time <= now:
            two += 1
        watch.release(SOURCE, calls[first:one], votes[second:two])
        found += [(now, each) for each in watch.close(now)]
        changes += watch.changes()
        now += every
    return found, changes


def daily(rng, day, *, n=288, usd=0.05, factor=1.0, number=0, **said):
    """Calls of one day, most of them by day, whose costs vary as those of real prompts do."""
    hours = np.sort(24 * rng.beta(2.5, 2.5, n))
    costs = usd * factor * rng.lognormal(-0.32, 0.8, n)
    return [
        call(MONDAY + day * DAY + int(h * HOUR), number + day * n + k, cost_usd=float(c), **said)
        for k, (h, c) in enumerate(zip(hours, costs, strict=True))
    ]
