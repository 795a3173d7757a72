"""The process that judges history: `python -m tocsin.app.backtest.process VERB DIR JSON`; its answer is in a file.

It is a process of its own so that a server goes on meanwhile: it has its own memory, metrics and interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from tocsin.app.settings import cache_kernels, default_data_dir, environment
from tocsin.model.codec import Json
from tocsin.model.errors import Overloaded, TocsinError, Unreachable

RESULT: Final = "result.json"
MOST_S: Final = 1800
NICE: Final = 10
_busy = Lock()


@contextmanager
def workplace() -> Iterator[Path]:
    """A private directory for one piece of work; one at a time in this process.

    Raises
    ------
    Overloaded
        Another is under way.
    """
    if not _busy.acquire(blocking=False):
        raise Overloaded("history is being judged for somebody else already", retry_after_s=30.0)
    try:
        with tempfile.TemporaryDirectory(prefix="tocsin-backtest-") as place:
            yield Path(place)
    finally:
        _busy.release()


def judged(directory: Path, verb: str = "judge", options: Mapping[str, object] | None = None) -> Json:
    """What judging the work in a directory comes to.

    Raises
    ------
    Unreachable
        It took too long, or the process failed; the message has its last words.
    """
    module = "tocsin.app.backtest.process"
    command = [sys.executable, "-m", module, verb, str(directory), json.dumps(dict(options or {}))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_S, check=False)  # noqa: S603 - our own program
    except subprocess.TimeoutExpired:
        raise Unreachable(f"judging history took more than {MOST_S // 60} minutes; take fewer days") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise Unreachable(f"judging history failed: {words[0][:300]}")
    found: Json = json.loads((directory / RESULT).read_text())
    return found


def main(argv: Sequence[str]) -> int:
    """Do one piece of work; gives the exit code."""
    verb, place, options = argv
    os.nice(NICE)
    cache_kernels(default_data_dir(environment()))
    directory = Path(place)
    try:
        found = _done(verb, directory, json.loads(options))
    except TocsinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    (directory / RESULT).write_text(json.dumps(found))
    return 0


def _done(verb: str, directory: Path, options: dict[str, Any]) -> Json:
    if verb == "drill":
        from tocsin.app.backtest.drill import drill  # noqa: PLC0415 - brings the engine, after the cache is named

        return drill(directory, **options)
    from tocsin.app.backtest.judging import judge  # noqa: PLC0415 - as above

    return judge(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
