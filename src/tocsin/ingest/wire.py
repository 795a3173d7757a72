"""Whether the compiled readers of wire formats are there; until they are, and for all that is unusual, upb reads.

Compiling takes seconds on a machine that has not done it before. A server compiles in the background and takes data
in meanwhile; a decoder asks `ready()` at every request. Nothing here imports numba before it is asked to compile.
"""

from __future__ import annotations

import threading

import structlog

from tocsin.model.errors import TocsinError
from tocsin.selfmon.metrics import counter

_ready = threading.Event()
_compiling = threading.Lock()
_log = structlog.get_logger(__name__)
_READ = counter(
    "tocsin_ingest_decoded_requests_total",
    "Requests decoded, by signal and reader (compiled, upb)",
    ["signal", "reader"],
)


def ready() -> bool:
    """Whether decoders may use the compiled readers."""
    return _ready.is_set()


def count(signal: str, *, compiled: bool) -> None:
    """Count a request by who could read it."""
    _READ.labels(signal, "compiled" if compiled else "upb").inc()


def compile_readers() -> None:
    """Compile all readers, or load them from the cache, by reading an example of everything; then let them be used."""
    from tocsin.ingest.wire_examples import read_all  # noqa: PLC0415 - imports numba, whose cache is set by then

    with _compiling:
        if not _ready.is_set():
            read_all()
            _ready.set()


def compile_or_do_without() -> None:
    """Compile; where that can't be done, say so, and let protobuf's own parser read all."""
    from numba.core.errors import NumbaError  # noqa: PLC0415 - as above

    try:
        compile_readers()
    except (NumbaError, TocsinError, OSError) as error:
        _log.error("the compiled readers are not there; protobuf's own reads all", error=str(error)[:1000])
        return
    _log.info("the compiled readers are there")
