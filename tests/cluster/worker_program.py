"""A worker's engine alone, as `tocsin worker` runs it: python worker_program.py SPEC.json"""

import signal
import sys
import threading
from pathlib import Path

from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.links import Links
from tocsin.app.cluster.shelves import shelves_of
from tocsin.model.series import Catalog
from tocsin.selfmon.logs import set_up
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
    print("ready", flush=True)
    WorkerEngine(links, shelves.of).run()
    links.close()


if __name__ == "__main__":
    main(sys.argv[1])
