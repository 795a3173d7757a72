"""Metric streams through Firehose: all three formats as published, what is kept of a summary, and bad deliveries."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ingest_world import NOW, World, call, open_to_all, set_pairs
from tocsin.ingest.http import ingest_app
from tocsin.model.access import OPEN_ACCESS

RECORDED = Path(__file__).with_name("pushed") / "metric_stream_07.json"
MS = NOW // 1_000_000
HEADERS = {
    "content-type": "application/json",
    "x-amz-firehose-request-id": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f",
    "x-amz-firehose-protocol-version": "1.0",
}
SAGEMAKER = {
    "metric_stream_name": "all",
    "account_id": "123456789012",
    "region": "eu-west-1",
    "namespace": "AWS/SageMaker",
    "metric_name": "ModelLatency",
    "dimensions": {"EndpointName": "fraud", "VariantName": "blue"},
    "timestamp": MS,
    "value": {"max": 90000.0, "min": 10000.0, "sum": 400000.0, "count": 10.0, "p99": 88000.0},
    "unit": "Microseconds",
}
INVOCATIONS = SAGEMAKER | {
    "metric_name": "Invocations",
    "unit": "None",
    "value": {"max": 1, "min": 1, "sum": 10, "count": 10},
}


def delivery(*records):
    data = [{"data": base64.b64encode(record).decode()} for record in records]
    return json.dumps({"requestId": HEADERS["x-amz-firehose-request-id"], "timestamp": MS, "records": data}).encode()


def lines(*data):
    return b"".join(json.dumps(each).encode() + b"\n" for each in data)


def sent(world, body, headers=None, authorise=open_to_all):
    return call(ingest_app(world.edge, authorise), path="/aws/firehose", body=body, headers=HEADERS | (headers or {}))


def values(world):
    return {series.signal.name.removeprefix("amazonaws.com/"): row["value"] for series, row in world.named()}


def with_length(raw):
    size, head = len(raw), b""
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + raw


def request_10():
    """As the documentation of the format 1.0 shows it."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    set_pairs(of_resource.resource.attributes, {"cloud.account.id": "123456789012", "cloud.region": "us-east-1"})
    metric = of_resource.scope_metrics.add().metrics.add(name="amazonaws.com/AWS/SageMaker/ModelLatency", unit="us")
    point = metric.summary.data_points.add(
        start_time_unix_nano=NOW - 60 * 10**9, time_unix_nano=NOW, count=10, sum=400000.0
    )
    for quantile, value in ((0.0, 10000.0), (0.999, 89000.0), (1.0, 90000.0)):
        point.quantile_values.add(quantile=quantile, value=value)
    set_pairs(point.attributes, {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency"})
    inner = point.attributes.add(key="Dimensions").value.kvlist_value.values
    set_pairs(inner, {"EndpointName": "fraud", "VariantName": "blue"})
    return request


def test_json_lines_keep_the_statistics_that_mean_something():
    world = World()
    answer = sent(world, delivery(lines(SAGEMAKER, INVOCATIONS), lines(SAGEMAKER | {"dimensions": {}})))
    assert answer.status == 200
    assert json.loads(answer.body) == {"requestId": HEADERS["x-amz-firehose-request-id"], "timestamp": MS}
    assert values(world) == {
        "AWS/SageMaker/ModelLatency.average": 40000.0,
        "AWS/SageMaker/ModelLatency.maximum": 90000.0,
        "AWS/SageMaker/ModelLatency.p99": 88000.0,
        "AWS/SageMaker/Invocations.sum": 10.0,
    }
    (series, row) = world.named()[0]
    assert (series.signal.unit, row["time"]) == ("us", NOW)
    assert dict(series.labels) == {
        "cloud.provider": "aws",
        "cloud.account.id": "123456789012",
        "cloud.region": "eu-west-1",
        "EndpointName": "fraud",
        "VariantName": "blue",
    }
    assert world.frames()[0].source == "cloudwatch/eu-west-1"


def test_opentelemetry_1_0_gives_the_same_series_as_json():
    world = World()
    raw = with_length(request_10().SerializeToString())
    assert sent(world, delivery(raw + raw)).status == 200
    assert values(world) == {
        "AWS/SageMaker/ModelLatency.average": 40000.0,
        "AWS/SageMaker/ModelLatency.maximum": 90000.0,
        "AWS/SageMaker/ModelLatency.p99.9": 89000.0,
    }
    sent(world, delivery(lines(SAGEMAKER | {"region": "us-east-1"})))
    averages = [series for series, _ in world.named() if series.signal.name.endswith(".average")]
    assert len(averages) == 3
    assert len({series.id for series in averages}) == 1


def test_opentelemetry_0_7_as_its_own_library_writes_it():
    world = World()
    (request,) = json.loads(RECORDED.read_text())["requests"]
    assert sent(world, delivery(base64.b64decode(request["body"]))).status == 200
    found = {
        (dict(series.labels)["TableName"], series.signal.name.rpartition(".")[2]): row["value"]
        for series, row in world.named()
    }
    assert found == {
        (table, statistic): value
        for table in ("MyTable", "Other")
        for statistic, value in (("average", 1.5), ("maximum", 2.0), ("p99", 2.0))
    }


@pytest.mark.parametrize(
    ("metric", "unit", "kept"),
    [
        ("AWS/Lambda/Errors", "Count", {"sum"}),
        ("AWS/SQS/ApproximateNumberOfMessagesVisible", "Count", {"average", "maximum"}),
        ("AWS/EC2/CPUUtilization", "Percent", {"average", "maximum"}),
        ("AWS/EC2/NetworkIn", "Bytes", {"sum"}),
        ("AWS/SageMaker/Invocation5XXErrors", "None", {"sum"}),
        ("/aws/sagemaker/Endpoints/GPUUtilization", "Percent", {"average", "maximum"}),
    ],
)
def test_which_statistics_are_kept_is_data(metric, unit, kept):
    world = World()
    namespace, _, name = metric.rpartition("/")
    assert (
        sent(world, delivery(lines(SAGEMAKER | {"namespace": namespace, "metric_name": name, "unit": unit}))).status
        == 200
    )
    assert {name.rpartition(".")[2] for name in values(world)} - {"p99"} == kept


def test_keys_come_in_the_sender_s_own_header():
    world = World()
    seen = []

    def authorise(header):
        seen.append(header)
        return OPEN_ACCESS if header == "Bearer tk_1" else None

    body = delivery(lines(SAGEMAKER))
    assert sent(world, body, {"x-amz-firehose-access-key": "tk_1"}, authorise).status == 200
    answer = sent(world, body, {"x-amz-firehose-access-key": "other"}, authorise)
    assert answer.status == 401
    assert json.loads(answer.body)["requestId"] == HEADERS["x-amz-firehose-request-id"]
    assert "a key is needed" in json.loads(answer.body)["errorMessage"]
    assert seen == ["Bearer tk_1", "Bearer other"]


def test_gzip_and_labels_of_the_delivery_stream():
    world = World()
    common = {"x-amz-firehose-common-attributes": '{"commonAttributes": {"team": "risk"}}', "content-encoding": "gzip"}
    assert sent(world, gzip.compress(delivery(lines(INVOCATIONS))), common).status == 200
    assert dict(world.named()[0][0].labels)["team"] == "risk"


def test_a_delivery_taken_in_part_does_not_come_again():
    world = World()
    bad = [SAGEMAKER | {"timestamp": "now"}, SAGEMAKER | {"value": {"sum": "x"}}, SAGEMAKER | {"metric_name": ""}]
    assert sent(world, delivery(lines(*bad, INVOCATIONS) + b"[]\n{\n")).status == 200
    assert set(values(world)) == {"AWS/SageMaker/Invocations.sum"}
    answer = sent(world, delivery(lines(*bad)))
    assert answer.status == 400
    assert "1 refused: its time is neither" in json.loads(answer.body)["errorMessage"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, '"records": ['),
        (b'{"records": [{}]}', 400, "record 0 has no text"),
        (b'{"records": [{"data": "***"}]}', 400, "not base64"),
        (delivery(b"\xff\xff\xff\xff\xff\xff"), 400, "neither JSON nor messages"),
        (delivery(b"\x7f\x0a"), 400, "ends 126 bytes before"),
        (delivery(b"\x02\xff\xff"), 400, "no ExportMetricsServiceRequest"),
        (delivery(b"x" * 70_000), 413, "over"),
    ],
    ids=range(8),
)
def test_bad_deliveries_are_refused_in_the_form_that_the_sender_asks_for(body, status, text):
    world = World(body_bytes=64 * 1024)
    answer = sent(world, body)
    assert answer.status == status
    assert text in json.loads(answer.body)["errorMessage"]
    assert not world.log.entries


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bent(draw):
    raw = bytearray(with_length(request_10().SerializeToString()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(raw)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    bent()
    | st.binary(max_size=60)
    | st.builds(lambda key, value: lines(SAGEMAKER | {key: value}), st.sampled_from(sorted(SAGEMAKER)), _JSON)
    | st.builds(lambda value: lines(SAGEMAKER | {"value": {"sum": value, "count": value}}), _JSON)
)
def test_bent_deliveries_are_refused_or_give_valid_frames(record):
    world = World()
    assert sent(world, delivery(record)).status in {200, 400}
    for frame in world.frames():
        frame.batch.validate(full=True)
