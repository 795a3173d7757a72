"""A real HTTP server on a free port of this machine that answers as told and keeps what it got."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Got:
    path: str
    headers: dict
    body: bytes


@dataclass
class Server:
    """`answers` are (status, headers, body) in turn, the last one for ever; status 0 never answers."""

    answers: list
    got: list = field(default_factory=list)
    port: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader, writer):
        try:
            await self.answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in head[1:] if ": " in line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append(Got(head[0].split(" ")[1], headers, body))
        status, extra, text = self.answers[min(len(self.got), len(self.answers)) - 1]
        if status == 0:
            await self.released.wait()
            return
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(text)}", "connection: close"]
        lines += [f"{key}: {value}" for key, value in extra.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
        await writer.drain()


@asynccontextmanager
async def http_server(*answers):
    server = Server(list(answers) or [(200, {}, b"ok")])
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.released.set()
        listener.close()
        await listener.wait_closed()
