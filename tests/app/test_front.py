"""The front of the main port, against a real server behind a real Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import httpx2
import pytest
import uvicorn
from starlette.responses import JSONResponse, PlainTextResponse

from tocsin.app.front import Front, NoForeignPages, is_ingest
from tocsin.app.internal import SECRET_HEADER, Internal, fetch_exposition, fetch_health
from tocsin.app.proxy import Proxy, forgive_cancelled_waits
from tocsin.model.access import OPEN_ACCESS, Access, Scope

WAIT_S = 20.0


class Cold:
    """Plays the cold process: echoes, streams, hangs, breaks off, and tells what happens to it."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.gone = asyncio.Event()
        self.more = asyncio.Event()
        self.session: dict = {}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        path = scope["path"]
        self.requests.append(scope)
        if path == "/slow":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
        elif path in ("/sse", "/cut"):
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
            )
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            if path == "/cut":
                return
            waiting = asyncio.create_task(self.more.wait())
            while not waiting.done():
                listening = asyncio.ensure_future(receive())
                await asyncio.wait({waiting, listening}, return_when=asyncio.FIRST_COMPLETED)
                if listening.done() and listening.result()["type"] == "http.disconnect":
                    waiting.cancel()
                    self.gone.set()
                    return
                listening.cancel()
            await send({"type": "http.response.body", "body": b"data: 2\n\n"})
        elif path in ("/readyz", "/api/session"):
            await JSONResponse(self.session)(scope, receive, send)
        else:
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            answer = {
                "method": scope["method"],
                "path": scope["raw_path"].decode(),
                "query": scope["query_string"].decode(),
                "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
                "size": len(body),
            }
            headers = {"x-mine": "yes", "keep-alive": "timeout=9"}
            await PlainTextResponse(json.dumps(answer), 207, headers)(scope, receive, send)


async def ingest(scope, receive, send):
    await PlainTextResponse(f"ingest {scope['path']}", 202)(scope, receive, send)


@contextlib.asynccontextmanager
async def serving(app, **where):
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, proxy_headers=False, **where)
    )
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server._serve(where.pop("sockets", None)))
    while not server.started:
        await asyncio.sleep(0)
        if task.done():
            task.result()
    try:
        yield server
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, WAIT_S)


class World:
    def __init__(self, tmp_path):
        self.cold = Cold()
        self.waiting: list[str] = []
        self.access: Access | None = OPEN_ACCESS
        self.socket = tmp_path / "cold.sock"
        self.full = ""
        self.proxy = Proxy(self.socket, max_body_bytes=1000, trouble=lambda: self.full)
        self.front = Front(
            ingest,
            self.proxy,
            authorise=lambda _: self.access,
            waiting=lambda: self.waiting,
            internal_secret="s3cret",
            allowed_hosts=frozenset({"127.0.0.1"}),
            verdict=lambda tenant, name: {"id": name, "tenant": tenant, "verdict": "ok"},
        )

    def play(self, story, *, with_cold=True):
        async def run():
            async with contextlib.AsyncExitStack() as stack:
                if with_cold:
                    app = Internal(self.cold, "s3cret", health=lambda: {"storing": "it is slow"})
                    self.server = await stack.enter_async_context(serving(app, uds=str(self.socket)))
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = probe.getsockname()[1]
                await stack.enter_async_context(serving(self.front, host="127.0.0.1", port=port))
                client = await stack.enter_async_context(
                    httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S)
                )
                stack.push_async_callback(self.proxy.aclose)
                await asyncio.wait_for(story(client), 2 * WAIT_S)

        asyncio.run(run())


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_request_goes_through_as_it_is(world):
    async def story(client):
        headers = {
            "authorization": "Bearer x",
            "cookie": "a=b",
            "connection": "keep-alive, x-hop",
            "x-hop": "1",
            "x-forwarded-for": "6.6.6.6",
            SECRET_HEADER: "guess",
        }
        answer = await client.post("/api/a%2Fb/c?x=1&y=%20", content=b"z" * 900, headers=headers)
        seen = answer.json()
        assert (answer.status_code, answer.headers["x-mine"]) == (207, "yes")
        assert "keep-alive" not in answer.headers
        assert (seen["method"], seen["path"], seen["query"], seen["size"]) == ("POST", "/api/a%2Fb/c", "x=1&y=%20", 900)
        assert seen["headers"]["authorization"] == "Bearer x"
        assert seen["headers"]["host"].startswith("127.0.0.1:")
        assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert not {"x-hop", SECRET_HEADER} & set(seen["headers"])
        assert (await client.get("/")).json()["method"] == "GET"

    world.play(story)


def test_bodies_stream_and_are_bounded(world):
    async def chunks(count):
        for _ in range(count):
            yield b"x" * 100

    async def story(client):
        assert (await client.post("/up", content=chunks(9))).json()["size"] == 900
        assert (await client.post("/up", content=chunks(11))).status_code == 413
        assert (await client.post("/up", content=b"x" * 1001)).status_code == 413
        assert (await client.get("/after")).status_code == 207

    world.play(story)


def test_events_arrive_as_they_are_sent(world):
    async def story(client):
        async with client.stream("GET", "/sse") as answer:
            parts = answer.aiter_bytes()
            assert await anext(parts) == b"data: 1\n\n"
            world.cold.more.set()
            assert await anext(parts) == b"data: 2\n\n"

    world.play(story)


@pytest.mark.parametrize("path", ["/slow", "/sse"])
def test_a_caller_that_hangs_up_ends_the_request_behind(world, path):
    async def story(client):
        if path == "/sse":
            async with client.stream("GET", path) as answer:
                await anext(answer.aiter_bytes())
        else:
            with pytest.raises(httpx2.ReadTimeout):
                await client.get(path, timeout=0.3)
        await asyncio.wait_for(world.cold.gone.wait(), WAIT_S)

    world.play(story)


def test_an_answer_that_breaks_off_is_seen_to_be_broken(world):
    async def story(client):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/cut")
        assert (await client.get("/after")).status_code == 207

    world.play(story)


def test_without_the_cold_process(world):
    async def story(client):
        answer = await client.get("/api/incidents")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "Telemetry is still received" in answer.json()["detail"]
        page = await client.get("/", headers={"accept": "text/html,*/*"})
        assert page.status_code == 503
        assert "started again by itself" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await client.post("/v1/metrics")).status_code == 202
        assert (await client.get("/healthz")).text == "ok\n"
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["cold"]["ready"]) == (200, False)
        assert 'tocsin_process_up{process="cold"} 0.0' in (await client.get("/metrics")).text
        world.front._health = lambda: "degraded\ncold failing\n"
        degraded = await client.get("/healthz")  # a probe must not have it started anew for what a restart won't mend
        assert (degraded.status_code, degraded.text) == (200, "degraded\ncold failing\n")

    world.play(story, with_cold=False)


def test_the_cold_process_comes_back(world):
    async def story(client):
        assert (await client.get("/a")).status_code == 503
        async with serving(world.cold, uds=str(world.socket)):
            assert (await client.get("/a")).status_code == 207
        assert (await client.get("/a")).status_code == 503

    world.play(story, with_cold=False)


def test_readiness(world):
    async def story(client):
        world.waiting = ["kernels are compiled"]
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["hot"]["waiting_for"]) == (503, ["kernels are compiled"])
        world.waiting = []
        assert (await client.get("/readyz")).json() == {
            "ready": True,
            "hot": {"ready": True, "waiting_for": []},
            "cold": {"ready": True, "waiting_for": []},
        }

    world.play(story)


def test_metrics_of_both_processes_for_who_may_read(world):
    async def story(client):
        text = (await client.get("/metrics")).text
        assert 'process_resident_memory_bytes{process="hot"}' in text
        assert 'process_resident_memory_bytes{process="cold"}' in text
        assert text.count("# TYPE process_resident_memory_bytes") == 1
        world.access = None
        assert (await client.get("/metrics")).status_code == 401
        world.access = Access(scopes=frozenset({Scope.INGEST}))
        assert (await client.get("/metrics")).status_code == 403
        world.access = Access("other", frozenset({Scope.ADMIN}))
        text = (await client.get("/metrics")).text
        assert "tocsin_" not in text
        assert "process_resident_memory_bytes" not in text
        assert (await client.get("/healthz")).status_code == 200

    world.play(story)


def test_the_verdict_on_a_run_is_for_who_may_read(world):
    async def story(client):
        world.access = Access("other", frozenset({Scope.READ}))
        answer = await client.get("/api/verdict/run%2F7")
        assert answer.json() == {"id": "run/7", "tenant": "other", "verdict": "ok"}
        world.access = Access(scopes=frozenset({Scope.INGEST}))
        assert (await client.get("/api/verdict/7")).status_code == 403
        world.access = None
        assert (await client.get("/api/verdict/7")).status_code == 401

    world.play(story, with_cold=False)


def test_a_browsers_session_reads_metrics(world):
    async def story(client):
        world.access = None
        for scopes, status in ((["read"], 200), (["ingest"], 403)):
            world.cold.session = {"signed_in": True, "tenant": "main", "scopes": scopes}
            answer = await client.get("/metrics", headers={"cookie": "tocsin_session=t"})
            assert answer.status_code == status
        world.cold.session = {"signed_in": False, "tenant": "", "scopes": []}
        assert (await client.get("/metrics", headers={"cookie": "tocsin_session=t"})).status_code == 401

    world.play(story)


def test_internal_pages_are_for_who_knows_the_secret(world):
    async def story(client):
        await client.get("/internal/metrics", headers={SECRET_HEADER: "s3cret"})
        assert world.cold.requests == []  # the front takes the header away, so nobody gets there from outside
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(None, fetch_exposition, world.socket, "s3cret")
        assert "process_resident_memory_bytes" in text
        assert await loop.run_in_executor(None, fetch_exposition, world.socket, "wrong") == ""
        assert await loop.run_in_executor(None, fetch_health, world.socket, "s3cret") == {"storing": "it is slow"}
        assert await loop.run_in_executor(None, fetch_health, world.socket, "wrong") is None

    world.play(story)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET", "url": "/", "headers": {"x": "y" * 70_000}}, {431, 400}),
        ({"method": "GET", "url": "/" + "y" * 17_000}, {414, 400}),
        ({"method": "GET", "url": "/", "headers": {"host": "evil.example"}}, {421}),
        ({"method": "POST", "url": "/v1/metrics", "headers": {"origin": "http://evil.example"}}, {403}),
        ({"method": "POST", "url": "/api/events", "headers": {"sec-fetch-site": "cross-site"}}, {403}),
        ({"method": "POST", "url": "/api/events", "headers": {"sec-fetch-site": "same-origin"}}, {202}),
    ],
)
def test_what_is_refused_before_anybody_looks_at_it(world, request_, status):
    async def story(client):
        assert (await client.request(**request_)).status_code in status

    world.play(story)


def test_without_a_page(world):
    world.front._page = False

    async def story(client):
        for path, status in {
            "/": 404,
            "/assets/x.js": 404,
            "/api/incidents": 207,
            "/openapi.json": 207,
            "/healthz": 200,
        }.items():
            assert (await client.get(path)).status_code == status

    world.play(story)


def test_which_requests_bring_telemetry():
    assert all(is_ingest("POST", p) for p in ("/v1/traces", "/v1/metrics", "/v1/logs", "/v1/records", "/api/v1/write"))
    pushed = ("/loki/api/v1/push", "/aws/firehose", "/api/v1/series", "/api/v2/series", "/api/events/github")
    assert all(is_ingest("POST", p) for p in pushed)
    assert is_ingest("GET", "/api/v1/validate")
    assert is_ingest("GET", "/api/events/github")
    assert is_ingest("GET", "/v1/metrics")
    assert not any(is_ingest("GET", p) for p in ("/", "/api/events", "/api/incidents", "/v1"))


def test_an_outage_says_whether_telemetry_is_taken_in(world):
    async def story(client):
        assert "Telemetry is still received" in (await client.get("/a")).json()["detail"]
        world.full = "the log input has no room: No space left on device"
        text = (await client.get("/a")).json()["detail"]
        assert "Nothing is taken in now: the log input has no room: No space left on device." in text
        assert "still received" not in text

    world.play(story, with_cold=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"host": "collector:4318"}, 202),
        ({"origin": "http://evil.example"}, 403),
        ({"host": "evil.example:4318", "origin": "http://evil.example:4318", "sec-fetch-site": "same-origin"}, 421),
    ],
)
def test_a_port_for_programs_takes_nothing_from_foreign_pages(headers, status):
    async def story():
        app = NoForeignPages(ingest, frozenset({"127.0.0.1"}))
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:4318") as client:
            assert (await client.post("/v1/logs", headers=headers)).status_code == status

    asyncio.run(story())


def test_only_waits_that_were_cancelled_are_forgiven():
    async def story():
        loop = asyncio.get_running_loop()
        told: list[str] = []
        loop.default_exception_handler = lambda context: told.append(str(context["message"]))
        forgive_cancelled_waits(loop)
        gone = loop.create_future()
        gone.cancel()
        loop.call_soon(gone.set_result, None)
        loop.call_soon(int, "x")
        await asyncio.sleep(0.01)
        assert len(told) == 1
        assert "int" in told[0]

    asyncio.run(story())
