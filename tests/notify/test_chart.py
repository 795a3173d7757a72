"""Charts: drawn rightly, sent beside the words by each destination that takes them, and never in their way."""

import asyncio
import base64
import json
import math
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from incident_world import MINUTE, T0
from notify_messages import messages
from ticket_peers import JiraPeer, SlackPeer, TeamsPeer, served
from tocsin.model.clock import SECOND
from tocsin.model.errors import Retryable
from tocsin.model.message import Picture
from tocsin.notify import base, mail, teams
from tocsin.notify.base import Context
from tocsin.notify.chart import HEIGHT, PALETTE, WIDTH, Trend, chart_png
from tocsin.notify.registry import open_destinations
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.load import parse_config

BASE = "https://tocsin.example"
NOW = 1_800_000_000 * SECOND
BLUE, RED = (bytes.fromhex(each) for each in ("2b5d9e", "c4321f"))


def pixels(png):
    """Width, height and the colour of each dot, by the specification; checksums must hold."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(name + body),)
        parts[name] = body
        at += 12 + length
    width, height, depth, kind = struct.unpack_from(">IIBB", parts[b"IHDR"])
    assert (depth, kind) == (8, 3)
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)[lines[:, 1:]]


def trend(values, lower=None, upper=None, since=90):
    n = len(values)
    flat = [math.nan] * n
    times = [T0 + i * MINUTE for i in range(n)]
    return Trend(times, values, flat if lower is None else lower, flat if upper is None else upper, T0 + since * MINUTE)


STEP = trend([1.0 + 0.1 * (i % 3) for i in range(90)] + [8.0] * 30, [0.5] * 120, [2.0] * 120)


def test_a_curve_is_blue_within_its_band_and_red_above_it():
    found = pixels(chart_png(STEP))
    assert found.shape == (HEIGHT, WIDTH, 3)
    blue, red, band = (
        np.argwhere((found == np.frombuffer(each, np.uint8)).all(axis=2)) for each in (BLUE, RED, PALETTE[6:9])
    )
    assert len(blue) > 100
    assert len(red) > 100
    assert blue[:, 1].max() <= red[:, 1].min() + 1, "red from when it got out of line"
    assert np.median(red[:, 0]) < band[:, 0].min() <= np.median(blue[:, 0]) <= band[:, 0].max(), "above the band"


@pytest.mark.parametrize(
    "odd",
    [
        trend([]),
        trend([1.0]),
        trend([math.nan] * 20),
        replace(STEP, times=[T0] * 120),
    ],
)
def test_nothing_to_draw_is_no_chart(odd):
    assert chart_png(odd) == b""


@pytest.mark.parametrize(
    "odd",
    [
        trend([5.0] * 20),
        trend([0.0] * 20),
        trend([1e300, -1e300] * 10),
        trend([1e-300, 2e-300] * 10),
        trend([math.nan, 3.0, math.inf, 4.0, -math.inf, 5.0] * 5),
        trend([1.0, 2.0] * 10, [-1e12] * 20, [math.inf] * 20),
        trend([1.0, 2.0] * 10, [3.0] * 20, [-3.0] * 20),
        trend([1.0, 2.0] * 10, since=-5),
        trend([float(i % 7) for i in range(5000)]),
    ],
)
def test_odd_values_are_drawn(odd):
    assert len(np.unique(pixels(chart_png(odd)).reshape(-1, 3), axis=0)) > 2


CAPTION = 'latency of </a><script>alert(1)</script><!channel> " onload=x: values and the expected band'


def illustrated(action="trigger"):
    return replace(messages()[action], picture=Picture(chart_png(STEP), CAPTION))


def told(kind, peer, message, path="", **spec):
    async def scene():
        async with served(peer):
            given = {"name": "x", "type": kind, "url": f"{peer.url}{path}", "allow": ["127.0.0.0/8"], **spec}
            text = json.dumps({"destinations": [given]})
            opened = open_destinations(parse_config(text, "t.json", {}).config.outgoing(), Context(BASE))
            try:
                return await opened["x"].send(message, "", NOW)
            finally:
                for each in opened.values():
                    await each.close()

    return asyncio.run(scene())


def left():
    return REGISTRY.get_sample_value("tocsin_notify_pictures_left_total", {"destination": "x"}) or 0.0


SLACK = {"path": "/api/chat.postMessage", "token": "xoxb", "channel": "#ds"}
JIRA = {"project": "OPS", "email": "a@b.c", "token": "T"}


def test_slack_keeps_it_in_the_thread():
    peer = SlackPeer()
    receipt = told("slack", peer, illustrated(), **SLACK)
    (message,) = peer.messages
    assert (receipt.thread, receipt.detail) == (message["ts"], "posted")
    assert peer.files["F1"]["body"] == illustrated().picture.png
    assert (peer.files["F1"]["thread"], peer.files["F1"]["alt"]) == (message["ts"], CAPTION)


def test_slack_that_takes_no_files_still_has_the_message_once():
    before, peer = left(), SlackPeer(uploads="missing_scope")
    receipt = told("slack", peer, illustrated(), **SLACK)
    assert (len(peer.messages), peer.files) == (1, {})
    assert receipt.thread == peer.messages[0]["ts"]
    assert "without its chart: Slack refuses the message: missing_scope" in receipt.detail
    assert left() == before + 1


def test_slack_is_asked_again_when_it_is_busy():
    with pytest.raises(Retryable) as caught:
        told("slack", SlackPeer(busy=1), illustrated(), **SLACK)
    assert caught.value.retry_after_s == 7
    with pytest.raises(Retryable, match="ratelimited"):
        told("slack", SlackPeer(limited=1), illustrated(), **SLACK)


def test_jira_keeps_it_as_an_attachment_and_the_issue_without_one():
    peer = JiraPeer()
    receipt = told("jira", peer, illustrated(), **JIRA)
    assert (peer.issues["OPS-1"]["attachments"], receipt.thread) == ([illustrated().picture.png], "OPS-1")
    peer, before = JiraPeer(attachments=False), left()
    receipt = told("jira", peer, illustrated(), **JIRA)
    assert (list(peer.issues), receipt.thread, left()) == (["OPS-1"], "OPS-1", before + 1)
    assert "attachments are disabled" in receipt.detail


def test_a_card_has_it_where_there_is_room():
    peer = TeamsPeer()
    told("teams", peer, illustrated())
    (image,) = [each for each in peer.cards[0]["body"] if each["type"] == "Image"]
    assert base64.b64decode(image["url"].partition(",")[2]) == illustrated().picture.png
    large = replace(illustrated(), picture=Picture(b"x" * 30_000, "large"))
    assert "Image" not in json.dumps(teams.payload(large, BASE))


def test_a_mail_has_it_inside_with_words_for_who_sees_none():
    found = mail.mail(illustrated(), "tocsin@example.org", ["on@call.example"], BASE, NOW)
    images = [each for each in found.walk() if each.get_content_type() == "image/png"]
    (page,) = [each.get_content() for each in found.walk() if each.get_content_type() == "text/html"]
    assert [each.get_content() for each in images] == [illustrated().picture.png]
    assert f"cid:{images[0]['content-id'].strip('<>')}" in page
    assert "<script>" not in page
    assert '" onload' not in page


def test_a_webhook_has_it_as_text():
    chart = base.notice(illustrated(), BASE)["chart"]
    assert base64.b64decode(chart["base64"]) == illustrated().picture.png
    assert (chart["media_type"], chart["caption"]) == ("image/png", CAPTION)
    assert "chart" not in base.notice(messages()["trigger"], BASE)
