"""The child's end of the bond with the supervisor: settings in, `ready` out, and dying with the parent."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tocsin.app.settings import ServeSettings
from tocsin.model.errors import BadInput, Corrupt, TocsinError

READY = "ready"
BAD_CONFIG = 2
"""Exit code of a process that can't start until somebody changes something."""
GRACE_S = 30.0
CRASHED = 70


def die_with_any_thread() -> None:
    """A thread that dies takes the process with it: the supervisor starts a whole one again."""
    threading.excepthook = _crash


def _crash(args: threading.ExceptHookArgs) -> None:
    sys.excepthook(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    sys.stderr.flush()
    os._exit(CRASHED)


def refuse(error: TocsinError) -> int:
    """Say why this process can't start; gives its exit code: `BAD_CONFIG` where trying again won't help."""
    sys.stderr.write(f"{error}\n")
    return BAD_CONFIG if isinstance(error, (BadInput, Corrupt)) else 1


class Child:
    """One of the two server processes.

    The supervisor holds the other end of stdin: when it is gone, by whatever death, stdin ends and so do we.
    Signals from the terminal don't reach us (own process group); SIGTERM comes from the supervisor alone.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the process has something to read anew
        self._status = os.dup(1)
        os.dup2(2, 1)  # whatever prints by mistake must not speak to the supervisor

    @staticmethod
    def of(argv: Sequence[str]) -> Child:
        """Read `--run DIR` and the settings in that directory."""
        flag, run_dir = argv[0], argv[1]
        assert flag == "--run"
        return Child(ServeSettings.read(Path(run_dir)))

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Call `stop` (from the main thread's signal handler or a watching thread) at SIGTERM or the parent's death.

        It must only ask for the end; what takes longer than a grace period after the parent's death is cut off.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: stop())
        threading.Thread(target=self._watch, args=(stop,), name="parent-watch", daemon=True).start()

    def ready(self) -> None:
        """Tell the supervisor that this process does its work."""
        self._say(READY)

    def _say(self, line: str) -> None:
        try:
            os.write(self._status, f"{line}\n".encode())
        except BrokenPipeError:
            return  # the parent is gone; the watch on stdin sees to the rest

    def _watch(self, stop: Callable[[], None]) -> None:
        # waited for and then read: a library of this process may have made stdin one that does not block
        end = select.poll()
        end.register(0, select.POLLIN | select.POLLHUP)
        while True:
            end.poll()
            try:
                if not os.read(0, 4096):
                    break
            except BlockingIOError:
                continue
        sys.stderr.write("the supervisor is gone; stopping\n")
        cut = threading.Timer(GRACE_S, os._exit, (1,))
        cut.daemon = True
        cut.start()
        stop()
