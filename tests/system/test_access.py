"""Keys and scopes on an address that others reach: nothing without a key, and with one only what it is for."""

import socket
from itertools import chain

import grpc
import psutil
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub

from system.hook import Hook
from system.otlp_json import request
from system.server import LOOPBACK

CALLS = {
    "ingest": ("POST", "/v1/metrics"),
    "read": ("GET", "/api/signals"),
    "operate": ("POST", "/api/destinations/hook/test"),
    "admin": ("POST", "/api/backup"),
}


def outer_address():
    """An address of this machine that is not loopback; all of them where there is none."""
    found = [
        each.address
        for each in chain.from_iterable(psutil.net_if_addrs().values())
        if each.family is socket.AF_INET and not each.address.startswith("127.")
    ]
    return found[0] if found else "0.0.0.0"


@pytest.fixture(scope="module")
def server(make_server):
    hook = Hook()
    destination = f'destinations: [{{name: hook, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}]'
    made = make_server(destination, host=outer_address())
    yield made
    hook.close()


def status(server, scope, key):
    method, path = CALLS[scope]
    body = request("api") if scope == "ingest" else None
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return server.http.request(method, path, json=body, headers=headers).status_code


def test_the_first_key_is_shown_once(server):
    shown = [line for line in server.lines if line.startswith("key: ")]
    assert len(shown) == 1
    key = shown[0].removeprefix("key: ")
    assert all(status(server, scope, key) == 200 for scope in CALLS)
    stored = (server.data / "keys.json").read_text()
    assert key not in stored
    assert key.split("_", 2)[2] not in stored  # the secret may have underscores of its own
    assert key not in server.log()
    server.stop()
    server.start()
    assert not [line for line in server.lines if "key" in line]
    assert status(server, "read", key) == 200


def test_without_a_key_nothing_but_health(server):
    assert server.http.get("/healthz").status_code == 200
    assert server.http.get("/readyz").status_code == 200
    assert {scope: status(server, scope, "") for scope in CALLS} == dict.fromkeys(CALLS, 401)
    assert {scope: status(server, scope, "tk_000000000000_" + "x" * 43) for scope in CALLS} == dict.fromkeys(CALLS, 401)
    assert server.http.get("/metrics").status_code == 401
    otlp = f"http://{server.host}:{server.otlp_port}/v1/metrics"
    assert server.http.post(otlp, json=request("api")).status_code == 401


def test_a_key_opens_what_its_scope_says(server):
    allowed = {
        scope: {each for each in CALLS if status(server, each, make_key(server, scope)) == 200} for scope in CALLS
    }
    assert allowed == {
        "ingest": {"ingest"},
        "read": {"read"},
        "operate": {"read", "operate"},
        "admin": set(CALLS),
    }


def make_key(server, scope):
    done = server.run("key", "create", "--scope", scope, "--data", server.data)
    return done.stdout.decode().split()[-1]


def test_a_revoked_key_ends_at_once(server):
    key = make_key(server, "read")
    assert status(server, "read", key) == 200
    server.run("key", "revoke", key.split("_")[1], "--data", server.data)
    assert status(server, "read", key) == 401


def test_grpc_asks_for_the_same_keys(server):
    target = f"{LOOPBACK if server.host == '0.0.0.0' else server.host}:{server.grpc_port}"
    with grpc.insecure_channel(target) as channel:
        export = MetricsServiceStub(channel).Export
        with pytest.raises(grpc.RpcError) as refused:
            export(ExportMetricsServiceRequest(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as refused:
            export(ExportMetricsServiceRequest(), timeout=10, metadata=[authorization(make_key(server, "read"))])
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        export(ExportMetricsServiceRequest(), timeout=10, metadata=[authorization(make_key(server, "ingest"))])


def authorization(key):
    return ("authorization", f"Bearer {key}")
