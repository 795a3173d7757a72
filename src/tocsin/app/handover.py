"""How the cold process hands joined outcomes over to the hot one, and how that one reads them."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa

from tocsin.app.internal import OUTCOMES_PATH, SECRET_HEADER, TENANT_HEADER, UnixConnection
from tocsin.model.errors import BadInput, Unreachable
from tocsin.model.frame import SCHEMAS, Frame, FrameKind
from tocsin.model.record import OUTCOMES_SOURCE

_TIMEOUT_S: Final = 30.0
Send: TypeAlias = Callable[[str, pa.RecordBatch], None]
"""Takes outcomes of a tenant; returns when they are durable."""


def sender(socket: Path, secret: str) -> Send:
    """Hands outcomes over to the process behind a socket; blocking, until they are durable."""

    def send(tenant: str, batch: pa.RecordBatch) -> None:
        sink = BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        connection = UnixConnection(socket, _TIMEOUT_S)
        try:
            connection.request("POST", OUTCOMES_PATH, sink.getvalue(), {SECRET_HEADER: secret, TENANT_HEADER: tenant})
            answer = connection.getresponse()
            text = answer.read(1 << 16).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"outcomes can't be handed over: {error}; it is tried again") from error
        finally:
            connection.close()
        if answer.status != 204:
            raise Unreachable(f"outcomes are not taken ({answer.status}): {text[:200]}; it is tried again")

    return send


def outcomes_frame(tenant: str, body: bytes) -> Frame:
    """What `sender` sent, as a frame.

    Raises
    ------
    BadInput
        It is something else.
    """
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all().combine_chunks()
    except (pa.ArrowException, OSError) as bad:
        raise BadInput(f"these are no outcomes: {bad}") from bad
    if not table.schema.equals(SCHEMAS[FrameKind.RECORDS]):
        raise BadInput("outcomes have the columns of records")
    batch = next(iter(table.to_batches()), pa.RecordBatch.from_pylist([], schema=table.schema))
    return Frame(FrameKind.RECORDS, tenant, OUTCOMES_SOURCE, batch)
