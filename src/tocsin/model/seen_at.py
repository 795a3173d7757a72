"""Where on the pages a finding is seen: the curve of its series, the segment of its model, its log lines, its calls."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from tocsin.model.finding import Finding

BEFORE_NS: Final = 3600 * 10**9
"""What is shown of the time before it began."""
_OF_MODELS: Final = frozenset({"drift", "data quality", "clients", "calls"})
"""Detectors whose findings are about rows of a model where they name one, and have no curve of their own."""
_PARTS: Final = frozenset({"model", "version"})
_CALLS: Final = {
    "service": "service.name",
    "model": "gen_ai.request.model",
    "customer": "tenant.id",
    "provider": "gen_ai.provider.name",
}


def seen_at(finding: Finding) -> str:
    """Path and query of the page that shows what a finding is about, from an hour before it began.

    >>> from tocsin.model.finding import Phase
    >>> from tocsin.model.series import Series, Signal
    >>> def found(signal, labels, **evidence):
    ...     series, hour = Series.of("main", Signal(signal), labels), 3600 * 10**9
    ...     return Finding(b"f", Phase.OPEN, "main", "m", series, 9 * hour, 9 * hour, 9 * hour, 1.0, (0.0, 0.5), -9.0, 99.0,
    ...                    -6.0, "up", evidence)
    >>> seen_at(found("cpu", {"host.name": "a"}))[:19], seen_at(found("cpu", {}))[-10:]
    ('/signals?signal=cpu', 'from=28800')
    >>> seen_at(found("tocsin.model.drift", {"model": "churn", "version": "3", "country": "DE"}, detector="drift"))
    '/models?model=churn&version=3&segment=country%3DDE&from=28800'
    """
    labels, detector = dict(finding.series.labels), finding.evidence.get("detector")
    since = {"from": str((finding.start - BEFORE_NS) // 10**9)}
    template = finding.evidence.get("template.1.id")
    if detector in _OF_MODELS and labels.get("model"):
        return f"/models?{_query(_of_model(labels, segments=detector == 'drift') | since)}"
    if detector == "calls":
        known = {name: labels[key] for name, key in _CALLS.items() if labels.get(key)}
        by = {"by": "prompt_version"} if "gen_ai.prompt.name" in labels else {}
        return f"/llm?{_query(by | known | since)}"
    if detector == "blind":
        return f"/signals?{_query({'state': finding.series.signal.name.rpartition('.')[2]})}"
    if detector == "entity":
        return f"/signals?{_query({'entity': next(reversed(labels.values()), '')})}"
    if isinstance(template, str) and template:
        return f"/logs?{_query({'service': labels.get('service.name', ''), 'template': template} | since)}"
    signal = finding.series.signal.name
    return f"/signals?{_query({'signal': signal, 'series': finding.series.id.hex()} | since)}"


def _of_model(labels: dict[str, str], *, segments: bool) -> dict[str, str]:
    found = {name: labels[name] for name in ("model", "version") if labels.get(name)}
    tags = [f"{name}={value}" for name, value in labels.items() if name not in _PARTS] if segments else []
    return found | ({"segment": tags[0]} if tags else {})


def _query(told: dict[str, str]) -> str:
    return urlencode({name: text for name, text in told.items() if text})
