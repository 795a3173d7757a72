"""What goes out to each destination, byte for byte; `TOCSIN_GOLDEN=write` writes the files anew."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from incident_world import T0
from notify_messages import hostile, messages
from tocsin.model.codec import incident_from_json
from tocsin.model.message import TraceExample
from tocsin.model.series import Series, Signal
from tocsin.notify import alertmanager, base, console, jira, linear, mail, opsgenie, pagerduty, slack, teams
from tocsin.notify.base import Context
from tocsin.notify.jira_service_management import JiraServiceManagement
from tocsin.spec.destination import JiraDestination, JiraServiceManagementDestination

GOLDEN = Path(__file__).parent.parent / "golden" / "notify"
BASE = "https://tocsin.example"
JIRA = JiraDestination(name="j", type="jira", url="https://x.example", project="OPS", email="a@b.c", token="t")


class Asked:
    """Takes every request, and keeps it."""

    async def post(self, url, body, headers):
        self.got = [url, headers, json.loads(body)]
        return SimpleNamespace(status=202)


def asked(message):
    """Address, headers and body of what Jira Service Management is asked."""
    spec = JiraServiceManagementDestination(name="j", type="jira_service_management", api_key="K")
    to = JiraServiceManagement(spec, Context(BASE))
    to._client = Asked()
    asyncio.run(to.send(message, "", 0))
    return to._client.got


def rendered(kind, message):
    now = message.created_at
    made = {
        "webhook": lambda: base.notice(message, BASE),
        "slack": lambda: slack.payload(message, BASE),
        "pagerduty": lambda: pagerduty.payload(message, "KEY", BASE),
        "opsgenie": lambda: opsgenie.request(message, BASE),
        "jira_service_management": lambda: asked(message),
        "jira": lambda: jira.issue(message, JIRA, BASE),
        "linear": lambda: [linear.issue_id(message), linear.markdown(message, BASE)],
        "teams": lambda: teams.payload(message, BASE),
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
@pytest.mark.parametrize(
    "kind",
    [
        "webhook",
        "slack",
        "pagerduty",
        "alertmanager",
        "console",
        "email",
        "opsgenie",
        "jira",
        "linear",
        "teams",
        "jira_service_management",
    ],
)
def test_payload_is_as_golden(kind, action):
    got = rendered(kind, messages()[action])
    file = GOLDEN / f"{kind}-{action}.json"
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        file.write_text(json.dumps(got, indent=1, ensure_ascii=False) + "\n")
    assert got == json.loads(file.read_text())


def test_a_finding_of_a_name_too_long_for_an_address_leads_to_its_incident():
    message = messages()["trigger"]
    long = replace(message.incident.findings[0], series=Series.of("main", Signal("s" * 1000), {}))
    found = base.finding_lines(replace(message.incident, findings=(long,)), BASE)
    assert [each.rpartition(": ")[2] for each in found] == [f"{BASE}/incidents/{message.incident.id}"]


def test_webhook_carries_an_incident_that_reads_back():
    message = messages()["trigger"]
    assert incident_from_json(rendered("webhook", message)["incident"]) == message.incident


def test_pagerduty_keys_are_bounded_and_distinct():
    one, two = pagerduty.dedup_key("x" * 300 + "1"), pagerduty.dedup_key("x" * 300 + "2")
    assert len(one) == len(two) == 255
    assert one != two
    assert pagerduty.dedup_key("inc-1") == "inc-1"


def test_hostile_text_stays_text_everywhere():
    message = hostile()
    found = mail.mail(message, "a@b.c", ["d@e.f"], BASE, T0)
    assert "Bcc" not in found
    html = list(found.iter_parts())[1].get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<!channel>" not in json.dumps(slack.payload(message, BASE))
    assert "\r" not in console.lines(message, BASE)


def test_example_traces_are_in_every_notice_that_has_room():
    example = TraceExample("slowest", "ab" * 16, "bot", "POST /chat <!channel>", T0, 4_200_000_000)
    message = replace(messages()["trigger"], traces=(example,))
    url = f"{BASE}/traces/{'ab' * 16}"
    [told] = rendered("webhook", message)["traces"]
    assert (told["role"], told["url"], told["duration_s"]) == ("slowest", url, 4.2)
    assert {"href": url, "text": "Trace: the slowest since it began"} in rendered("pagerduty", message)["links"]
    assert f"- the slowest since it began, POST /chat <!channel> of bot, 4.2 s: {url}" in base.text_body(message, BASE)
    slacked = json.dumps(rendered("slack", message))
    assert url in slacked
    assert "<!channel>" not in slacked


@pytest.mark.parametrize(
    "kind", ["webhook", "slack", "pagerduty", "alertmanager", "console", "email", "opsgenie", "jira", "linear", "teams"]
)
def test_every_alert_says_how_its_severity_was_reckoned(kind):
    said = json.dumps(rendered(kind, messages()["trigger"]))
    assert "impact 3 (money high) x confidence 0.90" in said
    assert "= 2.69" in said
