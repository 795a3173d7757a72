"""Compiles the readers of wire formats in a process of its own, of lowest priority, so that nothing waits for it.

Compiling holds the interpreter's lock for seconds at a time. A process that only fills the cache takes none of the
server's; when it is done, the server loads from the cache what it compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

from tocsin.app.settings import environment
from tocsin.ingest import wire

_LOOK_S = 0.2


def compile_aside(stop: threading.Event) -> threading.Thread:
    """Start compiling; the thread ends when the readers are there, or can't be, or the server stops."""
    thread = threading.Thread(target=_warm, args=(stop,), name="wire-readers", daemon=True)
    thread.start()
    return thread


def _warm(stop: threading.Event) -> None:
    if not _mark().exists():
        program = [sys.executable, "-m", __name__]
        child = subprocess.Popen(program, env=environment(), stdin=subprocess.DEVNULL)  # noqa: S603 - our own program
        while child.poll() is None:
            if stop.wait(_LOOK_S):
                child.kill()
                child.wait()
                return
    wire.compile_or_do_without()


def _mark() -> Path:
    """The file that says that the cache has these very readers, compiled."""
    sources = sorted(Path(wire.__file__).parent.glob("wire*.py"))
    told = hashlib.blake2b(f"{sys.version} {version('numba')}".encode(), digest_size=8)
    for source in sources:
        told.update(f"{source} {source.stat().st_mtime_ns}".encode())
    cache = environment().get("NUMBA_CACHE_DIR") or Path(wire.__file__).parent / "__pycache__"  # as numba chooses
    return Path(cache) / f"readers-{told.hexdigest()}"


def main() -> None:
    """Fill the cache and say so."""
    os.nice(19)
    fill_cache()


def fill_cache() -> None:
    """Compile the readers into the cache, and mark that they are there."""
    wire.compile_readers()
    with contextlib.suppress(OSError):  # without the file the next start looks again, which costs it seconds
        _mark().touch()


if __name__ == "__main__":
    main()
