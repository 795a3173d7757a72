"""Streams of a Redis server as a source: read as a consumer group, acknowledged once durable."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import structlog
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from tocsin.ingest.broker_messages import Contents, Message, MessageReader
from tocsin.ingest.edge import Edge
from tocsin.ingest.places import Places, ids_place
from tocsin.model.errors import Overloaded, Unreachable
from tocsin.selfmon.metrics import counter, gauge

_ENTRIES = counter("tocsin_ingest_stream_entries_total", "Entries read from streams", ["source", "stream"])
_BAD = counter(
    "tocsin_ingest_stream_bad_entries_total", "Entries of streams that hold nothing readable", ["source", "reason"]
)
_CLAIMED = counter("tocsin_ingest_stream_claimed_total", "Entries taken over from consumers that left", ["source"])
_LAG = gauge("tocsin_ingest_stream_lag_messages", "Entries of a stream not delivered yet", ["source", "stream"])
_FIELD: Final = b"data"
_BATCH: Final = 500
_BLOCK_MS: Final = 1_000
_ABANDONED_MS: Final = 60_000
"""An entry that nobody acknowledged for so long is taken over."""
_CLAIM_EVERY: Final = 30
"""Reads between two looks for abandoned entries."""
_RETRY_S: Final = 2.0
_log = structlog.get_logger(__name__)

_Fields: TypeAlias = Mapping[bytes, bytes]


class Entry(NamedTuple):
    """One entry of a stream; `value` is None where it has no field `data`."""

    stream: str
    id: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of consumers, and the name that this process has in it."""

    url: str
    streams: tuple[str, ...]
    name: str
    consumer: str


async def read_streams(
    group: Group, reader: MessageReader, edge: Edge, places: Places, *, concurrency: int = 1
) -> None:
    """Read until cancelled, by as many consumers of the group as wanted.

    Raises
    ------
    Unreachable
        The server refuses the login, or one of the names is no stream.
    """
    client = Redis.from_url(group.url, health_check_interval=30)
    try:
        async with asyncio.TaskGroup() as consumers:
            for number in range(concurrency):
                consumer = _Consumer(client, group, f"{group.consumer}-{number}", reader, edge, places)
                consumers.create_task(consumer.run())
    finally:
        await client.aclose()


class _Consumer:
    """First what it was given and did not acknowledge, then what is new, now and then what others left."""

    def __init__(
        self, client: Redis, group: Group, name: str, reader: MessageReader, edge: Edge, places: Places
    ) -> None:
        self._client = client
        self._group = group
        self._name = name
        self._reader = reader
        self._edge = edge
        self._places = places
        self._told: set[str] = set()

    async def run(self) -> None:
        """Read until cancelled; a server that is away is waited for."""
        own = True
        turn = 0
        while True:
            try:
                if own:
                    await self._join()
                    while entries := await self._read("0"):
                        await self._take(entries)
                    own = False
                if turn % _CLAIM_EVERY == 0:
                    await self._claim()
                    await self._lag()
                turn += 1
                await self._take(await self._read(">"))
            except AuthenticationError as error:
                raise Unreachable(f"Redis refuses the login: {error}") from error
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise Unreachable(f"Redis: {str(error)[:200]}") from error
                own = True  # the stream or its group was removed: both are made anew
            except (RedisError, OSError) as error:
                self._once("away", "the server can't be reached; reading goes on when it can", str(error))
                own = True
                await asyncio.sleep(_RETRY_S)

    @staticmethod
    def _end_if_told() -> None:
        """End where the client swallowed a cancellation, as it can when that meets one of its own time limits."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    async def _join(self) -> None:
        for stream in self._group.streams:
            try:
                await self._client.xgroup_create(stream, self._group.name, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def _read(self, after: str) -> list[Entry]:
        """Own entries that are not acknowledged (`0`), or new ones (`>`)."""
        self._end_if_told()
        found: Any = await self._client.xreadgroup(
            self._group.name,
            self._name,
            dict.fromkeys(self._group.streams, after),
            count=_BATCH,
            block=_BLOCK_MS if after == ">" else None,
        )
        return [entry for stream, listed in _pairs(found) for entry in _entries(stream, listed)]

    async def _claim(self) -> None:
        for stream in self._group.streams:
            answer: Any = await self._client.xautoclaim(
                stream, self._group.name, self._name, min_idle_time=_ABANDONED_MS, start_id="0-0", count=_BATCH
            )
            entries = _entries(stream.encode(), answer[1])
            _CLAIMED.labels(self._reader.source).inc(len(entries))
            await self._take(entries)

    async def _lag(self) -> None:
        for stream in self._group.streams:
            groups: Any = await self._client.xinfo_groups(stream)
            mine = [each for each in groups if each["name"] == self._group.name.encode()]
            if mine and mine[0].get("lag") is not None:
                _LAG.labels(self._reader.source, stream).set(mine[0]["lag"])

    async def _take(self, entries: Sequence[Entry]) -> None:
        """Hand in what is not in the log yet, wait until it is durable, acknowledge all."""
        if not entries:
            return
        source = self._reader.source
        new = [entry for entry in entries if not self._places.has(source, entry.stream, entry.id)]
        readable = [(entry, entry.value) for entry in new if entry.value is not None]
        messages = [Message(entry.stream, value) for entry, value in readable]
        ids: dict[str, list[str]] = {}
        for entry in entries:
            ids.setdefault(entry.stream, []).append(entry.id)
        contents = await self._appended(messages, ids)
        for entry in new:
            _ENTRIES.labels(source, entry.stream).inc()
            if entry.value is None:
                self._bad(entry, "no_data_field")
        for (name, reason), rows in contents.reasons.items():
            self._edge.refuse(self._reader.tenant, name, reason, rows)
        for number, reason in contents.bad.items():
            self._bad(readable[number][0], reason)
        for stream, listed in ids.items():
            await self._client.xack(stream, self._group.name, *listed)
        self._places.forget(source, ids)

    async def _appended(self, messages: Sequence[Message], ids: Mapping[str, Sequence[str]]) -> Contents:
        """Append what messages hold and which entries they were; waits for a log that is full."""
        place = ids_place(self._reader.source, ids)
        contents = await asyncio.to_thread(self._reader.read, messages)
        while True:
            try:
                contents, done = self._reader.submit(messages, contents, place)
                await asyncio.wrap_future(done)
            except Overloaded as full:
                # nothing more is read meanwhile: the stream keeps it
                await asyncio.sleep(full.retry_after_s)
                await self._keep(ids)
            else:
                self._places.note(place)
                return contents

    async def _keep(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Say that entries are still ours, so that nobody takes them over who would append them as well."""
        for stream, listed in ids.items():
            await self._client.xclaim(
                stream, self._group.name, self._name, min_idle_time=0, message_ids=list(listed), justid=True
            )

    def _bad(self, entry: Entry, reason: str) -> None:
        _BAD.labels(self._reader.source, reason).inc()
        self._once(f"{entry.stream} {reason}", "an entry can't be read", reason, stream=entry.stream, entry=entry.id)

    def _once(self, key: str, event: str, reason: str, **what: str) -> None:
        if key not in self._told:
            self._told.add(key)
            _log.warning(event, source=self._reader.source, reason=reason[:200], **what)


def _pairs(found: Any) -> list[tuple[bytes, Any]]:
    """Streams with their entries, of either version of the protocol."""
    if not found:
        return []
    if isinstance(found, dict):
        return [(stream, [entry for part in parts for entry in part]) for stream, parts in found.items()]
    return [(stream, listed) for stream, listed in found]


def _entries(stream: bytes, listed: Sequence[tuple[bytes, _Fields | None]]) -> list[Entry]:
    """Entries; one that was deleted since has no fields."""
    return [Entry(stream.decode(), entry.decode(), (fields or {}).get(_FIELD)) for entry, fields in listed]
