"""`serve` with two stand-ins for its processes: `serve_fake.py DATA_DIR PORT [HOST]`."""

from __future__ import annotations

import sys
from pathlib import Path

from tocsin.app.serve import print_line, serve
from tocsin.app.settings import ServeSettings
from tocsin.app.supervise import COLD, HOT, Pace
from tocsin.model.errors import TocsinError, Unreachable
from tocsin.selfmon.clock import SystemClock
from tocsin.selfmon.logs import set_up


async def _too_slow(settings: ServeSettings) -> int:
    raise Unreachable(f"nobody answers at {settings.url}")


def main() -> int:
    data, port = Path(sys.argv[1]), int(sys.argv[2])
    host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    script = str(Path(__file__).with_name("fake_child.py"))
    set_up("supervisor", pretty=False)
    wanted = ServeSettings(data_dir=data, run_dir=Path("/"), host=host, port=port, otlp_http_port=0, otlp_grpc_port=0)
    try:
        return serve(
            wanted,
            None,
            SystemClock(),
            say=print_line,
            commands={name: (sys.executable, script, name) for name in (HOT, COLD)},
            beside=_too_slow if (data / "companion.fails").exists() else None,
            pace=Pace(first_delay_s=0.02, drain_s=1.0 if (data / "hot.deaf").exists() else 30.0, attempts=2),
        )
    except TocsinError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
