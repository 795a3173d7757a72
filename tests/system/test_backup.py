"""A backup of a running, loaded server; restored elsewhere it is the same server."""

import threading
import time

from system.otlp_json import gauge, request
from system.server import Server, until

KINDS = ("points", "events", "states", "scores")  # findings and incidents live on under load
CONFIG = "monitors: [{name: high, signal: b.value, detect: {threshold: {above: 100}}}]"


def test_a_backup_of_a_running_server_is_the_same_server(make_server, kernels, tmp_path):
    server = make_server(CONFIG)
    now = time.time_ns()
    values = [(now - i * 10**9, float(i), {"lane": str(i % 3)}) for i in range(200, 0, -1)]
    assert server.http.post("/v1/metrics", json=request("b", gauge("b.value", values))).status_code == 200
    server.run("event", "deploy", "b 2", "--entity", "b")
    server.run("key", "create", "--scope", "read", "--data", server.data)
    assert until(lambda: server.export("incidents") and server.export("events"))
    (incident, *_) = server.export("incidents")
    server.run("ack", incident["id"])
    assert until(lambda: server.metric("tocsin_store_lag_records") == 0)
    before = {kind: server.export(kind, to=f"{now / 1e9:.3f}") for kind in KINDS}

    ended = threading.Event()
    load = threading.Thread(target=keep_sending, args=(server, ended))
    load.start()
    file = tmp_path / "b.tar"
    server.run("backup", file)
    ended.set()
    load.join()
    assert file.stat().st_mode & 0o077 == 0, "a backup holds everything: only its owner may read it"

    restored = Server(tmp_path, kernels, CONFIG)
    server.run("restore", file, "--data", restored.data)
    try:
        restored.start()
        assert until(lambda: restored.metric("tocsin_store_lag_records") == 0)
        for kind in KINDS:
            assert restored.export(kind, to=f"{now / 1e9:.3f}") == before[kind], kind
        (found, *_) = restored.export("incidents")
        assert (found["id"], found["opened_at"]) == (incident["id"], incident["opened_at"])
        assert found["state"] in ("acknowledged", "resolved")  # under the load it may have come to its end
        assert "read" in restored.run("key", "list", "--data", restored.data).stdout.decode()
        again = restored.http.post("/v1/metrics", json=request("b", gauge("b.more", [(time.time_ns(), 1.0, {})])))
        assert again.status_code == 200
        assert until(lambda: restored.export("points", signal="b.more"))
    finally:
        restored.close()
    assert server.run("restore", file, "--data", server.data, check=False).returncode == 2


def keep_sending(server, ended):
    while not ended.is_set():
        server.http.post("/v1/metrics", json=request("b", gauge("b.value", [(time.time_ns(), 1.0, {})])))
        ended.wait(0.02)
