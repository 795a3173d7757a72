"""What a replica hands on to control, and what it never does; against a real server that plays control."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import replace

import httpx2
import pytest
import uvicorn
from starlette.responses import JSONResponse

from api.fake import deps
from tocsin.api.app import calls, control_app
from tocsin.app.internal import SECRET_HEADER
from tocsin.app.replica.front import ReplicaFront
from tocsin.app.replica.onward import ELSEWHERE, HERE, HOP_HEADER, Onward, calls_elsewhere, is_elsewhere

WAIT_S = 20.0
BEARER = {"authorization": "Bearer boss"}
ACK = "/api/incidents/some/ack"


class Control:
    """Plays control: says what it was asked, hangs, or breaks off."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.gone = asyncio.Event()
        self.breaks_off = False
        self.hangs = False

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        asked = {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": dict(headers),
            "body": body.decode(),
        }
        assert len(asked["headers"]) == len(headers), headers
        self.asked.append(asked)
        if self.hangs:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
        elif self.breaks_off:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        else:
            await JSONResponse(asked, 207, {"x-mine": "yes", "keep-alive": "timeout=9"})(scope, receive, send)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def serving(app, port):
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1, proxy_headers=False
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
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
    """Control behind a replica of the fake world, which asks for keys."""

    def __init__(self):
        self.control, self.control_port = Control(), free_port()
        self.deps = replace(deps(open_to_all=False), allowed_hosts=None)
        self.app = control_app(self.deps)
        self.onward = Onward(self.app, f"http://127.0.0.1:{self.control_port}", max_body_bytes=1000)
        self.waiting: list[str] = []

    def play(self, story, *, with_control=True, allowed_hosts=None):
        async def run():
            front = ReplicaFront(
                self.app, self.onward, allowed_hosts=allowed_hosts, waiting=lambda: self.waiting, health=lambda: "ok\n"
            )
            async with contextlib.AsyncExitStack() as stack:
                if with_control:
                    await stack.enter_async_context(serving(self.control, self.control_port))
                self.port = free_port()
                await stack.enter_async_context(serving(front, self.port))
                client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=WAIT_S)
                await stack.enter_async_context(client)
                stack.push_async_callback(self.onward.aclose)
                await asyncio.wait_for(story(client), 2 * WAIT_S)

        asyncio.run(run())


@pytest.fixture
def world():
    return World()


def filled(path):
    """An address with something in its gaps."""
    steps = ["some" if step.startswith("{") else step for step in path.split("/")]
    return "/".join(steps)


def test_all_that_changes_something_is_control_s_and_asks_for_a_scope():
    everything = {(method, route.path) for route in calls() for method in route.methods}
    there = {(method, call.route.path) for call in calls_elsewhere() for method in call.route.methods}
    assert {each for each in everything - there if each[0] != "GET"} == {("POST", HERE), ("DELETE", HERE)}
    assert {each for each in there if each[0] == "GET"} == {("GET", path) for path in ELSEWHERE}
    assert len(there) > 20
    assert not [route for route in calls() if route.path.startswith("/api/session") and is_elsewhere(route)]


def test_what_control_answers_comes_back_as_it_is_and_carries_the_caller_s_key(world):
    async def story(client):
        for call in calls_elsewhere():
            for method in call.route.methods - {"HEAD"}:
                path = filled(call.route.path)
                answer = await client.request(
                    method, f"{path}?a=%20b", content=b"{}" * (method != "GET"), headers=BEARER
                )
                assert answer.status_code == 207, (method, path, answer.text)
                asked = world.control.asked[-1]
                assert (asked["method"], asked["path"], asked["query"]) == (method, path, "a=%20b")
                assert asked["headers"]["authorization"] == BEARER["authorization"]
        assert answer.headers["x-mine"] == "yes"
        assert "keep-alive" not in answer.headers
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")

    world.play(story)


def test_a_cookie_goes_on_and_headers_that_speak_for_others_do_not(world):
    forged = {
        "x-forwarded-for": "10.1.1.1", "x-forwarded-proto": "https", "forwarded": "for=10.1.1.1", SECRET_HEADER: "guess",
        "origin": f"http://127.0.0.1:{free_port()}", "sec-fetch-site": "same-origin", "referer": "http://x/",
        "te": "trailers", "connection": "x-private", "x-private": "1", "proxy-authorization": "Basic eDp5",
    }  # fmt: skip

    async def story(client):
        await client.post("/api/session", json={"key": "boss"})
        answer = await client.post(ACK, json={"note": "seen"}, headers=forged)
        assert answer.status_code == 207, answer.text
        headers = world.control.asked[-1]["headers"]
        assert headers["cookie"].startswith("tocsin_session=")
        assert headers["host"] == f"127.0.0.1:{world.control_port}"
        assert headers[HOP_HEADER] == "1"
        assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
        assert not {"forwarded", SECRET_HEADER, "origin", "sec-fetch-site", "referer", "te", "x-private"} & set(headers)
        assert "proxy-authorization" not in headers
        assert json.loads(world.control.asked[-1]["body"]) == {"note": "seen"}

    world.play(story)


def test_control_hears_of_nobody_who_may_not(world):
    async def story(client):
        for call in calls_elsewhere():
            for method in call.route.methods - {"HEAD"}:
                path = filled(call.route.path)
                assert (await client.request(method, path)).status_code == 401
                wrong = {"authorization": "Bearer wrong"}
                assert (await client.request(method, path, headers=wrong)).status_code == 401
                weak = {"authorization": "Bearer reader"}
                assert (await client.request(method, path, headers=weak)).status_code == 403, (method, path)
        assert (await client.get("/api/verdict/run-1")).status_code == 401
        assert (
            await client.post("/api/events", json={}, headers={"authorization": "Bearer reader"})
        ).status_code == 403
        cross = {**BEARER, "sec-fetch-site": "cross-site"}
        assert (await client.post(ACK, headers=cross)).status_code == 403
        elsewhere = {**BEARER, "origin": "http://evil.example"}
        assert (await client.post(ACK, headers=elsewhere)).status_code == 403

    world.play(story)
    assert world.control.asked == []


def test_it_is_no_open_forwarder(world):
    tries = [
        ("POST", "/v1/metrics"), ("POST", "/api/v1/write"), ("PUT", "/anything"), ("POST", "/internal/points"),
        ("DELETE", "/api/incidents/x"), ("POST", "/api/incidents/../backup"), ("POST", "/api/incidents/%2e%2e/ack"),
        ("POST", "/api/incidents/a%2F..%2F..%2Fbackup/ack"), ("POST", "//evil.example/api/backup"), ("POST", "/api/events/github"),
    ]  # fmt: skip

    async def story(client):
        for method, path in tries:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer boss\r\ncontent-length: 2\r\n"
            writer.write(f"{head}connection: close\r\n\r\n{{}}".encode())
            answer = await reader.read()
            assert answer.split(b" ", 2)[1] in (b"404", b"405"), (method, path, answer)
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"POST http://evil.example/api/backup HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\n")
        writer.write(b"authorization: Bearer boss\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 207")  # to control, wherever the line said
        writer.close()
        assert [each["path"] for each in world.control.asked] == ["/api/backup"]
        assert world.control.asked[0]["headers"]["host"] == f"127.0.0.1:{world.control_port}"

    world.play(story)


def test_verdicts_and_announced_changes_are_handed_on(world):
    async def story(client):
        await client.get("/api/verdict/run%201", headers=BEARER)
        await client.post("/api/events", json={"kind": "deploy"}, headers=BEARER)
        asked = [(each["method"], each["path"]) for each in world.control.asked]
        assert asked == [("GET", "/api/verdict/run%201"), ("POST", "/api/events")]

    world.play(story)


def test_while_control_is_away_reading_goes_on_and_the_rest_is_told_to_come_again(world):
    async def story(client):
        for path in ("/api/incidents", "/api/overview", "/api/signals", "/api/session", "/", "/healthz", "/readyz"):
            assert (await client.get(path, headers=BEARER)).status_code == 200, path
        answer = await client.post(ACK, headers=BEARER)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["code"] == "control_away"
        assert "nothing was done" in body["detail"]
        assert "Reading goes on" in body["detail"]
        assert (await client.get("/api/verdict/x", headers=BEARER)).status_code == 503

    world.play(story, with_control=False)


def test_a_change_whose_end_nobody_knows_is_not_told_to_be_tried_again(world):
    async def story(client):
        cut = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", world.control_port)
        answer = await client.post(ACK, headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (502, "control_broke_off")
        assert "may have done this or not" in answer.json()["detail"]
        assert "retry-after" not in answer.headers
        answer = await client.get("/api/verdict/x", headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (503, "control_away")
        cut.close()
        await cut.wait_closed()

    world.play(story, with_control=False)


def test_an_answer_that_breaks_off_is_seen_to(world):
    world.control.breaks_off = True

    async def story(client):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(ACK, headers=BEARER)

    world.play(story)


def test_a_caller_that_hangs_up_is_not_waited_for_at_control(world):
    world.control.hangs = True

    async def story(client):
        with pytest.raises(httpx2.ReadTimeout):
            await client.post(ACK, headers=BEARER, timeout=0.5)
        await asyncio.wait_for(world.control.gone.wait(), WAIT_S)

    world.play(story)


def test_control_that_does_not_answer_in_time(world, monkeypatch):
    monkeypatch.setattr(Onward, "read_s", 0.3)
    world.control.hangs = True

    async def story(client):
        answer = await client.post(ACK, headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (502, "control_broke_off")

    world.play(story)


def test_what_is_too_large_is_refused(world):
    async def endless():
        for _ in range(200):
            yield b"x" * 100

    async def story(client):
        assert (await client.post(ACK, content=b"x" * 1001, headers=BEARER)).status_code == 413
        assert (await client.post(ACK, content=endless(), headers=BEARER)).status_code == 413
        assert (await client.post("/api/session", content=b"x" * 20_000)).status_code == 413
        assert (await client.post("/api/session", content=endless())).status_code == 413
        assert (await client.get("/api/incidents", headers={"x-long": "x" * 70_000})).status_code == 431
        assert (await client.get(f"/api/incidents?{'x' * 20_000}")).status_code == 414

    world.play(story)


def test_a_replica_whose_control_is_a_replica_says_so(world):
    async def story(client):
        answer = await client.post(ACK, headers={**BEARER, HOP_HEADER: "1"})
        assert (answer.status_code, answer.json()["code"]) == (508, "loop")
        assert (await client.get("/api/incidents", headers={**BEARER, HOP_HEADER: "1"})).status_code == 200

    world.play(story)
    assert world.control.asked == []


def test_names_that_are_not_its_own_are_refused_on_loopback(world):
    async def story(client):
        for path in ("/api/incidents", "/healthz", ACK):
            method = "POST" if path == ACK else "GET"
            answer = await client.request(method, path, headers={**BEARER, "host": "evil.example"})
            assert answer.status_code == 421, path

    world.play(story, allowed_hosts=frozenset({"127.0.0.1"}))
    assert world.control.asked == []


def test_own_metrics_ask_for_a_key_and_readiness_says_what_it_waits_for(world):
    async def story(client):
        assert (await client.get("/metrics")).status_code == 401
        shown = await client.get("/metrics", headers=BEARER)
        assert "tocsin_replica_forwarded_requests_total" in shown.text
        world.waiting.append("tables")
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "waiting_for": ["tables"]})
        assert (await client.get("/healthz")).status_code == 200

    world.play(story)
