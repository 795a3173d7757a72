"""What the API says of logs."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.trace_world import TRACE
from api.world import HOSTILE, NOW, NS
from tocsin.api.app import control_app
from tocsin.stats.alike import Groups


def bodies(client: TestClient, **asked):
    answer = client.get("/api/logs", params=asked)
    assert answer.status_code == 200, answer.text
    return [row["body"] for row in answer.json()["logs"]]


def test_lines_are_found_by_service_severity_template_text_and_request(client: TestClient):
    assert len(bodies(client)) == 6
    assert bodies(client, service="web", text="ANN") == ["user ann opened page /items/9"]
    assert len(bodies(client, severity="error")) == len(bodies(client, trace_id=TRACE)) == 2
    assert bodies(client, template="0ae2d8ee27bd8f12") == ["cache hit for key item:17"]
    assert bodies(client, template="cache hit for key item:<*>", limit=1) == ["cache hit for key item:17"]


def test_the_span_of_time_is_said(client: TestClient):
    body = client.get("/api/logs", params={"last_s": 60}).json()
    assert (body["from"], body["to"]) == (NOW / NS - 60, NOW / NS)


@pytest.mark.parametrize("asked", [{"severity": "loud"}, {"trace_id": "12"}, {"limit": 0}, {"where": "nothing"}])
def test_what_can_not_be_asked_says_so(client: TestClient, asked):
    assert client.get("/api/logs", params=asked).status_code in (400, 422)


def test_templates_come_with_their_counts_and_a_line(client: TestClient):
    rows = client.get("/api/log_templates", params={"service": "support-bot"}).json()["templates"]
    assert [(row["records"], row["before"], row["errors"]) for row in rows] == [(412, 31, 412), (96, 0, 96)]
    assert rows[0]["sample"].startswith("could not parse reply of 10.0.0.7")


def test_templates_say_by_what_they_are_grouped(client: TestClient):
    body = client.get("/api/log_templates").json()
    assert (body["by"], body["fault"]) == ("hashed words", "")
    seen = []

    def first_of_all(texts):
        seen.append(list(texts))
        return Groups([0] * len(texts), "model minilm", HOSTILE)

    with TestClient(control_app(replace(deps(), alike=first_of_all)), base_url="http://127.0.0.1:8642") as other:
        told = other.get("/api/log_templates").json()
    assert (told["by"], told["fault"]) == ("model minilm", HOSTILE)
    assert {row["alike"] for row in told["templates"]} == {0}
    assert seen == [[row["text"] or row["sample"] for row in told["templates"]]]


def test_hostile_texts_are_texts(client: TestClient):
    rows = client.get("/api/log_templates").json()["templates"]
    assert rows[-1]["service"] == HOSTILE
    assert client.get("/api/log_templates").headers["content-type"].startswith("application/json")
