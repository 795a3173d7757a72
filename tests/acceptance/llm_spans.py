"""Spans of calls of models and tools as OTLP/JSON, for stories of applications that use language models."""

import itertools

SECOND = 1_000_000_000


def value(given):
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(each) for each in given]}}
    return {"stringValue": given}


def pairs(attributes):
    return [{"key": key, "value": value(each)} for key, each in attributes.items()]


class Spans:
    """Gathers spans of one service and makes requests of them; ids count up."""

    def __init__(self, service):
        self.service = service
        self.waiting = []
        self._ids = itertools.count(1)

    def add(self, name, end_ns, attributes, *, trace=1, parent=0, took_s=0.5, failed=False, events=(), kind=3):
        number = next(self._ids)
        self.waiting.append(
            {
                "traceId": f"{trace:032x}",
                "spanId": f"{number:016x}",
                **({"parentSpanId": f"{parent:016x}"} if parent else {}),
                "name": name,
                "kind": kind,
                "startTimeUnixNano": str(end_ns - round(took_s * SECOND)),
                "endTimeUnixNano": str(end_ns),
                "attributes": pairs(attributes),
                "status": {"code": 2} if failed else {},
                "events": [
                    {"name": name, "timeUnixNano": str(end_ns), "attributes": pairs(said)} for name, said in events
                ],
            }
        )
        return number

    def body(self):
        waiting, self.waiting = self.waiting, []
        resource = {"attributes": pairs({"service.name": self.service})}
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": waiting}]}]}

    async def send(self, stack):
        if self.waiting:
            await stack.post("/v1/traces", self.body())


def tool(name, arguments, **more):
    """Attributes of a call of a tool."""
    said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.call.arguments": arguments}
    return {**said, **more}


def chat(model="gpt-4o", *, tokens=(500, 100), cost=None, **more):
    """Attributes of a call of a model."""
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }
    return {**said, **({} if cost is None else {"gen_ai.usage.cost": cost}), **more}
