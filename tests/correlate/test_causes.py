import importlib.resources
from dataclasses import replace

import pytest
import yaml

from incident_world import BOT, MINUTE, SECOND, T0, World, event, finding, packs, prompt_change
from tocsin.correlate.diagnosis import BAR, diagnose, named
from tocsin.correlate.edges import CausalGraph
from tocsin.correlate.evidence import Scene
from tocsin.correlate.statement import Symptom
from tocsin.model.finding import Finding
from tocsin.spec.monitor import MonitorSpec

GRAPH = CausalGraph(packs())
DEMO_MODEL = {"gen_ai.request.model": "support-8b-instruct"}
DEMO_BOT = {"service.name": "support-bot", **DEMO_MODEL}
DEMO_VLLM = {"engine": "0", "model_name": "support-8b-instruct", "instance": "127.0.0.1:41001", "job": "model-server"}
DEMO_GPU = {
    "Hostname": "gpu-node-1",
    "UUID": "GPU-6f8a",
    "gpu": "0",
    "instance": "127.0.0.1:41001",
    "job": "model-server",
}
HOST = {"host.name": "laptop"}


def first(said):
    return said[-1].incident.causes[0]


@pytest.mark.parametrize(
    ("cause", "signal"),
    [
        ("prompt", "gen_ai.request.input_tokens"),
        ("prompt", "gen_ai.client.token.usage"),
        ("prompt", "vllm:prompt_tokens_total"),
        ("prompt", "gen_ai.request.duration"),
        ("prompt", "vllm:time_to_first_token_seconds"),
        ("prompt", "vllm:kv_cache_usage_perc"),
        ("prompt", "vllm:num_requests_waiting"),
        ("prompt", "DCGM_FI_DEV_FB_USED"),
        ("prompt", "DCGM_FI_DEV_GPU_UTIL"),
        ("prompt", "gen_ai.retrieval.document_count"),
        ("flag", "gen_ai.request.error_ratio"),
        ("deploy", "anything.at.all"),
        ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_SM_CLOCK"),
        ("DCGM_FI_DEV_XID_ERRORS", "gen_ai.request.duration"),
        ("system.cpu.utilization", "http.server.duration"),
    ],
)
def test_there_is_a_way(cause, signal):
    assert GRAPH.path(cause, signal) is not None


@pytest.mark.parametrize(
    ("cause", "signal"),
    [
        ("flag", "gen_ai.request.input_tokens"),
        ("gen_ai.request.duration", "gen_ai.request.input_tokens"),
        ("DCGM_FI_DEV_FB_USED", "gen_ai.request.input_tokens"),
        ("prompt", "system.cpu.utilization"),
        ("no.such.signal", "gen_ai.request.duration"),
    ],
)
def test_there_is_no_way(cause, signal):
    assert GRAPH.path(cause, signal) is None


def test_longer_ways_are_weaker_and_a_deploy_to_anything_is_weak():
    direct, far = GRAPH.path("prompt", "gen_ai.request.input_tokens"), GRAPH.path("prompt", "DCGM_FI_DEV_FB_USED")
    assert direct.strength == 1
    assert 0.5 < far.strength < 1
    assert GRAPH.path("deploy", "x").strength < far.strength
    assert far.steps[0] == "prompt"
    assert far.steps[-1] == "DCGM_FI_DEV_FB_USED"


def test_symptoms_are_no_kind_of_cause():
    assert GRAPH.kinds_of("gen_ai.request.duration") == ()
    assert GRAPH.kinds_of("gen_ai.request.input_tokens") == ()
    assert GRAPH.kinds_of("system.cpu.utilization")[0] == "resource"
    assert "gpu" in GRAPH.kinds_of("DCGM_FI_DEV_FB_USED")


def demo_findings(order):
    """The chatbot story by the names of the shipped packs; `order` gives the minutes of the onsets."""
    rows = [
        ("genai-input-tokens", "gen_ai.request.input_tokens", DEMO_BOT),
        ("genai-latency-p95", "gen_ai.request.duration", DEMO_BOT),
        ("vllm-kv-cache", "vllm:kv_cache_usage_perc", DEMO_VLLM),
        ("gpu-memory", "DCGM_FI_DEV_FB_USED", DEMO_GPU),
    ]
    return [finding(*row, start=T0 + minute * MINUTE) for row, minute in zip(rows, order, strict=True)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 0, 1), (2, 2, 0, 0), (0, 0, 0, 0), (3, 2, 1, 0)])
@pytest.mark.parametrize("decoys", [(2, 4), (7, 2), (8, 7)])
def test_the_prompt_change_is_first_whatever_is_seen_first(order, decoys):
    world = World()
    rows = sorted(demo_findings(order), key=lambda each: each.start)
    change = T0 - 40 * SECOND
    events = [
        prompt_change(change),
        event("deploy", "billing", "billing 2.14.3", change - decoys[0] * MINUTE),
        event("flag", "support-bot", "new-greeting on for 10 %", change - decoys[1] * MINUTE),
    ]
    said = world.tick(T0, events=events)
    for row in rows:
        said += world.tick(row.time, row)
    last = world.tick(T0 + 10 * MINUTE, replace(rows[0], time=T0 + 10 * MINUTE))[-1].incident
    survivors = {each.incident.id for each in said} - {each.incident.id for each in said if each.action == "merge"}
    assert survivors == {last.id}
    assert {each.monitor for each in last.findings} == {each.monitor for each in rows}
    assert (last.causes[0].kind, last.causes[0].entity) == ("prompt", "support-bot")
    assert last.causes[0].score > BAR
    assert all(cause.score < last.causes[0].score for cause in last.causes[1:])
    assert last.title.startswith("support-bot: ")
    assert "gpu" in last.title or "memory" in last.title


def test_a_change_after_the_onset_is_refuted():
    said = World().tick(T0 + 9 * MINUTE, finding(), events=[prompt_change(T0 + 5 * MINUTE)])
    incident = said[-1].incident
    [prompt] = [cause for cause in incident.causes if cause.kind == "prompt"]
    assert prompt.score == 0
    assert any("after the first symptom" in text for text in prompt.refuted_by)
    assert incident.causes[0].kind == "unknown"


def test_the_start_is_only_known_to_a_window():
    monitor = MonitorSpec.model_validate(
        {"name": "input-tokens", "signal": "*", "window": {"size": "5m", "step": "30s"}}
    )
    said = World([monitor]).tick(T0 + 9 * MINUTE, finding(), events=[prompt_change(T0 + 4 * MINUTE)])
    assert first(said).kind == "prompt"


def test_what_only_supports_and_began_before_a_change_does_not_clear_it():
    monitor = MonitorSpec.model_validate({"name": "engine-busy", "signal": "*", "role": "support"})
    early = finding("engine-busy", "engine.device.usual_ratio", DEMO_VLLM, start=T0 - 6 * MINUTE)
    decoy = event("flag", "support-bot", "new-greeting on for 10 %", T0 - 7 * MINUTE)
    rows = demo_findings((0, 1, 2, 3))
    said = World([monitor]).tick(T0 + 3 * MINUTE, early, *rows, events=[decoy, prompt_change(T0 - 40 * SECOND)])
    incident = said[-1].incident
    assert len(incident.findings) == 1 + len(rows)
    assert (first(said).kind, first(said).score > BAR) == ("prompt", True)
    assert any("5 min 20 s before it" in text for text in first(said).refuted_by)
    assert "40 s before the first symptom (genai input tokens, " in first(said).evidence[0]


def test_nothing_changed_is_an_answer():
    cause = first(World().tick(T0 + MINUTE, finding()))
    assert (cause.kind, cause.entity) == ("unknown", "support-bot")
    assert "nothing changed" in cause.evidence[0]


def test_an_event_long_ago_is_no_candidate():
    said = World().tick(T0 + MINUTE, finding(), events=[prompt_change(T0 - 7 * 60 * MINUTE)])
    assert [cause.kind for cause in said[-1].incident.causes] == ["unknown"]


def test_of_two_alike_the_nearer_in_time_leads():
    events = [
        event("deploy", "support-bot", "far", T0 - 30 * MINUTE),
        event("deploy", "support-bot", "near", T0 - MINUTE),
    ]
    causes = World().tick(T0 + MINUTE, finding(), events=events)[-1].incident.causes
    assert [cause.what for cause in causes if cause.kind == "deploy"] == ["near", "far"]


def test_a_busy_machine_is_named_as_the_cause():
    row = finding("host-cpu-saturated", "system.cpu.utilization", HOST, value=0.99, expected=(float("nan"), 0.9))
    incident = World().tick(T0 + MINUTE, row)[-1].incident
    assert (incident.causes[0].kind, incident.causes[0].entity) == ("resource", "laptop")
    assert incident.title.startswith("laptop: host cpu saturated")


def test_what_findings_put_down_to_a_change_counts():
    told = finding(evidence={"explained_by": "prompt_version=v2", "explained_share": 0.95})
    denied = finding(evidence={"explained_by": "prompt_version=v2", "explained_share": 0.05})
    events = [prompt_change(T0 - MINUTE)]
    high = first(World().tick(T0 + MINUTE, told, events=events))
    low = first(World().tick(T0 + MINUTE, denied, events=events))
    assert high.score > low.score
    assert "95% of the excess is in what carries v2" in high.evidence


def test_an_event_without_entity_may_still_be_it():
    said = World().tick(T0 + MINUTE, finding(), events=[event("prompt", "", "new prompt", T0 - MINUTE)])
    assert any(cause.kind == "prompt" and 0 < cause.score < 0.6 for cause in said[-1].incident.causes)


def test_an_event_that_comes_late_is_ranked_at_the_next_tick():
    world = World()
    assert first(world.tick(T0 + MINUTE, finding())).kind == "unknown"
    assert world.fold(events=[prompt_change(T0 - MINUTE)], at=T0 + 2 * MINUTE) == []
    said = world.tick(T0 + 2 * MINUTE)
    assert (said[-1].action, first(said).kind) == ("update", "prompt")


def test_many_events_stay_cheap_and_bounded():
    world = World()
    events = [event("deploy", f"s{i}", f"v{i}", T0 - i * SECOND) for i in range(5000)]
    incident = world.tick(T0 + MINUTE, finding(), events=events)[-1].incident
    assert len(incident.causes) <= 10
    assert len(world.reducer._tenants["main"]._events) <= 2000


def test_no_symptoms_no_causes():
    empty = Scene(0.0, 300.0, T0, ())
    assert named(empty, diagnose(empty)) == ()


def test_odd_numbers_in_findings_do_no_harm():
    odd: list[Finding] = [
        finding(value=float("nan"), expected=(float("nan"), float("nan"))),
        finding("a", "x", BOT, value=0.0, expected=(0.0, 0.0)),
        finding("b", "y", BOT, value=float("inf"), expected=(-1.0, 1.0)),
        finding("c", "z", BOT, direction="absent"),
        finding("d", "w", BOT, direction="shape"),
    ]
    incident = World().tick(T0 + MINUTE, *odd)[-1].incident
    assert len(incident.findings) == 5
    assert incident.title


def test_the_shipped_edges_name_every_kind_or_glob():
    folder = importlib.resources.files("tocsin.packs")
    edges = yaml.safe_load(folder.joinpath("llm_edges.yaml").read_text())["edges"]
    assert all(edge["cause"].strip() and edge["effect"].strip() for edge in edges)
    assert Symptom(finding(), ("x",)).name == "input tokens"
