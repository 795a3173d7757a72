"""`tocsin serve` whose clock goes faster: `python scaled_serve.py DATA PORT ORIGIN_NS SPEED`."""

import sys
import time
from pathlib import Path

from tocsin.app.serve import print_line, serve
from tocsin.app.settings import ClockSettings, ServeSettings
from tocsin.selfmon.clock import SystemClock


def main(data, port, origin_ns, speed):
    path = Path(data)
    path.mkdir(parents=True, exist_ok=True)
    started = path / "started"

    def say(line):
        started.write_text(str(time.time_ns()))
        print_line(line)

    settings = ServeSettings(
        data_dir=path,
        run_dir=Path("/"),
        port=int(port),
        otlp_http_port=0,
        otlp_grpc_port=0,
        host_metrics=False,
        clock=ClockSettings(origin_ns=int(origin_ns), started=started, speed=float(speed)),
    )
    return serve(settings, None, SystemClock(), say=say)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
