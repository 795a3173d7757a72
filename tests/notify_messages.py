"""Messages of the chatbot story for tests of destinations."""

from dataclasses import replace
from functools import cache

from incident_world import MINUTE, T0, World, event, finding, gpu_memory, guide, kv_cache, latency, packs, prompt_change
from tocsin.correlate.reducer import human_action
from tocsin.correlate.summary import Summariser
from tocsin.incident.policy import Policy
from tocsin.incident.severity import grader
from tocsin.spec.monitor import MonitorSpec


@cache
def messages():
    """Trigger, acknowledge and resolve of the chatbot story."""
    runbook = MonitorSpec(
        name="input-tokens", signal="*", runbook="https://wiki.example/tokens", impact={"money": "high"}
    )
    world = World([runbook])
    world.reducer._grade = grader()
    events = [prompt_change(T0 - MINUTE // 2), event("deploy", "cart", "cart 1.2 -> 1.3", T0 - 6 * MINUTE)]
    said = world.tick(T0 + MINUTE, finding(), latency(), kv_cache(), gpu_memory(), events=events)
    policy = Policy()
    [trigger] = policy.fold(said, T0 + MINUTE, tick=True)

    def act(action, at):
        record = human_action("main", trigger.incident.id, action, by="ann", at=at)
        return policy.fold(world.reducer.fold(record, world.catalog), at, tick=False)[0]

    found = {
        "trigger": trigger,
        "acknowledge": act("ack", T0 + 2 * MINUTE),
        "resolve": act("resolve", T0 + 3 * MINUTE),
    }
    summariser = Summariser([*packs(), guide()])
    return {name: replace(each, summary=summariser.of(each.incident)) for name, each in found.items()}


def hostile():
    labels = {"service.name": "</a><script>alert(1)</script><!channel>\r\nBcc: x@y.z"}
    world = World()
    said = world.tick(T0 + MINUTE, finding(labels=labels))
    return Policy().fold(said, T0 + MINUTE, tick=True)[0]
