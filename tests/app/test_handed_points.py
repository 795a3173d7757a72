"""Points that the cold process made cross the socket to the hot one, and become a frame there."""

from __future__ import annotations

import math
import threading

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from tocsin.app.handover import ASSESSED_SOURCE, Point, assessed_frame, point_sender
from tocsin.app.internal import Internal
from tocsin.model.errors import BadInput, Unreachable
from tocsin.model.series import Catalog, Series

TIME = 1_795_000_000_000_000_001


def ref_in(catalog):
    def ref(tenant, source, signal, labels):
        assert source == ASSESSED_SOURCE
        return catalog.intern(Series.of(tenant, signal, dict(labels)))

    return ref


def test_points_cross_the_socket_and_keep_their_time_and_labels(tmp_path):
    catalog, taken = Catalog(), []

    async def take(tenant, body):
        taken.append(assessed_frame(tenant, body, ref_in(catalog)))

    socket = tmp_path / "hot.sock"
    app = Internal(PlainTextResponse("page"), "s3cret", points=take)
    server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    points = [
        Point("tocsin.health.score", "1", {"model": "churn"}, 42.5, TIME),
        Point("tocsin.health.score", "1", {"model": "x\u202e"}, 0.0, TIME + 1),
    ]
    try:
        point_sender(socket, "s3cret")("acme", points)
        point_sender(socket, "s3cret")("acme", [])
        with pytest.raises(Unreachable, match="404"):
            point_sender(socket, "wrong")("acme", points)
    finally:
        server.should_exit = True
        thread.join()
    (frame,) = taken
    rows = frame.rows()
    assert [(row["time"], row["value"]) for row in rows] == [(TIME, 42.5), (TIME + 1, 0.0)]
    assert frame.tenant == "acme"
    assert dict(catalog[rows[0]["series"]].labels) == {"model": "churn"}


@pytest.mark.parametrize(
    "body",
    [b"junk", b"{}x", b'[["a"]]', b'[["a", "1", 3, 1.0, 5]]', b'[["a", "1", {}, "x", 5]]', b'[["a","1",{},1,"x"]]'],
)
def test_what_is_no_points_is_refused(body):
    with pytest.raises(BadInput, match="these are no points"):
        assessed_frame("main", body, ref_in(Catalog()))


def test_a_point_without_a_value_has_none():
    frame = assessed_frame("main", b'[["a", "1", {}, null, 5]]', ref_in(Catalog()))
    assert math.isnan(frame.rows()[0]["value"])
