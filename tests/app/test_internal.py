"""What the two processes tell each other, and nobody else."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from tocsin.app.internal import METRICS_PATH, NOTICES_PATH, SECRET_HEADER, Internal

NOTICES = {"acme": ["otlp/x has 9 series, the most allowed"]}


@pytest.fixture
def client():
    return TestClient(Internal(PlainTextResponse("page"), "s3cret", lambda: NOTICES))


def test_notices_and_metrics_go_to_who_knows_the_secret(client):
    headers = {SECRET_HEADER: "s3cret"}
    assert client.get(NOTICES_PATH, headers=headers).json() == NOTICES
    assert "# TYPE" in client.get(METRICS_PATH, headers=headers).text
    assert client.get("/internal/else", headers=headers).status_code == 404
    assert client.get("/", headers=headers).text == "page"


@pytest.mark.parametrize("headers", [{}, {SECRET_HEADER: "guess"}, {SECRET_HEADER: ""}])
def test_nobody_else_gets_them(client, headers):
    for path in (NOTICES_PATH, METRICS_PATH):
        assert client.get(path, headers=headers).status_code == 404
