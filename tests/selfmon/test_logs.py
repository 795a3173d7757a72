"""Logs can't be forged, flooded, or made to tell secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from tocsin.selfmon.logs import MAX_TEXT, plain_text, set_up, without_secrets


@pytest.fixture
def log():
    kept = logging.getLogger().handlers[:], logging.getLogger().level
    stream = io.StringIO()

    def lines() -> list[dict]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    set_up("hot", stream=stream, pretty=False)
    yield structlog.get_logger("x"), lines, stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:], level = kept
    logging.getLogger().setLevel(level)


def test_a_line_is_json_with_its_process(log):
    logger, lines, _ = log
    logger.warning("a port is taken", port=4318, on=None, ok=True)
    (line,) = lines()
    assert (line["event"], line["port"], line["on"], line["ok"]) == ("a port is taken", 4318, None, True)
    assert (line["process"], line["level"]) == ("hot", "warning")
    assert line["timestamp"].endswith("Z")


def test_hostile_text_is_one_plain_bounded_line(log):
    logger, lines, stream = log
    logger.info("x", body='\x1b[2J"}\n{"event": "forged"}\u202e' + "y" * 10_000)
    assert stream.getvalue().count("\n") == 1
    (line,) = lines()
    assert line["event"] == "x"
    assert "\x1b" not in line["body"]
    assert "\u202e" not in line["body"]
    assert len(line["body"]) < MAX_TEXT + 100


def test_secrets_stay_in(log):
    logger, _, stream = log
    key = "tk_0123456789ab_" + "A" * 43
    said = f"key {key}"
    logger.info(said, header=f"Bearer {key}", secret="s3cret", url="https://user:s3cret@host/x", nested={"a": key})
    assert "s3cret" not in stream.getvalue()
    assert "AAAA" not in stream.getvalue()
    assert stream.getvalue().count("[secret]") == 5


def test_the_standard_librarys_messages_come_the_same_way(log):
    _, lines, _ = log
    logging.getLogger("a.library").warning("from %s", "elsewhere\x1b[1m")
    logging.getLogger("a.library").info("not this")
    (line,) = lines()
    assert (line["event"], line["level"]) == ("from elsewhere", "warning")


def test_an_error_has_its_trace_on_one_line(log):
    logger, lines, stream = log
    try:
        int("why")
    except ValueError:
        logger.exception("it broke")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: invalid literal" in lines()[0]["exception"]


def test_pieces():
    assert plain_text("a\x00b\x9bc\u2028d") == "abcd"
    assert without_secrets("postgres://u:pw@h/db?x=1") == "postgres://[secret]@h/db?x=1"
