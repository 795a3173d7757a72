"""A worker's engine alone, as `tocsin worker` runs it: python worker_program.py SPEC.json

It says `ready`, and then the port at which its metrics are read.
"""

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


def main(path):
    set_up("worker")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    compile_all()
    spec = ClusterSpec.model_validate_json(Path(path).read_text())
    shelves = shelves_of(spec)
    shelves.check()
    links = Links(spec, Catalog(), stop)
    server, _ = start_http_server(0, "127.0.0.1", REGISTRY)
    print("ready", server.server_port, sep="\n", flush=True)
    WorkerEngine(links, shelves.of).run()
    links.close()


if __name__ == "__main__":
    main(sys.argv[1])
