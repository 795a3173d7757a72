"""Points, spans, log lines and records of a made-up world as the requests that real senders would make of them."""

import json

from acceptance.llm_spans import pairs
from tocsin.model.series import Kind

CUMULATIVE = 2
SERVER_KIND = 2


async def send_points(stack, rows):
    """Rows (signal, labels, value), all of now, in one OTLP request."""
    now = str(stack.clock.now())
    by_signal = {}
    for signal, labels, value in rows:
        by_signal.setdefault(signal, []).append(
            {"timeUnixNano": now, "asDouble": float(value), "attributes": pairs(labels)}
        )
    metrics = []
    for signal, points in by_signal.items():
        body = {"dataPoints": points}
        if signal.kind is Kind.SUM:
            sum_ = {**body, "aggregationTemporality": CUMULATIVE, "isMonotonic": True}
            metrics.append({"name": signal.name, "unit": signal.unit, "sum": sum_})
        else:
            metrics.append({"name": signal.name, "unit": signal.unit, "gauge": body})
    await stack.post("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})


async def send_spans(stack, rows):
    """Rows as `fold_world.request` makes them, by resource."""
    by_resource = {}
    for row in rows:
        above = row["parent_id"].hex() if any(row["parent_id"]) else ""
        by_resource.setdefault(tuple(row["resource"]), []).append(
            {
                "traceId": row["trace_id"].hex(),
                "spanId": row["span_id"].hex(),
                "parentSpanId": above,
                "name": row["name"],
                "kind": SERVER_KIND,
                "startTimeUnixNano": str(row["start"]),
                "endTimeUnixNano": str(row["time"]),
                "status": {"code": 2} if row["status"] == "error" else {},
            }
        )
    told = [
        {"resource": {"attributes": pairs(dict(resource))}, "scopeSpans": [{"spans": spans}]}
        for resource, spans in by_resource.items()
    ]
    await stack.post("/v1/traces", {"resourceSpans": told})


async def send_lines(stack, resource, lines):
    """Log lines (text, severity, number) of now."""
    now = str(stack.clock.now())
    told = [
        {"timeUnixNano": now, "severityText": severity, "severityNumber": number, "body": {"stringValue": text}}
        for text, severity, number in lines
    ]
    resource_logs = {"resource": {"attributes": pairs(resource)}, "scopeLogs": [{"logRecords": told}]}
    await stack.post("/v1/logs", {"resourceLogs": [resource_logs]})


async def send_records(stack, rows):
    """Records of predictions, as JSON lines; all are taken."""
    body = "\n".join(json.dumps(row) for row in rows).encode()
    answer = await stack.http.post("/v1/records", content=body, headers={"content-type": "application/x-ndjson"})
    assert answer.json()["accepted"] == len(rows), answer.text
