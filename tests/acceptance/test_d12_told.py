"""D12 from OTLP to what a webhook is told: one page with causes and the joint runbook, and a fix that fails is taken back."""

from __future__ import annotations

import json

import pytest

from acceptance.partitions_world import CALM_S, CONFIG, STEP_S, packs, steps
from acceptance.remedy_house import House
from acceptance.stack import Hook, play
from acceptance.wire import send_points, send_spans
from kubernetes_peer import CORE, TOKEN, KubernetesPeer, node
from ticket_peers import served

pytestmark = pytest.mark.acceptance

NODE = f"{CORE}/nodes/node-2"
DONE = """
destinations: [{{name: oncall, type: webhook, url: "{hook}", secret: s3cret, allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [oncall], cooldown: 0s}}]
remediation:
  enabled: true
  kubernetes: {{url: "{cluster}", token: {token}, nodes: true, allow: [127.0.0.0/8]}}
playbooks:
  - name: no-new-pods
    when: {{monitor: fraud-false-negatives, also: [node-network-errors]}}
    approved: true
    action: {{type: cordon, node: node-2}}
    verify: {{after: 5m, else: rollback}}
"""


async def story(path, hook, cluster):
    async with served(cluster):
        text = CONFIG + DONE.format(hook=hook.url, cluster=cluster.url, token=TOKEN)
        house = House(path, text, packs())
        try:
            for second, points, spans in steps(house.clock.now()):
                await send_points(house, points)
                await send_spans(house, spans)
                await house.pass_by(STEP_S, stored=second >= CALM_S)
                assert second > CALM_S or not hook.posts, "told before anything broke"
            assert house.state.verify_audit() == sum(len(each.log) for each in house.state.remedies("main"))
            return house.state.remedies("main"), house.incidents()
        finally:
            await house.close()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """What was posted, the remedies, the incidents and the cluster, once all is over."""
    hook, cluster = Hook(), KubernetesPeer().add(*(node(f"node-{n}") for n in range(1, 6)))
    try:
        remedies, incidents = play(story(tmp_path_factory.mktemp("d12"), hook, cluster))
        return [body for _, _, body in hook.posts], remedies, incidents, cluster
    finally:
        hook.close()


def test_d12_the_webhook_is_told_of_one_incident_with_who_leads_and_the_joint_runbook(played):
    posts, _, incidents, _ = played
    assert len(incidents) == 2
    disk, broken = sorted({post["incident"]["id"] for post in posts}, key=lambda key: len(_of(posts, key)))
    assert {each["monitor"] for each in _of(posts, disk)[-1]["findings"]} == {"disk-full"}
    assert [each["action"] for each in posts if each["incident"]["id"] == broken].count("trigger") == 1
    last = _of(posts, broken)[-1]
    monitors = {"node-network-errors", "container-restarts", "gateway-latency", "fraud-false-negatives"}
    assert {each["monitor"] for each in last["findings"]} == monitors
    first, second = last["causes"][:2]
    assert (first["kind"], first["entity"]) == ("resource", "node-2:9100")
    assert first["score"] > 2 * second["score"]
    assert "it was out of line first" in first["evidence"]
    assert [each["title"] for each in last["runbooks"]] == ["Models on a broken network"]
    assert "leads fraud.false_negative_ratio of fraud" in json.dumps(last["causes"])


def test_d12_a_cordon_that_does_not_help_is_taken_back_and_told(played):
    posts, remedies, _, cluster = played
    (remedy,) = remedies
    assert remedy.state == "rolled_back"
    assert [path for path, _ in cluster.writes] == [NODE, NODE], "done once, and taken back once"
    assert not cluster.objects[NODE]["spec"].get("unschedulable")
    assert any("fraud-false-negatives is still out of line" in step.what for step in remedy.log)
    told = json.dumps([post for post in posts if post["incident"]["id"] == remedy.incident_id])
    assert "taken back" in told
    assert "no-new-pods" in told


def _of(posts, key):
    return [post["incident"] for post in posts if post["incident"]["id"] == key]
