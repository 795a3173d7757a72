"""Opsgenie, Jira Service Management, Jira, Linear and Teams against peers that enforce their schemas."""

import asyncio
import json
from dataclasses import replace

import pytest

from notify_messages import hostile, messages
from ticket_peers import Alerts, JiraPeer, LinearPeer, TeamsPeer, served
from tocsin.model.clock import SECOND
from tocsin.model.errors import Refused, Retryable
from tocsin.model.finding import Finding
from tocsin.notify.base import Context
from tocsin.notify.registry import open_destinations
from tocsin.spec.load import parse_config

NOW = 1_800_000_000 * SECOND
CONTEXT = Context("https://tocsin.example")
GENIE = {"api_key": "K"}
JIRA = {"project": "OPS", "email": "a@b.c", "token": "T", "priorities": {"critical": "Highest", "error": "High"}}
LINEAR = {"api_key": "lin_api_1", "team": "5a9a3f0e-team", "resolved_state": "done-state"}


def destination(kind, peer, path="", **spec):
    wanted = {"name": "d", "type": kind, "url": f"{peer.url}{path}", "allow": ["127.0.0.0/8"], **spec}
    config = parse_config(json.dumps({"destinations": [wanted]}), "t.yaml", {}).config
    return open_destinations(config.destinations, CONTEXT)["d"]


def story(kind, peer, *said, path="", **spec):
    """Send messages in turn, each with the thread that the first receipt named; gives the receipts."""

    async def scene():
        async with served(peer):
            to = destination(kind, peer, path, **spec)
            receipts, thread = [], ""
            for message in said:
                receipts.append(await to.send(message, thread, NOW))
                thread = thread or receipts[0].thread
            await to.close()
            return receipts

    return asyncio.run(scene())


def told(*actions):
    known = messages()
    return [replace(known["trigger"], action="update") if a == "update" else known[a] for a in actions]


@pytest.mark.parametrize("kind", ["opsgenie", "jira_service_management"])
def test_an_alert_lives_under_its_alias(kind):
    peer = Alerts()
    path = "/v2/alerts" if kind == "opsgenie" else "/jsm/ops/integration/v2/alerts"
    story(kind, peer, *told("trigger", "trigger", "acknowledge", "update", "resolve"), path=path, **GENIE)
    (alert,) = peer.alerts.values()
    trigger = messages()["trigger"]
    assert (alert["alias"], alert["status"], alert["count"], len(alert["notes"])) == (trigger.dedup_key, "closed", 2, 1)
    assert alert["priority"] == "P1"
    assert "input tokens" in alert["description"].lower()
    assert alert["details"]["incident"] == f"https://tocsin.example/incidents/{trigger.incident.id}"


def test_an_issue_of_jira_is_opened_once_told_of_and_moved_to_done():
    peer = JiraPeer()
    receipts = story("jira", peer, *told("trigger", "update", "resolve"), **JIRA)
    (key, issue), *_ = peer.issues.items()
    assert [receipt.thread for receipt in receipts] == [key] * 3
    assert (len(peer.issues), issue["status"], len(issue["comments"])) == (1, "Done", 2)
    assert issue["priority"] == {"name": "Highest"}
    assert "tocsin" in issue["labels"]


def test_an_issue_whose_answer_got_lost_is_found_again():
    peer = JiraPeer()
    story("jira", peer, *told("trigger"), **JIRA)
    (receipt,) = story("jira", peer, *told("trigger"), **JIRA)  # nobody knows of a thread
    assert (len(peer.issues), receipt.thread) == (1, "OPS-1")


def test_jira_of_a_data_centre_takes_plain_text_and_a_named_transition():
    peer = JiraPeer(version=2, authorization="Bearer T")
    spec = {"project": "OPS", "token": "T", "issue_type": "Bug", "resolve_transition": "won't fix"}
    story("jira", peer, *told("trigger", "resolve"), **spec)
    assert peer.issues["OPS-1"]["status"] == "Won't fix"
    peer = JiraPeer(version=2, authorization="Bearer T")
    receipts = story("jira", peer, *told("trigger", "resolve"), **spec | {"resolve_transition": "Nowhere"})
    assert peer.issues["OPS-1"]["status"] == "To Do"
    assert "commented" in receipts[-1].detail


def test_an_issue_of_linear_is_opened_once_by_an_id_of_our_own():
    peer = LinearPeer()
    story("linear", peer, *told("trigger", "update"), **LINEAR)
    story("linear", peer, *told("trigger", "resolve"), **LINEAR)  # the answer to the first got lost
    (issue,) = peer.issues.values()
    assert (len(peer.issues), issue["state"], issue["priority"], len(issue["comments"])) == (1, "done-state", 1, 3)
    assert issue["teamId"] == "5a9a3f0e-team"


@pytest.mark.parametrize(("code", "error"), [("RATELIMITED", Retryable), ("FORBIDDEN", Refused)])
def test_what_linear_says_in_a_200_is_an_error(code, error):
    with pytest.raises(error, match="slow down"):
        story("linear", LinearPeer(errors_with=code), *told("trigger"), **LINEAR)


def test_teams_gets_cards():
    peer = TeamsPeer()
    story("teams", peer, *told("trigger", "acknowledge", "resolve"))
    heads = [card["body"][0]["inlines"][0] for card in peer.cards]
    assert [head["color"] for head in heads] == ["attention", "attention", "good"]
    assert heads[2]["text"].startswith("RESOLVED")
    assert peer.cards[0]["actions"][0]["url"].endswith(messages()["trigger"].incident.id)


PEERS = [
    ("opsgenie", Alerts, "/v2/alerts", GENIE),
    ("jira_service_management", Alerts, "/jsm/ops/integration/v2/alerts", GENIE),
    ("jira", JiraPeer, "", JIRA),
    ("linear", LinearPeer, "", LINEAR),
    ("teams", TeamsPeer, "", {}),
]


@pytest.mark.parametrize(("kind", "peer", "path", "spec"), PEERS)
def test_a_busy_peer_says_when_to_come_back(kind, peer, path, spec):
    with pytest.raises(Retryable) as caught:
        story(kind, peer(busy=1), *told("trigger"), path=path, **spec)
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(("kind", "peer", "path", "spec"), PEERS)
def test_what_is_large_and_hostile_fits_and_stays_text(kind, peer, path, spec):
    message = hostile()
    finding: Finding = message.incident.findings[0]
    many = replace(finding, monitor="`````x</a>[l](http://evil) @all " + "y" * 400)
    statement = "<at>everyone</at> ```` [x](javascript:alert(1)) \u202e\x1b[31m" + "long " * 9_000
    incident = replace(message.incident, findings=(many,) * 200, statement=statement, title="t" * 4_000)
    made = peer()
    story(kind, made, replace(message, incident=incident), path=path, **spec)
    if kind == "linear":
        (issue,) = made.issues.values()
        assert issue["description"].count("```") == 2  # the fence alone


@pytest.mark.parametrize(("kind", "peer", "path", "spec"), PEERS[:-1])  # of Teams the address is the key
def test_a_wrong_key_is_refused_for_good(kind, peer, path, spec):
    wrong = {name: "wrong" if name in ("api_key", "token") else value for name, value in spec.items()}
    with pytest.raises(Refused):
        story(kind, peer(), *told("trigger"), path=path, **wrong)
