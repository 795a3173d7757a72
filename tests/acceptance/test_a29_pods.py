"""A29: when correlated signals meet conditions, serving pods are restarted one by one and replicas of inference added."""

import pytest

from acceptance.remedy_house import House
from acceptance.stack import play
from kubernetes_peer import APPS, RESTARTED, TOKEN, KubernetesPeer, deployment
from ticket_peers import served

pytestmark = pytest.mark.acceptance

CONFIG = """
monitors:
  - {{name: queue, signal: inference.queue.length, detect: {{threshold: {{above: 50}}}}, clear: 1s}}
  - {{name: slow, signal: inference.latency, detect: {{threshold: {{above: 2}}}}, clear: 1s}}
  - {{name: leak, signal: process.memory.usage, detect: {{threshold: {{above: 100}}}}, clear: 1s}}
  - {{name: errors, signal: inference.errors, detect: {{threshold: {{above: 10}}}}, clear: 1s}}
remediation:
  enabled: true
  at_once: 2
  kubernetes: {{url: "{url}", token: {token}, namespaces: [serving], allow: [127.0.0.0/8]}}
playbooks:
  - name: scale-out
    when: {{monitor: queue, also: [slow]}}
    approved: true
    action: {{type: scale, namespace: serving, name: "${{service.name}}", by: 2, most: 8}}
    verify: {{after: 5m, else: rollback}}
  - name: restart
    when: {{monitor: leak, also: [errors]}}
    approved: true
    action: {{type: rolling_restart, namespace: serving, name: "${{service.name}}"}}
    verify: {{after: 5m, else: rollback}}
"""
SCALED, RESTART = (f"{APPS}/namespaces/serving/deployments/{name}" for name in ("chat", "embed"))


def test_a29_replicas_are_added_and_pods_restarted_only_when_both_signals_are_out_of_line(tmp_path):
    peer = KubernetesPeer().add(deployment("chat", replicas=3), deployment("embed", replicas=4))

    async def story():
        async with served(peer):
            house = House(tmp_path, CONFIG.format(url=peer.url, token=TOKEN), [])
            try:
                await told(
                    house,
                    chat={"inference.queue.length": 80, "inference.latency": 1},
                    embed={"process.memory.usage": 140},
                )
                assert (house.state.remedies("main"), peer.writes) == ([], []), "one signal alone is no reason"
                await told(
                    house,
                    chat={"inference.queue.length": 90, "inference.latency": 4},
                    embed={"inference.errors": 30, "process.memory.usage": 150},
                )
                for _ in range(3):
                    await house.pass_by(15)
                assert peer.objects[SCALED]["spec"]["replicas"] == 5
                assert peer.objects[RESTART]["spec"]["template"]["metadata"]["annotations"][RESTARTED]
                assert sorted(path for path, _ in peer.writes) == sorted([SCALED, RESTART]), "each once"
                assert peer.dry_runs >= 2, "all was tried dry before"
                assert {each.playbook: each.state for each in house.state.remedies("main")} == {
                    "scale-out": "verifying", "restart": "verifying",
                }  # fmt: skip
                # the restart helps, two more replicas do not
                await told(
                    house,
                    chat={"inference.queue.length": 95, "inference.latency": 5},
                    embed={"inference.errors": 0, "process.memory.usage": 40},
                )
                for _ in range(7):
                    await house.pass_by(60)
                assert {each.playbook: each.state for each in house.state.remedies("main")} == {
                    "scale-out": "rolled_back", "restart": "succeeded",
                }  # fmt: skip
                assert peer.objects[SCALED]["spec"]["replicas"] == 3
            finally:
                await house.close()

    async def told(house, **services):
        for service, values in services.items():
            await house.gauges(service, {(name, ()): value for name, value in values.items()})
        await house.pass_by(5)

    play(story())
