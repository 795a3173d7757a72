"""Heads that are too large or too slow end the connection; nothing else does."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn

from tocsin.app.wire import MAX_HEAD_BYTES, BoundedHttp

WAIT_S = 20.0


async def app(scope, receive, send):
    body, more = 0, True
    while more:
        message = await receive()
        body += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer = b"%d" % body
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


def play(tmp_path, story, head_s=60.0):
    class Protocol(BoundedHttp):
        pass

    Protocol.head_s = head_s

    async def run():
        path = str(tmp_path / "s")
        server = uvicorn.Server(uvicorn.Config(app, uds=path, http=Protocol, lifespan="off", log_config=None))
        task = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0)
            if task.done():
                task.result()
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            await asyncio.wait_for(story(reader, writer), WAIT_S)
        finally:
            writer.close()
            server.should_exit = True
            await task

    asyncio.run(run())


async def answer(reader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b"\r\n")[0], await reader.readexactly(
        int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    )


def test_large_bodies_and_many_requests_on_one_connection_are_fine(tmp_path):
    async def story(reader, writer):
        for size in (3 * MAX_HEAD_BYTES, 0, 10):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)
            assert await answer(reader) == (b"HTTP/1.1 200 OK", b"%d" % size)

    play(tmp_path, story)


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"GET /"])
def test_a_head_without_end(tmp_path, start):
    async def story(reader, writer):
        writer.write(start)
        sent = 0
        while not reader.at_eof() and sent < 50 * MAX_HEAD_BYTES:
            try:
                writer.write(b"y" * 8192)
                await writer.drain()
            except ConnectionError:
                break
            sent += 8192
            await asyncio.sleep(0)
        assert sent < 50 * MAX_HEAD_BYTES

    play(tmp_path, story)


def test_many_small_headers(tmp_path):
    async def story(reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * (MAX_HEAD_BYTES // 6))
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 431 ")
        assert await reader.read() != b"x"

    play(tmp_path, story)


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nhost:"])
def test_a_head_that_does_not_come(tmp_path, start):
    async def story(reader, writer):
        writer.write(start)
        assert await reader.read() == b""

    play(tmp_path, story, head_s=0.05)
