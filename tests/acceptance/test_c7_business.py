"""C7: a business metric of one's own, sent in three ways, has a monitor, a finding, an incident and a page; BI reads it."""

import io
import json
import sqlite3

import pyarrow.parquet as pq
import pytest

from acceptance.house import House
from acceptance.stack import SECOND, Hook, play
from prometheus_wire import V1, sample, series_1, snappy
from tocsin.ingest.jsonl import follow_jsonl

pytestmark = pytest.mark.acceptance

STEP_S = 15
GOOD = 40
BAD = 20
CONFIG = """
monitors:
  - name: deflection
    signal: "support*deflection"
    where: {{region: eu}}
    aggregate: mean
    window: {{size: 2m, step: 15s, min_samples: 4}}
    detect: {{threshold: {{below: 0.5}}}}
    for: 30s
    impact: {{revenue: high}}
    summary: fewer questions are answered without a person
destinations: [{{name: hook, type: webhook, url: "{url}", allow: [127.0.0.0/8]}}]
"""


async def otlp(house, value, path):
    await house.gauges(
        "support",
        {("support.deflection", (("region", "eu"),)): value, ("support.deflection", (("region", "us"),)): 0.2},
    )


async def remote_write(house, value, path):
    stamp = house.clock.now() // 1_000_000
    body = b"".join(
        series_1({"__name__": "support_deflection", "region": region}, sample(level, stamp))
        for region, level in (("eu", value), ("us", 0.2))
    )
    headers = {name.decode(): text.decode() for name, text in V1.items()}
    answer = await house.http.post("/api/v1/write", content=snappy(body), headers=headers)
    assert answer.status_code in (200, 204), answer.text


async def json_lines(house, value, path):
    lines = path / "points.jsonl"
    with lines.open("a") as file:
        for region, level in (("eu", value), ("us", 0.2)):
            point = {"timestamp": house.clock.now() // 1_000_000, "metric": "support.deflection", "value": level}
            file.write(json.dumps({**point, "labels": {"region": region}}) + "\n")
    follow = follow_jsonl("lines", lines, house.edge, path / "positions")  # goes on where the one before stopped
    await follow.step()
    follow._tail.close()


async def afternoon(path, hook, send):
    house = House(path, CONFIG.format(url=hook.url))
    try:
        for step in range(GOOD + BAD):
            await send(house, 0.7 if step < GOOD else 0.35, path)
            house.clock.advance((STEP_S - 1) * SECOND)
            await house.second()
            if step == GOOD - 1:
                assert not house.incidents()
        house.join()
        name = "support_deflection" if send is remote_write else "support.deflection"
        exports = {
            form: b"".join(house.telemetry.export("points", "main", form, signal=name, where={"region": "eu"}))
            for form in ("jsonl", "csv", "parquet", "sql")
        }
        return house.incidents(), exports, list(hook.posts)
    finally:
        await house.close()


@pytest.mark.parametrize("send", [otlp, remote_write, json_lines])
def test_c7_a_business_metric_from_its_sender_to_a_page_and_to_bi(tmp_path, send):
    hook = Hook()
    try:
        incidents, exports, posts = play(afternoon(tmp_path, hook, send))
    finally:
        hook.close()
    (incident,) = incidents
    (finding,) = incident.findings
    assert finding.monitor == "deflection"
    assert dict(finding.series.labels)["region"] == "eu"
    assert finding.value < 0.5
    assert "revenue" in incident.severity_arithmetic
    assert [body["action"] for _, _, body in posts][:1] == ["trigger"]
    wanted = GOOD * 0.7 + BAD * 0.35
    rows = [json.loads(line) for line in exports["jsonl"].splitlines()]
    assert sum(row["value"] for row in rows) == pytest.approx(wanted)
    assert sum(pq.read_table(io.BytesIO(exports["parquet"])).column("value").to_pylist()) == pytest.approx(wanted)
    assert len(exports["csv"].splitlines()) == len(rows) + 1
    with sqlite3.connect(":memory:") as bi:
        bi.executescript(exports["sql"].decode())
        asked = "SELECT count(*), sum(value), min(json_extract(labels, '$.region')) FROM points"
        assert bi.execute(asked).fetchone() == (GOOD + BAD, pytest.approx(wanted), "eu")
