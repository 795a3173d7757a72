"""A wire between clients and a broker that can be cut."""

import asyncio
import contextlib
import threading


class Wire:
    """Passes bytes on, until it is cut: then all connections break, and new ones are refused."""

    def __init__(self, port):
        self._port = port
        self._writers = set()
        self._cut = False
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)), daemon=True)
        self._thread.start()
        assert started.wait(30)

    async def _run(self, started):
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._ended.wait()
        server.close()
        self._break()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _pass(self, reader, writer):
        there = None
        try:
            if not self._cut:
                there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
                self._writers |= {writer, there}
                await asyncio.gather(_pump(reader, there), _pump(there_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        for each in (writer, there):
            if each is not None:
                self._writers.discard(each)
                each.transport.abort()

    def _break(self):
        for each in list(self._writers):
            each.transport.abort()

    def cut(self):
        """Break all connections; none is made until `mend`."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._break)

    def mend(self):
        """Let connections through again."""
        self._cut = False

    def close(self):
        """End."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)


async def _pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
