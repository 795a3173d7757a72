"""What goes out to each destination, byte for byte; `TOCSIN_GOLDEN=write` writes the files anew."""

import json
import os
from pathlib import Path

import pytest

from incident_world import MINUTE, T0, World, finding
from notify_messages import messages
from tocsin.incident.policy import Policy
from tocsin.model.codec import incident_from_json
from tocsin.notify import alertmanager, base, console, mail, pagerduty, slack

GOLDEN = Path(__file__).parent.parent / "golden" / "notify"
BASE = "https://tocsin.example"


def rendered(kind, message):
    now = message.created_at
    made = {
        "webhook": lambda: base.notice(message, BASE),
        "slack": lambda: slack.payload(message, BASE),
        "pagerduty": lambda: pagerduty.payload(message, "KEY", BASE),
        "alertmanager": lambda: [alertmanager.alert(message, BASE, now)],
        "console": lambda: console.lines(message, BASE).splitlines(),
        "email": lambda: mail_parts(mail.mail(message, "tocsin@example.org", ["on@call.example"], BASE, now)),
    }
    return json.loads(json.dumps(made[kind](), allow_nan=False))


def mail_parts(found):
    text, html = found.iter_parts()
    return {
        "headers": {key: value for key, value in found.items() if key != "Content-Type"},
        "text": text.get_content().splitlines(),
        "html": html.get_content().splitlines(),
    }


@pytest.mark.parametrize("action", ["trigger", "acknowledge", "resolve"])
@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty", "alertmanager", "console", "email"])
def test_payload_is_as_golden(kind, action):
    got = rendered(kind, messages()[action])
    file = GOLDEN / f"{kind}-{action}.json"
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        file.write_text(json.dumps(got, indent=1, ensure_ascii=False) + "\n")
    assert got == json.loads(file.read_text())


def test_webhook_carries_an_incident_that_reads_back():
    message = messages()["trigger"]
    assert incident_from_json(rendered("webhook", message)["incident"]) == message.incident


def test_pagerduty_keys_are_bounded_and_distinct():
    one, two = pagerduty.dedup_key("x" * 300 + "1"), pagerduty.dedup_key("x" * 300 + "2")
    assert len(one) == len(two) == 255
    assert one != two
    assert pagerduty.dedup_key("inc-1") == "inc-1"


def hostile():
    labels = {"service.name": "</a><script>alert(1)</script><!channel>\r\nBcc: x@y.z"}
    world = World()
    said = world.tick(T0 + MINUTE, finding(labels=labels))
    return Policy().fold(said, T0 + MINUTE, tick=True)[0]


def test_hostile_text_stays_text_everywhere():
    message = hostile()
    found = mail.mail(message, "a@b.c", ["d@e.f"], BASE, T0)
    assert "Bcc" not in found
    html = list(found.iter_parts())[1].get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<!channel>" not in json.dumps(slack.payload(message, BASE))
    assert "\r" not in console.lines(message, BASE)
