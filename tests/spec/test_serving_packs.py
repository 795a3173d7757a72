"""Serving engines and GPUs: what each product's page gives in readings, and that what matters has a monitor of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.correlate.edges import CausalGraph
from tocsin.derive.readings import ReadingNames
from tocsin.engine.match import Matcher
from tocsin.ingest.prometheus_text import parse_exposition
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

PAGES = Path(__file__).parents[1] / "golden" / "serving"
PACKS = load_packs()
NAMES = ReadingNames(PACKS)
MONITORS = EngineSpec(packs=PACKS).all_monitors()
MATCHER = Matcher(MONITORS)
ENGINE = {"running", "waiting", "kv_utilization", "input_tokens", "output_tokens", "finished"}
GPU = {"memory_used", "memory_free", "utilization", "temperature", "power", "clock", "error_code"}
GIVES = {
    "vllm": {
        f"engine.{name}" for name in ENGINE | {"steps", "preempted", "cache_hits", "cache_queries", "first_token"}
    },
    "ray_vllm": {
        f"engine.{name}" for name in ENGINE | {"steps", "preempted", "cache_hits", "cache_queries", "first_token"}
    },
    "vllm_2024": {f"engine.{name}" for name in ENGINE | {"preempted", "cache_hits", "cache_hit_ratio", "first_token"}},
    "sglang": {f"engine.{name}" for name in ENGINE | {"cache_hit_ratio", "first_token"}},
    "sglang_underscore": {f"engine.{name}" for name in ENGINE | {"cache_hit_ratio", "first_token"}},
    "tgi": {f"engine.{name}" for name in (ENGINE - {"kv_utilization"}) | {"steps"}} | {"demand.arrived"},
    "triton": {
        *(f"engine.{name}" for name in ("waiting", "running", "kv_utilization", "steps", "finished")),
        *("engine.queue_seconds", "engine.request_seconds"),
        *(f"device.{name}" for name in ("memory_used", "memory_total", "utilization", "power")),
    },
    "ray_serve": {"engine.waiting", "engine.running"},
    "dcgm": {f"device.{name}" for name in GPU},
    "amd": {f"device.{name}" for name in ("memory_used", "memory_total", "utilization", "power", "temperature")},
}
WATCHED = {
    "vllm": ["num_requests_waiting", "kv_cache_usage_perc", "num_preemptions_total", "time_to_first_token_seconds", "generation_tokens_total", "corrupted_requests_total", "e2e_request_latency_seconds"],
    "ray_vllm": ["num_requests_waiting", "kv_cache_usage_perc", "num_preemptions_total", "time_to_first_token_seconds"],
    "vllm_2024": ["gpu_cache_usage_perc", "time_per_output_token_seconds"],
    "sglang": ["num_queue_reqs", "token_usage", "time_to_first_token_seconds", "num_aborted_requests_total"],
    "sglang_underscore": ["num_queue_reqs", "token_usage", "time_to_first_token_seconds", "cache_hit_rate"],
    "tgi": ["queue_size", "request_duration", "request_queue_duration", "request_failure_total"],
    "triton": ["pending_request_count", "request_failure_total", "request_success_total"],
    "ray_serve": ["queued_queries", "processing_latency_ms", "error_counter_total", "replica_healthy"],
    "dcgm": ["GPU_TEMP", "FB_USED", "ROW_REMAP_FAILURE", "PCIE_REPLAY_COUNTER_total", "SM_CLOCK"],
    "amd": ["vram_used_bytes", "gpu_busy_percent", "temperature_celsius"],
    "qdrant": ["rest_responses_duration_seconds", "grpc_responses_duration_seconds", "collection_dead_replicas"],
    "qdrant_2024": ["rest_responses_duration_seconds", "rest_responses_fail_total"],
    "milvus": ["proxy_sq_latency", "querynode_sq_queue_latency"],
    "weaviate": ["queries_durations_ms", "http_request_duration_seconds"],
}  # fmt: skip


def series_of(page: str) -> list[Series]:
    found = parse_exposition((PAGES / f"{page}.prom").read_text(), "text/plain", {"instance": "10.0.0.7:8000"})
    rows = [*found.points, *found.distributions]
    return [Series.of("main", row.signal, row.labels) for row in rows]


@pytest.mark.parametrize("page", GIVES)
def test_the_readings_of_a_page(page):
    given = {named.reading for series in series_of(page) if (named := NAMES.of(series))}
    assert given >= GIVES[page], GIVES[page] - given


@pytest.mark.parametrize("page", WATCHED)
def test_what_matters_has_a_monitor_of_its_own(page):
    series = series_of(page)
    for ending in WATCHED[page]:
        mine = [each for each in series if each.signal.name.endswith(ending)]
        assert mine, ending
        for each in mine:
            assert [i for i in MATCHER.of(each) if not MONITORS[i].fallback], each.signal.name


def test_a_histogram_in_spite_of_its_name():
    (steps,) = [each for each in series_of("vllm") if each.signal.name == "vllm:iteration_tokens_total"]
    assert steps.signal.kind is Kind.HISTOGRAM
    assert NAMES.of(steps).reading == "engine.steps"


def test_values_come_in_one_unit():
    factors = {series.signal.name: NAMES.of(series).factor for series in series_of("dcgm") if NAMES.of(series)}
    assert factors["DCGM_FI_DEV_FB_USED"] == 2**20
    assert factors["DCGM_FI_DEV_GPU_UTIL"] == 0.01
    triton = {series.signal.name: NAMES.of(series).factor for series in series_of("triton") if NAMES.of(series)}
    assert triton["nv_inference_queue_duration_us_total"] == 1e-6
    assert triton["nv_gpu_utilization"] == 1.0


@pytest.mark.parametrize(
    ("name", "monitor"),
    [
        ("amazonaws.com/AWS/SageMaker/ModelLatency.average", "sagemaker-latency"),
        ("amazonaws.com/AWS/SageMaker/Invocation5XXErrors.sum", "sagemaker-failures"),
        ("amazonaws.com/AWS/SageMaker/Invocations.sum", "sagemaker-throughput"),
        ("amazonaws.com//aws/sagemaker/Endpoints/GPUMemoryUtilization.average", "sagemaker-gpu-memory"),
        ("amazonaws.com//aws/sagemaker/Endpoints/DiskUtilization.average", "sagemaker-disk-full"),
        ("amazonaws.com//aws/sagemaker/Endpoints/CPUUtilization.average", "sagemaker-any"),
        ("vector_store.request.duration", "vector-store-latency-p95"),
        ("milvus_proxy_sq_latency", "milvus-search-latency-p95"),
        ("gpu.memory.leak", "gpu-memory-leaking"),
        ("engine.stalled_time", "engine-stalled"),
    ],
)
def test_names_that_come_by_other_ways(name, monitor):
    series = Series.of("main", Signal(name, "us"), {"EndpointName": "chat"})
    assert monitor in {MONITORS[i].name for i in MATCHER.of(series)}


# what programs that compute on GPUs count by themselves, under names of their own
COUNTED = {f"app_{what}_{how}_total" for what in ("gpu", "cuda") for how in ("out_of_memory", "oom")}


def names_of_packs() -> set[str]:
    """Names of signals that packs know: of pages, of derived signals, and plain names of monitors."""
    known = {series.signal.name for page in GIVES for series in series_of(page)} | COUNTED
    for pack in PACKS:
        known |= {spec.name for spec in (*pack.span_signals, *pack.share_signals, *pack.joint_signals)}
        known |= {monitor.signal.replace("*", "x") for monitor in pack.monitors}
        known |= {name.replace("*", "x") for spec in pack.readings for name in spec.names}
    return known


def test_every_edge_leads_from_and_to_something_that_packs_know():
    graph, known = CausalGraph(PACKS), names_of_packs()
    for cause, effect, _ in graph._edges:
        for side in (cause, effect):
            plain = side.pattern.pattern != "(?!)"
            assert not plain or any(side.pattern.fullmatch(name) for name in known), side.text


@pytest.mark.parametrize(
    ("cause", "signal"),
    [
        ("prompt", "vllm:kv_cache_usage_perc"),
        ("prompt", "vllm:num_preemptions_total"),
        ("prompt", "vllm:num_requests_waiting"),
        ("prompt", "vllm:time_to_first_token_seconds"),
        ("sglang:token_usage", "sglang:time_to_first_token_seconds"),
        ("sglang:num_queue_reqs", "sglang:time_to_first_token_seconds"),
        ("tgi_queue_size", "tgi_request_duration"),
        ("DCGM_FI_DEV_GPU_TEMP", "vllm:inter_token_latency_seconds"),
        ("DCGM_FI_DEV_SM_CLOCK", "vllm:generation_tokens_total"),
        ("gpu.xid.hardware", "vllm:e2e_request_latency_seconds"),
        ("gpu.xid.hardware", "engine.stalled_time"),
        ("DCGM_FI_DEV_POWER_USAGE", "vllm:inter_token_latency_seconds"),
        ("hw.gpu.throttle", "sglang:inter_token_latency_seconds"),
        ("gpu.missing", "vllm:e2e_request_latency_seconds"),
        ("gpu.memory_fragmentation", "vllm:e2e_request_latency_seconds"),
        ("gpu.memory.leak", "gpu.memory_fragmentation"),
        ("system.network.errors", "vllm:inter_token_latency_seconds"),
        ("hw.gpu.link.up", "vllm:generation_tokens_total"),
        ("vector_store.request.duration", "gen_ai.client.operation.duration"),
        ("engine.stalled_time", "gen_ai.client.operation.duration"),
    ],
)
def test_the_ways_from_prompt_to_transistor(cause, signal):
    assert CausalGraph(PACKS).path(cause, signal) is not None
