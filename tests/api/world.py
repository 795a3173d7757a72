"""The story of this world: a prompt change, its incident, and others, with a hostile text in every place."""

from __future__ import annotations

import math
from dataclasses import replace

from tocsin.api.ports import Line
from tocsin.incident.severity import weighed
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.incident import Cause, Change, Incident, IncidentState, Severity, incident_id
from tocsin.model.series import Kind, Series, Signal
from tocsin.model.toll import Spent, Toll
from tocsin.spec.loss import LossSpec

NS = 1_000_000_000
NOW = 1_795_275_000 * NS  # 2026-11-21 14:30 UTC
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> ${7*7} \u202e'

SHAPES: dict[str, tuple[str, float, float, str]] = {
    # name: unit, level, rise in the story, service
    "gen_ai.client.operation.duration": ("s", 0.84, 1.9, "support-bot"),
    "gen_ai.usage.input_tokens": ("{token}", 1450.0, 4100.0, "support-bot"),
    "vllm:kv_cache_usage_perc": ("1", 0.46, 0.47, "vllm"),
    "DCGM_FI_DEV_FB_USED": ("MiBy", 41_200.0, 21_800.0, "gpu-node-2"),
    "vllm:num_requests_waiting": ("1", 1.2, 19.0, "vllm"),
    "system.memory.usage": ("By", 9.1e9, 0.4e9, "gpu-node-2"),
    "http.server.request.duration": ("s", 0.045, 0.0, "web"),
    "network.io": ("By/s", 3.4e6, 0.0, "web"),
}


def series_of(name: str) -> Series:
    """The series of a signal in this world."""
    unit, _, _, service = SHAPES[name]
    return Series.of("main", Signal(name, unit, Kind.GAUGE), {"service.name": service, "region": "eu-1"})


def value_at(name: str, time: int) -> tuple[float, float, float]:
    """Value and band of a signal at a time: a wave, a wobble, and the story in the last 40 minutes."""
    _, level, rise, _ = SHAPES[name]
    wave = level * (1 + 0.08 * math.sin(time / NS / 1700))
    wobble = level * 0.03 * math.sin(time / NS / 37) * math.cos(time / NS / 13)
    since = (time - (NOW - 40 * 60 * NS)) / (25 * 60 * NS)
    return wave + wobble + rise * min(1.0, max(0.0, since)), wave * 0.92, wave * 1.08


def line_of(name: str, start: int, end: int, n: int, monitor: str = "") -> Line:
    """A line of `n` values, with band when a monitor is named."""
    found = series_of(name)
    step = max(NS, (end - start) // max(1, n))
    times = list(range(start, end, step))[:n]
    values = [value_at(name, time) for time in times]
    # one value between two gaps: no line leads to it
    shown: list[float | None] = [None if i in (40, 42) else v[0] for i, v in enumerate(values)]
    return Line(
        series_id=found.id.hex(),
        signal=name,
        unit=found.signal.unit,
        labels=dict(found.labels),
        time=times,
        value=shown,
        lower=[v[1] for v in values] if monitor else (),
        upper=[v[2] for v in values] if monitor else (),
        log10_p=[-1.0 if v[1] <= v[0] <= v[2] else -9.0 for v in values] if monitor else (),
        monitor=monitor,
    )


def finding_of(name: str, start: int, value: float, band: tuple[float, float], log10_p: float) -> Finding:
    """A finding about one signal of this world."""
    found = series_of(name)
    monitor = f"{name.rsplit('.', 1)[-1].rsplit(':', 1)[-1].lower().replace('_', '-')}"
    return Finding(
        id=finding_id("main", monitor, found.id, start),
        phase=Phase.UPDATE,
        tenant="main",
        monitor=monitor,
        series=found,
        start=start,
        end=NOW - 30 * NS,
        time=NOW - 30 * NS,
        value=value,
        expected=band,
        log10_p=log10_p,
        n_eff=8640,
        level=-7.4,
        direction="up",
        evidence={"windows": 14.0, "lead_s": 90.0, "note": HOSTILE[:40]},
    )


def story() -> Incident:
    """The incident of the chatbot: prompt, tokens, latency, GPU memory."""
    findings = (
        finding_of("gen_ai.usage.input_tokens", NOW - 38 * 60 * NS, 5544, (1331, 1570), -31.2),
        finding_of("gen_ai.client.operation.duration", NOW - 33 * 60 * NS, 2.74, (0.77, 0.91), -18.6),
        finding_of("vllm:kv_cache_usage_perc", NOW - 30 * 60 * NS, 0.93, (0.42, 0.5), -12.0),
        finding_of("vllm:num_requests_waiting", NOW - 27 * 60 * NS, 20.0, (-math.inf, 0.9), -9.9),
        finding_of("DCGM_FI_DEV_FB_USED", NOW - 22 * 60 * NS, 62_900, (37_900, 44_500), -8.8),
    )
    return Incident(
        id=incident_id("main", findings[0].id),
        tenant="main",
        title="support-bot: input tokens per call 5,544, expected 1,331 to 1,570",
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
        severity_arithmetic="users high (latency x3.1 on 100 % of calls) -> error; 5 signals on 3 entities +1 -> critical",
        findings=findings,
        causes=(
            Cause(
                "prompt",
                "support-bot",
                "prompt version answer-v7 replaced answer-v6",
                0.86,
                (
                    "first seen 2 min before the first finding",
                    "calls with answer-v7 carry 3.8x the input tokens",
                    "every slow call uses answer-v7",
                ),
            ),
            Cause(
                "deploy",
                "web",
                f"deploy web 2026.11.21-3 {HOSTILE}",
                0.09,
                ("4 min before the first finding",),
                ("no edge leads from web to support-bot", "signals of web did not move"),
            ),
            Cause(
                "flag", "checkout", "flag new-basket on", 0.05, (), ("another service", "8 min before, nothing moved")
            ),
        ),
        changes=(
            Change(NOW - 46 * 60 * NS, "flag", "checkout", "new-basket on", "flagd"),
            Change(NOW - 42 * 60 * NS, "deploy", "web", f"2026.11.21-3 {HOSTILE}", "ci"),
            Change(NOW - 40 * 60 * NS, "prompt", "support-bot", "answer-v6 -> answer-v7", "spans"),
        ),
        entities=("support-bot", "vllm", "gpu-node-2"),
        opened_at=NOW - 36 * 60 * NS,
        updated_at=NOW - 60 * NS,
        resolved_at=None,
        dedup_key="main/support-bot/input-tokens",
        statement="Calls of support-bot carry 3.8 times the input tokens since prompt answer-v7 (13:50). Latency, KV cache and GPU memory followed.",
        impact={"users": "high", "calls_affected_ratio": 1.0},
    )


TOLL = Toll(
    "requests", ("web",), NOW - 90 * 60 * NS, NOW, Spent(5200, 900, 880, 2_400_000, 31.5), 410, 320, 700, 130, 61,
    Spent(410, 60, 60, 90_000, 1.1), Spent(5000, 870, 860, 1_400_000, 19.0),
)  # fmt: skip
LOSS = LossSpec.model_validate(
    {
        "severity": {"worth": [{"match": {}, "usd_per_request": 0.05}], "compliance": [{"tag": "gdpr", "match": {}}]},
        "objectives": [{"name": "web-availability", "match": {}, "target": "99.9%", "within": "500ms"}],
    }
)


def others() -> list[Incident]:
    """A warning with a hostile title, an acknowledged one, a resolved one."""
    base = story()
    shapes = (
        (f"New log pattern {HOSTILE} failed", IncidentState.OPEN, Severity.WARNING, 90, None),
        ("gpu-node-1: temperature 84, expected 61 to 70", IncidentState.ACKNOWLEDGED, Severity.ERROR, 200, None),
        ("web: error ratio 3.1 %, expected below 0.8 %", IncidentState.RESOLVED, Severity.ERROR, 400, 350),
        ("db: " + "a-very-long-name-without-any-space-" * 6, IncidentState.RESOLVED, Severity.INFO, 800, 790),
    )
    found = []
    for title, state, severity, opened, resolved in shapes:
        one = finding_of("http.server.request.duration", NOW - opened * 60 * NS, 0.2, (0.04, 0.05), -8.1)
        found.append(
            replace(
                base,
                id=incident_id("main", one.id),
                title=title,
                statement=f"{title}.",
                state=state,
                severity=severity,
                findings=(one,),
                causes=(Cause("unknown", "web", "nothing known changed before it", 0.2),),
                changes=(),
                entities=("web",),
                opened_at=NOW - opened * 60 * NS,
                updated_at=NOW - (opened - 10) * 60 * NS,
                resolved_at=None if resolved is None else NOW - resolved * 60 * NS,
            )
        )
    weak = replace(found[0].findings[0], log10_p=-8.1, level=-7.9)
    found[0] = weighed(replace(found[0], findings=(weak,), impact={}), LOSS, TOLL)
    return found
