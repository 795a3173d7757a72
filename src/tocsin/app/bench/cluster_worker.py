"""A worker's engine alone, as `tocsin worker` runs it: `python -m tocsin.app.bench.cluster_worker SPEC.json`.

It says `ready`, and then the port at which its metrics are read; SIGTERM ends it in good order.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from prometheus_client import start_http_server

from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.links import Links
from tocsin.app.cluster.shelves import shelves_of
from tocsin.model.series import Catalog
from tocsin.selfmon.logs import set_up
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.cluster import ClusterSpec
from tocsin.stats.jit import compile_all


def main(path: str) -> None:
    """Fold what the group gives until told to end."""
    set_up("worker")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    compile_all()
    spec = ClusterSpec.model_validate_json(Path(path).read_text())
    shelves = shelves_of(spec)
    shelves.check()
    links = Links(spec, Catalog(), stop)
    server, _ = start_http_server(0, "127.0.0.1", REGISTRY)
    sys.stdout.write(f"ready\n{server.server_port}\n")
    sys.stdout.flush()
    WorkerEngine(links, shelves.of).run()
    links.close()


if __name__ == "__main__":
    main(sys.argv[1])
