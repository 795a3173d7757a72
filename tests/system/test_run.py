"""`tocsin run`: the same engine without its page, ending by itself."""

import time

from system.otlp_json import gauge, request
from system.server import Server, until

DURATION_S = 8


def test_run_watches_without_a_page_and_ends_by_itself(kernels, tmp_path):
    server = Server(tmp_path, kernels, "monitors: [{name: high, signal: r.value, detect: {threshold: {above: 100}}}]")
    file = server.path / "tocsin.yaml"
    ports = server.command[server.command.index("--data") : server.command.index("--no-host-metrics")]
    server.command = [server.command[0], "run", str(file), *ports, "--duration", str(DURATION_S)]
    try:
        server.start()
        assert server.http.get("/").status_code == 404
        assert server.http.get("/incidents").status_code == 404
        answer = server.http.post("/v1/metrics", json=request("r", gauge("r.value", [(time.time_ns(), 500.0, {})])))
        assert answer.status_code == 200
        assert until(lambda: server.get("/api/incidents")["incidents"])
        assert server.process.wait(60) == 0, server.log()
    finally:
        server.close()
