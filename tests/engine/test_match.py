"""Who watches what."""

import pytest

from tocsin.engine.match import Matcher
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.packs import load_packs

HISTOGRAM, TOTAL = Kind.HISTOGRAM, Kind.SUM


def series(name, labels=None, kind=Kind.GAUGE):
    return Series.of("main", Signal(name, "1", kind, kind is TOTAL, kind is not Kind.GAUGE), labels or {})


def test_any_label_of_unless_keeps_a_series_out():
    monitor = MonitorSpec(name="m", signal="cpu", unless={"mode": "*", "state": "idle"})
    matcher = Matcher([monitor])
    assert matcher.of(series("cpu")) == [0]
    assert matcher.of(series("cpu", {"state": "user"})) == [0]
    assert matcher.of(series("cpu", {"state": "idle"})) == []
    assert matcher.of(series("cpu", {"mode": "user"})) == []


WATCHED = [
    # this program's own collector and other senders of OpenTelemetry's names
    ("system.cpu.utilization", {"host.name": "a"}, Kind.GAUGE, {"host-cpu", "host-cpu-saturated"}),
    ("system.cpu.utilization", {"host.name": "a", "cpu": "cpu0", "state": "user"}, Kind.GAUGE, {"host-cpu-modes"}),
    ("system.cpu.time", {"host.name": "a", "cpu": "cpu0", "state": "idle"}, TOTAL, {"host-cpu-time", "host-cpu-idle-low"}),
    ("system.memory.utilization", {"system.memory.state": "used"}, Kind.GAUGE, {"host-memory", "host-memory-full", "host-memory-leaking"}),
    ("system.memory.usage", {"state": "used"}, Kind.GAUGE, {"host-memory-used", "host-memory-used-leaking"}),
    ("system.disk.io", {"device": "sda", "direction": "read"}, TOTAL, {"host-disk-io"}),
    ("system.disk.io_time", {"device": "sda"}, TOTAL, {"host-disk-saturated"}),
    ("system.filesystem.utilization", {"mountpoint": "/"}, Kind.GAUGE, {"host-disk-full", "host-disk-filling"}),
    ("system.filesystem.usage", {"state": "used"}, Kind.GAUGE, {"host-disk-used-filling"}),
    ("system.network.io", {"device": "eth0", "direction": "receive"}, TOTAL, {"host-network-io"}),
    ("system.network.packet.dropped", {"network.interface.name": "eth0"}, TOTAL, {"host-network-drops"}),
    ("system.network.dropped", {"device": "eth0"}, TOTAL, {"host-network-drops"}),
    # node_exporter
    ("node_cpu_seconds_total", {"instance": "a:9100", "mode": "idle", "cpu": "0"}, TOTAL, {"node-cpu", "node-cpu-idle-low"}),
    ("node_memory_MemAvailable_bytes", {"instance": "a:9100"}, Kind.GAUGE, {"node-memory-available", "node-memory-available-leaking"}),
    ("node_disk_written_bytes_total", {"device": "sda"}, TOTAL, {"node-disk-written"}),
    ("node_network_receive_bytes_total", {"device": "eth0"}, TOTAL, {"node-network-received"}),
    ("node_filesystem_avail_bytes", {"mountpoint": "/"}, Kind.GAUGE, {"node-disk-available", "node-disk-available-low"}),
    # services
    ("http.server.request.duration", {"service.name": "a"}, HISTOGRAM, {"http-latency-p95", "http-throughput", "http-traffic"}),
    ("http.server.duration", {"service.name": "a"}, HISTOGRAM, {"http-latency-p95", "http-throughput", "http-traffic"}),
    ("http.client.request.duration", {"service.name": "a"}, HISTOGRAM, {"http-calls-p95"}),
    ("http.server.error_ratio", {"service.name": "a"}, Kind.GAUGE, {"http-errors"}),
    ("http_requests_total", {"job": "a"}, TOTAL, {"http-requests-throughput", "http-requests-traffic"}),
    ("http_server_request_duration_seconds", {"job": "a"}, HISTOGRAM, {"http-request-latency-p95"}),
    ("rpc.server.duration", {"service.name": "a"}, HISTOGRAM, {"rpc-latency-p95", "rpc-throughput"}),
    ("grpc_server_handled_total", {"job": "a"}, TOTAL, {"rpc-handled-throughput"}),
    ("db.client.operation.duration", {"service.name": "a"}, HISTOGRAM, {"db-latency-p95"}),
    ("service.request.duration", {"service.name": "a"}, Kind.GAUGE, {"service-latency-p95"}),
    ("service.request.error_ratio", {"service.name": "a"}, Kind.GAUGE, {"service-errors"}),
    ("service.message.count", {"service.name": "a"}, Kind.GAUGE, {"service-throughput", "service-traffic"}),
    ("process_resident_memory_bytes", {"job": "a"}, Kind.GAUGE, {"runtime-memory", "runtime-memory-leaking"}),
    ("container_memory_working_set_bytes", {"pod": "a"}, Kind.GAUGE, {"container-memory", "container-memory-leaking"}),
    # GPUs
    ("DCGM_FI_DEV_GPU_UTIL", {"gpu": "0"}, Kind.GAUGE, {"gpu-utilisation"}),
    ("DCGM_FI_DEV_FB_USED", {"gpu": "0"}, Kind.GAUGE, {"gpu-memory"}),
    ("hw.gpu.memory.usage", {"hw.id": "0"}, Kind.GAUGE, {"gpu-memory-used"}),
    ("hw.gpu.utilization", {"hw.id": "0"}, Kind.GAUGE, {"gpu-busy"}),
    ("gpu.utilization", {"gpu.index": "0"}, Kind.GAUGE, {"gpu-busy"}),
    ("nv_gpu_memory_used_bytes", {"gpu_uuid": "0"}, Kind.GAUGE, {"gpu-memory-bytes"}),
    ("nv_gpu_utilization", {"gpu_uuid": "0"}, Kind.GAUGE, {"gpu-busy"}),
    ("amdgpu_gpu_busy_percent", {}, Kind.GAUGE, {"gpu-busy-percent"}),
    # all else
    ("anything.else", {}, Kind.GAUGE, {"any-series"}),
    ("x_bucket", {"le": "1"}, TOTAL, set()),
]  # fmt: skip


@pytest.fixture(scope="module")
def packs():
    return EngineSpec(packs=load_packs())


@pytest.mark.parametrize(
    ("name", "labels", "kind", "wanted"), WATCHED, ids=[f"{row[0]}-{k}" for k, row in enumerate(WATCHED)]
)
def test_without_configuration_every_usual_name_is_watched(packs, name, labels, kind, wanted):
    monitors = packs.all_monitors()
    found = {monitors[i].name for i in Matcher(monitors).of(series(name, labels, kind))}
    assert found == wanted
