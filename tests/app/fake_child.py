"""A stand-in for the hot or the cold process: says what happens to it, and does as a file tells it.

Run as `fake_child.py NAME --run DIR`; in the data directory `NAME.exit` makes it end at once with that code,
`NAME.deaf` makes it ignore SIGTERM, `NAME.nonblocking` does to its stdin what a library may do.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from tocsin.app.child import Child


def main() -> None:
    name = sys.argv[1]
    child = Child.of(sys.argv[2:])
    home = child.settings.data_dir

    def tell(what: str) -> None:
        sys.stderr.write(f"{name} {what} {os.getpid()}\n")
        sys.stderr.flush()

    tell("started")
    print("printed by mistake")
    if (home / f"{name}.exit").exists():
        sys.exit(int((home / f"{name}.exit").read_text()))
    if (home / f"{name}.nonblocking").exists():
        os.set_blocking(0, False)
    end = threading.Event()
    if (home / f"{name}.deaf").exists():
        child.on_stop(lambda: tell("deaf"))
    else:
        child.on_stop(end.set)
    signal.signal(signal.SIGHUP, lambda *_: tell("hup"))
    child.ready()
    while not end.wait(0.05):
        pass
    tell("ended")


if __name__ == "__main__":
    main()
