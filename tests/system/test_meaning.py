"""A real server that groups templates by a sentence model, loses it, has it again, and is told of another way."""

import time

import pytest

from sentence_models import lookup, one_meaning, words, write
from system.server import until

pytestmark = pytest.mark.system

CONFIG = "logs: {meaning: {model: models/small, near: 0.9}}\n"
LINES = {
    "peer 10.0.0.1 refused handshake": "peer <*> refused handshake",
    "user 7 signed in": "user <*> signed in",
    "remote host rejected negotiation": "remote host rejected negotiation",
}
SAME = [("refused", "rejected"), ("handshake", "negotiation"), ("peer", "remote", "host")]


@pytest.fixture(scope="module")
def server(make_server):
    return make_server(CONFIG)


def push(server):
    """Send the lines as Promtail does."""
    values = [[str(time.time_ns() + k), line] for k, line in enumerate(LINES)]
    body = {"streams": [{"stream": {"service_name": "api"}, "values": values}]}
    assert server.http.post("/loki/api/v1/push", json=body).status_code == 204


def said(server):
    """What is said of templates now; each is known by its text."""
    found = server.http.get("/api/log_templates").json()
    first = [row["text"] for row in found["templates"]]
    return found, {row["text"]: first[row["alike"]] for row in found["templates"]}


def test_templates_go_by_the_model_while_it_is_there_and_by_words_else(server):
    found, groups = said(server)
    assert (found["by"], groups) == ("hashed words", {})
    assert "there is no directory models/small" in found["fault"]
    tokenizer = words(LINES.values())
    place = write(server.path / "models" / "small", lookup(one_meaning(tokenizer, SAME)), tokenizer)

    def known():
        push(server)
        return set(said(server)[1]) >= set(LINES.values())

    assert until(known, 90, every_s=2.0), server.log()
    found, groups = said(server)
    assert (found["by"], found["fault"]) == ("model small", "")
    peer, user, remote = LINES.values()
    assert groups[peer] == groups[remote]
    assert groups[user] == user

    (place / "model.onnx").unlink()
    found, groups = said(server)
    assert found["by"] == "hashed words"
    assert "there is no model.onnx in models/small" in found["fault"]
    assert {groups[text] for text in LINES.values()} == set(LINES.values())

    (server.path / "tocsin.yaml").write_text("logs: {}\n")
    assert until(lambda: not said(server)[0]["fault"], 30), server.log()
    assert 'tocsin_app_embedding_fallbacks_total{process="cold",reason="failed"}' in server.http.get("/metrics").text
