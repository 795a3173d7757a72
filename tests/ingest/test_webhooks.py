"""Webhooks as their senders publish them: which are changes, what they say, who may send them."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_world import NOW, World, call, open_to_all
from tocsin.ingest.http import ingest_app
from tocsin.ingest.senders import Senders, shipped_packs
from tocsin.model.access import OPEN_ACCESS
from tocsin.model.frame import FrameKind
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec
from tocsin.spec.source import WebhookSource
from tocsin.spec.wire import ChangeRuleSpec

SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
REPOSITORY = {"name": "checkout-api", "full_name": "Codertocat/checkout-api", "html_url": "https://github.com/x/y"}
DEPLOYMENT = {
    "id": 145988746,
    "sha": SHA,
    "ref": "main",
    "task": "deploy",
    "environment": "production",
    "created_at": "2026-09-21T15:20:00Z",
    "updated_at": "2026-09-21T15:20:18Z",
}
STATUS = {
    "deployment_status": {
        "id": 209916254,
        "state": "success",
        "environment": "production",
        "target_url": "",
        "log_url": "https://github.com/x/y/actions/runs/1",
        "created_at": "2026-09-21T15:30:18Z",
    },
    "deployment": DEPLOYMENT,
    "repository": REPOSITORY,
    "sender": {"login": "Codertocat"},
}
GITLAB = {
    "object_kind": "deployment",
    "status": "success",
    "status_changed_at": "2026-09-21 17:30:00 +0200",
    "deployment_id": 15,
    "deployable_id": 796,
    "deployable_url": "http://gitlab.example/shop/checkout/-/jobs/796",
    "environment": "staging",
    "project": {"id": 30, "name": "checkout", "path_with_namespace": "shop/checkout"},
    "short_sha": "279484c0",
    "user": {"id": 1, "username": "ann"},
    "commit_title": "Add new file",
}
ARGOCD = {
    "application": "checkout",
    "namespace": "shop",
    "revision": SHA,
    "phase": "Succeeded",
    "health": "Healthy",
    "started_at": "2026-09-21T15:29:00Z",
    "finished_at": "2026-09-21T15:30:00Z",
    "repository": "https://github.com/x/y",
    "url": "https://argocd.example/applications/checkout",
}
APPLICATION = {
    "metadata": {"name": "checkout", "namespace": "argocd"},
    "spec": {"source": {"repoURL": "https://github.com/x/y"}, "destination": {"namespace": "shop"}},
    "status": {
        "sync": {"status": "Synced", "revision": SHA},
        "health": {"status": "Healthy"},
        "operationState": {"phase": "Succeeded", "finishedAt": "2026-09-21T15:30:00Z"},
    },
}
KUBERNETES = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "checkout.17a", "namespace": "shop", "creationTimestamp": "2026-09-21T15:30:00Z"},
    "involvedObject": {"kind": "Deployment", "namespace": "shop", "name": "checkout"},
    "reason": "ScalingReplicaSet",
    "message": "Scaled up replica set checkout-6d4cf56db6 to 3",
    "source": {"component": "deployment-controller"},
    "firstTimestamp": "2026-09-21T15:00:00Z",
    "lastTimestamp": "2026-09-21T15:30:00Z",
    "count": 1,
    "type": "Normal",
}
NODE = KUBERNETES | {
    "involvedObject": {"kind": "Node", "name": "node-7"},
    "reason": "NodeNotReady",
    "message": "Node node-7 status is now: NodeNotReady",
}
NEW_EVENT = {
    "apiVersion": "events.k8s.io/v1",
    "regarding": {"kind": "Pod", "namespace": "shop", "name": "checkout-0"},
    "reason": "Evicted",
    "note": "The node was low on resource: memory",
    "eventTime": "2026-09-21T15:30:00.123456Z",
    "type": "Warning",
}
COMPONENT = {
    "meta": {"unsubscribe": "http://x", "documentation": "http://y"},
    "page": {"id": "j2mfxwj97wnj", "status_indicator": "major", "status_description": "Partial System Outage"},
    "component_update": {
        "created_at": "2026-09-21T15:30:00Z",
        "new_status": "major_outage",
        "old_status": "operational",
    },
    "component": {"id": "rb5wg", "name": "Chat completions", "status": "major_outage"},
}
# 2026-09-21T15:30:00Z
AT = 1_790_004_600
LATER = (AT + 3600) * 10**9


def of(event):
    return {"x-github-event": event}


def posted(name, payload, headers=None, config="{}", authorise=open_to_all, now=LATER, media="application/json"):
    packs = shipped_packs()
    sources = parse_config(config, "tocsin.yaml", {}, packs).config.sources
    world = World(now=now)
    app = ingest_app(world.edge, authorise, senders=Senders(packs, sources))
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    answer = call(app, path=f"/api/events/{name}", body=body, headers={"content-type": media} | (headers or {}))
    return answer, world.rows(FrameKind.EVENTS)


@pytest.mark.parametrize(
    ("name", "payload", "headers", "kind", "entity", "what", "second"),
    [
        ("github", STATUS, of("deployment_status"), "deploy", "checkout-api", "main (f95f852bd8) to production: success", 18),
        ("github", {"deployment": DEPLOYMENT, "repository": REPOSITORY}, of("deployment"), "deploy", "checkout-api",
         "main (f95f852bd8) to production: asked for", -600),
        ("github", {"action": "published", "release": {"tag_name": "v1.2", "name": "Autumn", "published_at":
         "2026-09-21T15:30:00Z"}, "repository": REPOSITORY}, of("release"), "deploy", "checkout-api", "release v1.2 Autumn", 0),
        ("github", {"ref": "refs/heads/main", "after": SHA, "deleted": False, "head_commit": {"message": "Fix\nit",
         "timestamp": "2026-09-21T17:30:00+02:00"}, "repository": REPOSITORY}, of("push"), "config", "checkout-api",
         "push to refs/heads/main (f95f852bd8): Fix it", 0),
        ("gitlab", GITLAB, {}, "deploy", "checkout", "Add new file (279484c0) to staging: success", 0),
        ("gitlab", {"object_kind": "feature_flag", "project": {"name": "checkout"}, "object_attributes": {"name": "new-cart",
         "active": True}}, {}, "flag", "checkout", "flag new-cart: active true", 3600),
        ("argocd", ARGOCD, {}, "deploy", "checkout", "sync of checkout to f95f852bd8: Succeeded", 0),
        ("argocd", APPLICATION, {}, "deploy", "checkout", "sync of checkout to f95f852bd8: Succeeded", 0),
        ("argocd", {"app": APPLICATION}, {}, "deploy", "checkout", "sync of checkout to f95f852bd8: Succeeded", 0),
        ("kubernetes", KUBERNETES, {}, "deploy", "checkout",
         "ScalingReplicaSet on Deployment checkout: Scaled up replica set checkout-6d4cf56db6 to 3", 0),
        ("kubernetes", NODE, {}, "node", "node-7", "NodeNotReady on Node node-7: Node node-7 status is now: NodeNotReady", 0),
        ("kubernetes", {"type": "ADDED", "object": NODE}, {}, "node", "node-7",
         "NodeNotReady on Node node-7: Node node-7 status is now: NodeNotReady", 0),
        ("kubernetes", NEW_EVENT, {}, "node", "checkout-0", "Evicted on Pod checkout-0: The node was low on resource: memory", 0),
        ("kubernetes", NODE | {"reason": "GpuXidError", "message": "Xid 79"}, {}, "gpu", "node-7",
         "GpuXidError on Node node-7: Xid 79", 0),
        ("statuspage", COMPONENT, {}, "dependency", "", "Partial System Outage: Chat completions is major_outage", 0),
        ("statuspage", {"page": {}, "incident": {"name": "Errors", "impact": "major", "status": "investigating",
         "updated_at": "2026-09-21T15:30:00Z"}}, {}, "dependency", "", ": Errors (major), investigating", 0),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_senders_publish_becomes_a_change(name, payload, headers, kind, entity, what, second):
    answer, rows = posted(name, payload, headers)
    assert (answer.status, json.loads(answer.body)) == (202, {"accepted": 1})
    (row,) = rows
    assert (row["kind"], row["entity"], row["what"], row["source"]) == (kind, entity, what, name)
    assert row["time"] // 10**9 - AT == second


def test_links_versions_and_people_come_along():
    _, (row,) = posted("github", STATUS, of("deployment_status"))
    assert dict(row["attributes"]) == {
        "new": "f95f852bd8",
        "deployment.id": "145988746",
        "deployment.environment.name": "production",
        "deployment.status": "success",
        "vcs.repository.name": "Codertocat/checkout-api",
        "vcs.ref.head.name": "main",
        "link": "https://github.com/x/y/actions/runs/1",
        "actor": "Codertocat",
    }


@pytest.mark.parametrize(
    ("name", "payload", "headers"),
    [
        ("github", {"zen": "Keep it logically awesome.", "hook_id": 1}, of("ping")),
        ("github", {**STATUS, "deployment_status": {"state": "queued"}}, of("deployment_status")),
        ("github", {"ref": "refs/heads/topic", "after": SHA}, of("push")),
        ("github", {"ref": "refs/heads/main", "deleted": True}, of("push")),
        ("gitlab", GITLAB | {"status": "created"}, {}),
        ("kubernetes", KUBERNETES | {"reason": "Pulled"}, {}),
        ("argocd", {}, {}),
    ],
    ids=range(7),
)
def test_what_is_no_change_is_well_received_and_left(name, payload, headers):
    answer, rows = posted(name, payload, headers)
    assert answer.status == 202
    assert json.loads(answer.body)["accepted"] == 0
    assert "no rule" in json.loads(answer.body)["message"]
    assert not rows


SIGNED = (
    '{sources: [{name: deploys, type: webhook, format: github, secret: "s3cret", entities: {checkout-*: checkout}}]}'
)


def signature(body, secret="s3cret"):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def nobody(_header):
    return None


def test_a_signature_stands_for_a_key_and_names_are_those_of_the_configuration():
    body = json.dumps(STATUS).encode()
    headers = of("deployment_status") | {"x-hub-signature-256": signature(body)}
    answer, (row,) = posted("github", body, headers, SIGNED, nobody)
    assert answer.status == 202
    assert (row["entity"], row["source"]) == ("checkout", "deploys")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({}, "is missing"),
        ({"x-hub-signature-256": signature(b"x")}, "is wrong"),
        ({"x-hub-signature-256": "é"}, "is wrong"),
    ],
)
def test_without_the_right_signature_nothing_enters_whatever_key_is_sent(header, text):
    answer, rows = posted("github", STATUS, of("deployment_status") | header, SIGNED)
    assert (answer.status, not rows) == (401, True)
    assert text in json.loads(answer.body)["message"]
    assert "s3cret" not in answer.body.decode()


def test_a_token_is_the_secret_or_a_key():
    config = "{sources: [{name: ours, type: webhook, format: gitlab, secret: s3cret}]}"
    assert posted("gitlab", GITLAB, {"x-gitlab-token": "s3cret"}, config, nobody)[0].status == 202
    assert posted("gitlab", GITLAB, {"x-gitlab-token": "other"}, config, nobody)[0].status == 401
    seen = []

    def authorise(header):
        seen.append(header)
        return OPEN_ACCESS if header == "Bearer tk_1" else None

    assert posted("gitlab", GITLAB, {"x-gitlab-token": "tk_1"}, "{}", authorise)[0].status == 202
    assert posted("gitlab", GITLAB, {"x-gitlab-token": "no"}, "{}", authorise)[0].status == 401
    assert seen == ["Bearer tk_1", "Bearer no"]


def test_a_form_holds_its_payload_in_a_field():
    body = urlencode({"payload": json.dumps(STATUS)}).encode()
    headers = of("deployment_status") | {"x-hub-signature-256": signature(body)}
    answer, rows = posted("github", body, headers, SIGNED, nobody, media="application/x-www-form-urlencoded")
    assert (answer.status, len(rows)) == (202, 1)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("format: githup", "did you mean `github`"),
        ("format: argocd, secret: s", "nothing says how `argocd` signs"),
        ("format: own, secret: s, changes: [{kind: flag, what: x}]", "nothing says how `own` signs"),
    ],
)
def test_what_can_t_work_is_told_at_the_start(source, text):
    with pytest.raises(BadSpec, match=text):
        parse_config(f"{{sources: [{{name: a, type: webhook, {source}}}]}}", "t.yaml", {}, shipped_packs())


def test_payloads_of_ones_own_have_rules_in_the_configuration():
    rules = "changes: [{kind: flag, entity: '${project}', what: 'flag ${name}', when: {kind: flag}}]"
    signed = "secret: s3cret, signature: {header: x-sign, method: hmac-sha256}"
    config = f"{{sources: [{{name: ours, type: webhook, format: flags, {signed}, {rules}}}]}}"
    body = b'{"kind": "flag", "project": "shop", "name": "new-cart"}'
    proof = signature(body).removeprefix("sha256=")
    answer, (row,) = posted("flags", body, {"x-sign": proof}, config, nobody)
    assert (answer.status, row["kind"], row["entity"], row["what"]) == (202, "flag", "shop", "flag new-cart")
    assert posted("flags", body, {}, config, nobody)[0].status == 401
    assert posted("flags", body)[0].status == 404


def test_a_secret_without_a_way_to_prove_it_lets_nobody_in():
    source = WebhookSource(name="a", type="webhook", format="argocd", secret="s3cret")
    world = World(now=LATER)
    app = ingest_app(world.edge, open_to_all, senders=Senders(shipped_packs(), [source]))
    headers = {"content-type": "application/json"}
    assert call(app, path="/api/events/argocd", body=json.dumps(ARGOCD).encode(), headers=headers).status == 401
    assert not world.log.entries


def test_the_address_explains_itself():
    app = ingest_app(World().edge, open_to_all)
    page = call(app, method="GET", path="/api/events/gitlab").body.decode()
    assert "deployment, release, feature flag" in page


def test_a_changed_configuration_is_gone_by_at_once():
    world, senders = World(now=LATER), Senders(shipped_packs())
    app = ingest_app(world.edge, open_to_all, senders=senders)

    def status(path):
        headers = {"content-type": "application/json"} | of("deployment_status")
        return call(app, path=path, body=json.dumps(STATUS).encode(), headers=headers).status

    assert (status("/api/events/github"), status("/api/events/ours")) == (202, 404)
    source = WebhookSource(name="a", type="webhook", format="github", secret="s3cret")
    own = WebhookSource(name="b", type="webhook", format="ours", changes=[ChangeRuleSpec(kind="flag", what="x")])
    senders.adopt([source, own])
    assert (status("/api/events/github"), status("/api/events/ours")) == (401, 202)


@pytest.mark.parametrize(
    ("body", "media", "status", "text"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b"[" * 50_000, "application/json", 400, "not JSON"),
        (b"7", "application/json", 400, "JSON object"),
        (b"[1]", "application/json", 400, "JSON object"),
        (b"a=b", "application/x-www-form-urlencoded", 400, "not JSON"),
        (b"{}", "text/plain", 415, "application/json or"),
    ],
    ids=range(6),
)
def test_bad_payloads_are_refused_with_a_reason(body, media, status, text):
    answer, rows = posted("github", body, {}, media=media)
    assert (answer.status, not rows) == (status, True)
    assert text in answer.body.decode()


def test_hostile_text_is_one_bounded_line():
    payload = GITLAB | {
        "commit_title": "a\x1b[31m\n\u202e\ud800" + "b" * 9000,
        "status_changed_at": "2099-01-01T00:00:00Z",
    }
    _, (row,) = posted("gitlab", payload)
    assert row["what"].startswith("a [31m ")
    assert len(row["what"]) <= 300
    assert row["time"] == LATER


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_APP = World(now=NOW)
_INGEST = ingest_app(_APP.edge, open_to_all)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([("github", STATUS), ("gitlab", GITLAB), ("argocd", APPLICATION), ("kubernetes", NODE)]),
    st.data(),
)
def test_bent_payloads_are_refused_or_give_valid_frames(case, data):
    name, payload = case
    bent = dict(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        bent[data.draw(st.sampled_from(sorted(payload)))] = data.draw(_JSON)
    body = json.dumps(bent).encode()
    headers = {"content-type": "application/json"} | of("deployment_status")
    assert call(_INGEST, path=f"/api/events/{name}", body=body, headers=headers).status == 202
    for frame in _APP.frames():
        frame.batch.validate(full=True)
