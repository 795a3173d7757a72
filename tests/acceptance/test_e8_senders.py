"""E8: what Promtail, CloudWatch and an agent of the metrics API send, from their bytes to an incident."""

import base64
import json
import zlib

import pytest

from acceptance.stack import SECOND, Stack, play

pytestmark = pytest.mark.acceptance

STEP_S = 15
GOOD = 6
BAD = 6
CONFIG = """
monitors:
  - {{name: it, signal: "{signal}", {where}aggregate: {aggregate}, window: {{size: 1m, step: 15s, min_samples: 1}},
     detect: {{threshold: {{above: {above}}}}}, for: 15s}}
lateness: 0s
"""


async def lines(stack, bad):
    """Ten lines a step: one of them an error, or all."""
    now = stack.clock.now()
    values = [
        [str(now - number), f"level={'error' if bad or number == 0 else 'info'} order {number}"] for number in range(10)
    ]
    return await stack.http.post("/loki/api/v1/push", json={"streams": [{"stream": {"app": "shop"}, "values": values}]})


async def delivery(stack, bad):
    latency = 900_000.0 if bad else 40_000.0
    datum = {
        "metric_stream_name": "all",
        "account_id": "1",
        "region": "eu-west-1",
        "namespace": "AWS/SageMaker",
        "metric_name": "ModelLatency",
        "dimensions": {"EndpointName": "shop", "VariantName": "blue"},
        "timestamp": stack.clock.now() // 1_000_000,
        "value": {"max": latency, "min": latency, "sum": 10 * latency, "count": 10},
        "unit": "Microseconds",
    }
    data = base64.b64encode(json.dumps(datum).encode()).decode()
    return await stack.http.post("/aws/firehose", json={"requestId": "1", "timestamp": 1, "records": [{"data": data}]})


async def series(stack, bad):
    point = [stack.clock.now() // SECOND, 900 if bad else 40]
    body = {"series": [{"metric": "shop.latency", "points": [point], "tags": ["service:shop"]}]}
    headers = {"content-encoding": "deflate", "content-type": "application/json"}
    return await stack.http.post("/api/v1/series", content=zlib.compress(json.dumps(body).encode()), headers=headers)


async def afternoon(path, config, send):
    stack = Stack(path, config)
    try:
        for step in range(GOOD + BAD):
            answer = await send(stack, step >= GOOD)
            assert answer.status_code in {200, 202, 204}, answer.text
            stack.clock.advance((STEP_S - 1) * SECOND)
            await stack.second()
            assert step >= GOOD or not stack.incidents()
        for _ in range(20):  # what may come late is waited for
            if found := stack.incidents():
                return found
            stack.clock.advance(14 * SECOND)
            await stack.second()
        return []
    finally:
        await stack.close()


@pytest.mark.parametrize(
    ("send", "signal", "where", "aggregate", "above", "entity"),
    [
        (lines, "log.records", "where: {severity: error}, ", "rate", 0.3, "shop"),
        (delivery, "amazonaws.com/AWS/SageMaker/ModelLatency.average", "", "mean", 500_000, "shop/blue"),
        (series, "shop.latency", "", "mean", 500, "shop"),
    ],
)
def test_e8_from_the_bytes_of_a_sender_to_an_incident(tmp_path, send, signal, where, aggregate, above, entity):
    config = CONFIG.format(signal=signal, where=where, aggregate=aggregate, above=above)
    incidents = play(afternoon(tmp_path, config, send))
    (finding,) = [each for incident in incidents for each in incident.findings if each.monitor == "it"]
    assert finding.value > above
    assert any(entity in incident.entities for incident in incidents)
