"""Requests of OTLP/JSON, as a program without an SDK would write them."""

NS = 1_000_000_000


def attributes(labels):
    """Attributes of text values."""
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in labels.items()]


def resource(**labels):
    """A resource; a double underscore stands for a dot."""
    return {"attributes": attributes({key.replace("__", "."): value for key, value in labels.items()})}


def gauge(name, points, unit="1"):
    """A gauge of (time ns, value, labels)."""
    return {"name": name, "unit": unit, "gauge": {"dataPoints": [point(*each) for each in points]}}


def total(name, points, start, unit="1"):
    """A cumulative monotonic sum of (time ns, value, labels), counted since `start`."""
    rows = [{**point(*each), "startTimeUnixNano": str(start)} for each in points]
    return {"name": name, "unit": unit, "sum": {"dataPoints": rows, "aggregationTemporality": 2, "isMonotonic": True}}


def point(time, value, labels=()):
    """One data point."""
    number = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}
    return {"timeUnixNano": str(time), **number, "attributes": attributes(dict(labels))}


def request(service, *metrics):
    """The body of a POST to /v1/metrics."""
    return {
        "resourceMetrics": [{"resource": resource(service__name=service), "scopeMetrics": [{"metrics": list(metrics)}]}]
    }
