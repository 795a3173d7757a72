"""Example traces of an incident: the slowest, one that failed, and a typical one of before and since."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.api.times import NS
from tocsin.api.trace_ports import Traces
from tocsin.model.codec import Json
from tocsin.model.incident import Incident
from tocsin.model.message import ROLES, TraceExample
from tocsin.model.times import time_to_json

_LEAST_NS = 5 * 60 * NS
_BEFORE_NS = 3600 * NS
_MOST_SERVICES = 50


def services_of(incident: Incident) -> list[str]:
    """Names that may be of services: what the incident is about, and the services that its findings name."""
    named = [dict(each.series.labels).get("service.name", "") for each in incident.findings]
    return [name for name in dict.fromkeys([*incident.entities, *named]) if name][:_MOST_SERVICES]


def examples_of(traces: Traces, incident: Incident) -> Sequence[TraceExample]:
    """Traces of its services since the first finding, and one of the hour before; empty where no service sends spans."""
    services = services_of(incident)
    if not services:
        return ()
    first = min((each.start for each in incident.findings), default=incident.opened_at)
    last = max((each.end for each in incident.findings), default=incident.updated_at)
    end = max(last, incident.updated_at, first + _LEAST_NS)
    return traces.examples(incident.tenant, services, first, end, first - _BEFORE_NS)


def example_document(each: TraceExample) -> Json:
    """An example as JSON."""
    return {
        "role": each.role,
        "words": ROLES.get(each.role, each.role),
        "trace_id": each.trace_id,
        "service": each.service,
        "operation": each.operation,
        "start": time_to_json(each.start),
        "duration_s": each.duration_ns / NS,
    }
