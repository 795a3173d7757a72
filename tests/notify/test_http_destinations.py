import asyncio
import json
from types import SimpleNamespace

import pytest

from notify_messages import messages
from notify_server import http_server
from tocsin.model.clock import SECOND
from tocsin.model.errors import BadConfig, Refused, Retryable
from tocsin.notify.alertmanager import Alertmanager
from tocsin.notify.base import Context
from tocsin.notify.pagerduty import Pagerduty
from tocsin.notify.registry import notifiers, open_destinations, resend_ns
from tocsin.notify.slack import Slack
from tocsin.notify.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, Webhook, sign
from tocsin.spec.destination import AlertmanagerDestination, PagerdutyDestination, SlackDestination, WebhookDestination

LOCAL = ["127.0.0.0/8"]
NOW = 1_800_000_000 * SECOND
CONTEXT = Context("https://tocsin.example")


def sent(make, *answers, action="trigger", thread=""):
    """Send one message to a server that answers so; gives what it got and the receipt."""

    async def scene():
        async with http_server(*answers) as server:
            destination = make(server)
            try:
                receipt = await destination.send(messages()[action], thread, NOW)
            finally:
                await destination.close()
            return server.got, receipt

    return asyncio.run(scene())


def webhook(secret="s3cret"):
    return lambda server: Webhook(
        WebhookDestination(
            name="hook", type="webhook", url=f"{server.url}/in", secret=secret, headers={"x-team": "ml"}, allow=LOCAL
        ),
        CONTEXT,
    )


def test_webhook_is_signed_over_time_and_body():
    [got], _ = sent(webhook())
    stamp = got.headers[TIMESTAMP_HEADER]
    assert stamp == str(NOW // SECOND)
    assert got.headers[SIGNATURE_HEADER] == sign("s3cret", stamp, got.body)
    assert got.headers[SIGNATURE_HEADER] != sign("s3cret", str(int(stamp) + 1), got.body)
    assert got.headers[SIGNATURE_HEADER] != sign("other", stamp, got.body)
    assert got.headers["x-team"] == "ml"
    assert got.path == "/in"
    body = json.loads(got.body)
    message = messages()["trigger"]
    assert body["incident_id"] == message.incident.id
    assert body["dedup_key"] == message.dedup_key
    assert body["message_id"] == got.headers["idempotency-key"] == message.id


def test_webhook_without_secret_is_not_signed():
    [got], _ = sent(webhook(secret=""))
    assert SIGNATURE_HEADER not in got.headers


@pytest.mark.parametrize(
    ("answer", "error"), [((500, {}, b""), Retryable), ((429, {}, b""), Retryable), ((410, {}, b""), Refused)]
)
def test_webhook_tells_what_is_worth_a_retry(answer, error):
    with pytest.raises(error):
        sent(webhook(), answer)


def pagerduty(server):
    spec = {"name": "pd", "type": "pagerduty", "routing_key": "R", "allow": LOCAL}
    return Pagerduty(PagerdutyDestination(**spec, url=server.url), CONTEXT)


def alertmanager(server):
    return Alertmanager(AlertmanagerDestination(name="am", type="alertmanager", url=server.url, allow=LOCAL), CONTEXT)


@pytest.mark.parametrize("kind", ["webhook", "pagerduty", "alertmanager", "slack-webhook"])
def test_who_says_when_to_come_back_is_asked_again_then(kind):
    make = {
        "webhook": webhook(), "pagerduty": pagerduty, "alertmanager": alertmanager, "slack-webhook": slack(token=""),
    }[kind]  # fmt: skip
    with pytest.raises(Retryable) as caught:
        sent(make, (429, {"retry-after": "7"}, b"slow down"))
    assert caught.value.retry_after_s == 7


def slack(token="xoxb"):
    spec = {"token": token, "channel": "#ds"} if token else {}
    return lambda server: Slack(SlackDestination(name="s", type="slack", url=server.url, allow=LOCAL, **spec), CONTEXT)


def test_slack_bot_starts_a_thread_and_goes_on_in_it():
    answer = (200, {}, json.dumps({"ok": True, "ts": "17.5"}).encode())
    [got], receipt = sent(slack(), answer)
    body = json.loads(got.body)
    assert got.headers["authorization"] == "Bearer xoxb"
    assert (body["channel"], "thread_ts" in body, receipt.thread) == ("#ds", False, "17.5")
    [got], receipt = sent(slack(), answer, action="resolve", thread="17.5")
    body = json.loads(got.body)
    assert (body["thread_ts"], body["reply_broadcast"], receipt.thread) == ("17.5", True, "17.5")


@pytest.mark.parametrize(
    ("reason", "error"), [("ratelimited", Retryable), ("channel_not_found", Refused), ("x\x1b[1m", Refused)]
)
def test_slack_errors_in_a_200_are_errors(reason, error):
    with pytest.raises(error) as caught:
        sent(slack(), (200, {}, json.dumps({"ok": False, "error": reason}).encode()))
    assert "\x1b" not in str(caught.value)


def test_slack_answer_that_is_no_json_is_tried_again():
    with pytest.raises(Retryable):
        sent(slack(), (200, {}, b"<html>"))


def test_slack_incoming_webhook_needs_no_token():
    [got], receipt = sent(slack(token=""), (200, {}, b"ok"))
    assert "authorization" not in got.headers
    assert receipt.thread == ""


@pytest.mark.parametrize(
    ("action", "event"), [("trigger", "trigger"), ("acknowledge", "acknowledge"), ("resolve", "resolve")]
)
def test_pagerduty_goes_through_its_life_under_one_key(action, event):
    [got], _ = sent(pagerduty, (202, {}, b"{}"), action=action)
    body = json.loads(got.body)
    assert (body["event_action"], body["dedup_key"]) == (event, messages()["trigger"].dedup_key)


def test_every_type_has_its_class_and_console_is_always_there():
    assert set(notifiers()) == {
        *("alertmanager", "console", "email", "jira", "jira_service_management", "linear"),
        *("opsgenie", "pagerduty", "slack", "teams", "webhook"),
    }
    spec = {"name": "am", "type": "alertmanager", "url": "http://127.0.0.1:9093"}
    found = open_destinations([AlertmanagerDestination(**spec)], CONTEXT)
    assert set(found) == {"console", "am"}
    assert resend_ns(found.values()) == {"am": 300 * SECOND}
    asyncio.run(found["am"].close())
    with pytest.raises(BadConfig, match="did you mean 'slack'"):
        open_destinations([SimpleNamespace(name="x", type="slak")], CONTEXT)
