"""How the cold process hands joined outcomes, and points that it made, over to the hot one, and how that one reads them."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.app.internal import (
    EVALUATIONS_PATH,
    LABELS_PATH,
    OUTCOMES_PATH,
    POINTS_PATH,
    SECRET_HEADER,
    TENANT_HEADER,
    UnixConnection,
)
from tocsin.model.errors import BadInput, Unreachable
from tocsin.model.frame import SCHEMAS, Frame, FrameKind, points_frame
from tocsin.model.record import OUTCOMES_SOURCE
from tocsin.model.series import MAIN_TENANT, Labels, Signal, canonical

_TIMEOUT_S: Final = 30.0
Send: TypeAlias = Callable[[str, pa.RecordBatch], None]
"""Takes outcomes of a tenant; returns when they are durable."""
ASSESSED_SOURCE: Final = "assessed"
JUDGE_SOURCE: Final = "judge"


class Point(NamedTuple):
    """A number that the cold process made of what is stored; time in ns, never far from now."""

    signal: str
    unit: str
    labels: Mapping[str, str]
    value: float
    time: int


SendPoints: TypeAlias = Callable[[str, Sequence[Point]], None]
Ref: TypeAlias = Callable[[str, str, Signal, Labels], int]
"""Number of a series by tenant, source, signal and labels."""


def sender(socket: Path, secret: str, path: str = OUTCOMES_PATH) -> Send:
    """Hands outcomes (or what else `path` takes) over to the process behind a socket; blocking, until they are durable."""

    def send(tenant: str, batch: pa.RecordBatch) -> None:
        sink = BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        _hand_over(socket, secret, tenant, path, sink.getvalue())

    return send


def evaluation_sender(socket: Path, secret: str) -> Send:
    """Hands what a judge said of answers over, as log records."""
    return sender(socket, secret, EVALUATIONS_PATH)


def point_sender(socket: Path, secret: str) -> SendPoints:
    """Hands points over to the process behind a socket; blocking, until they are durable."""

    def send(tenant: str, points: Sequence[Point]) -> None:
        if points:
            _hand_over(socket, secret, tenant, POINTS_PATH, json.dumps(points).encode())

    return send


def label_sender(socket: Path, secret: str) -> Callable[[Sequence[Sequence[Any]]], None]:
    """Hands what labels ask for over to the process behind a socket; blocking, until it is durable."""

    def send(asks: Sequence[Sequence[Any]]) -> None:
        _hand_over(socket, secret, MAIN_TENANT, LABELS_PATH, json.dumps({"asks": asks}).encode())

    return send


def _hand_over(socket: Path, secret: str, tenant: str, path: str, body: bytes) -> None:
    what = path.rpartition("/")[2]
    connection = UnixConnection(socket, _TIMEOUT_S)
    try:
        connection.request("POST", path, body, {SECRET_HEADER: secret, TENANT_HEADER: tenant})
        answer = connection.getresponse()
        text = answer.read(1 << 16).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{what} can't be handed over: {error}; it is tried again") from error
    finally:
        connection.close()
    if answer.status != 204:
        raise Unreachable(f"{what} are not taken ({answer.status}): {text[:200]}; it is tried again")


def assessed_frame(tenant: str, body: bytes, ref: Ref) -> Frame:
    """What a `point_sender` sent, as a frame; `ref` gives the number of a series.

    Raises
    ------
    BadInput
        It is something else.
    """
    try:
        points = [Point(*each) for each in json.loads(body)]
        refs = [ref(tenant, ASSESSED_SOURCE, Signal(each.signal, each.unit), canonical(each.labels)) for each in points]
        values = np.array([math.nan if each.value is None else each.value for each in points], "f8")
        times = np.array([each.time for each in points], "i8")
    except (ValueError, TypeError, AttributeError, OverflowError) as bad:
        raise BadInput(f"these are no points: {bad}") from bad
    return points_frame(tenant, ASSESSED_SOURCE, np.array(refs, "i4"), times, values)


def outcomes_frame(tenant: str, body: bytes) -> Frame:
    """What `sender` sent, as a frame.

    Raises
    ------
    BadInput
        It is something else.
    """
    return _sent(FrameKind.RECORDS, tenant, OUTCOMES_SOURCE, body)


def evaluations_frame(tenant: str, body: bytes) -> Frame:
    """What an `evaluation_sender` sent, as a frame of log records.

    Raises
    ------
    BadInput
        It is something else.
    """
    return _sent(FrameKind.LOGS, tenant, JUDGE_SOURCE, body)


def _sent(kind: FrameKind, tenant: str, source: str, body: bytes) -> Frame:
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all().combine_chunks()
    except (pa.ArrowException, OSError) as bad:
        raise BadInput(f"this is no batch of {kind.value}: {bad}") from bad
    if not table.schema.equals(SCHEMAS[kind]):
        raise BadInput(f"{source} have the columns of {kind.value}")
    batch = next(iter(table.to_batches()), pa.RecordBatch.from_pylist([], schema=table.schema))
    return Frame(kind, tenant, source, batch)
