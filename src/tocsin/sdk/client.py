"""`Client`: a bounded queue, a thread that empties it, and counts of what became of every row."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time as time_module
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tocsin.sdk.rows import FIELDS, Row, encode, record, rows_of, stamp, text
from tocsin.sdk.transport import Answer, Transport

DEFAULT_URL: Final = "http://127.0.0.1:8642"
MOST_ROW_BYTES: Final = 1 << 20
WARN_EVERY_S: Final = 60.0
_COUNTS: Final = ("logged", "sent", "spilled", "refused", "failed", "errors")
_KNOWN: Final = frozenset(FIELDS)
_log = logging.getLogger("tocsin.sdk")


class Client:
    """Sends inference records to one server; all calls are safe in any thread, after a fork, and never raise.

    Parameters
    ----------
    url, key : of the server; else TOCSIN_URL and TOCSIN_KEY of the environment
    most_rows : rows that may wait (whole DataFrames count as one), and as many again that are being sent; what comes
        beyond is spilled and counted
    batch_rows, batch_bytes : a request holds so many at most
    linger_s : so long a row waits for others to share its request
    keep_trying_s : so long a request is tried again before its rows are given up and counted
    timeout_s : of one attempt
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        most_rows: int = 10_000,
        batch_rows: int = 1_000,
        batch_bytes: int = 4 << 20,
        linger_s: float = 0.5,
        keep_trying_s: float = 300.0,
        timeout_s: float = 10.0,
    ) -> None:
        settings = os.environ  # noqa: TID251 - a library in a foreign program has no settings but these two
        self._url = url or settings.get("TOCSIN_URL") or DEFAULT_URL
        self._key = key if key is not None else settings.get("TOCSIN_KEY", "")
        self._most_rows, self._batch_rows, self._batch_bytes = most_rows, batch_rows, batch_bytes
        self._linger_s, self._keep_trying_s, self._timeout_s = linger_s, keep_trying_s, timeout_s
        self._warned_at = -WARN_EVERY_S
        self._begin()
        _alive.add(self)

    def _begin(self) -> None:
        """An empty queue and no thread: at first, and in the child of a fork (the rows are the parent's to send)."""
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._ready = threading.Condition()  # may be entered again: a signal's handler may log amid a call
        self._queue: deque[Row | Iterator[Row]] = deque()
        self._busy = False
        self._flushing = 0
        self._closing_at = float("inf")
        self._thread: threading.Thread | None = None

    # -- what callers call -----------------------------------------------------------------------------------------

    def log(
        self,
        *,
        tags: Mapping[str, Any] | None = None,
        embedding: Any = None,
        **row: Any,
    ) -> None:
        """Log one prediction.

        Fields: prediction_id, model, version, prediction (any JSON), score, time (now without), features, tags,
        embedding (a vector), attributions (a number per feature), attention (weights, or numbers by name), and truth
        or feedback if they are known already.
        """
        try:
            unknown = row.keys() - _KNOWN
            if unknown:
                self._failed_to_take(TypeError(f"a record has no {sorted(unknown)}; the rest of it is kept"))
            row = {name: _copied(row[name]) for name in row.keys() - unknown if row[name] is not None}
            if tags:
                row["tags"] = {name: text(value) for name, value in tags.items()}
            if embedding is not None:
                row["embedding"] = embedding.tolist() if hasattr(embedding, "tolist") else list(embedding)
            self._put(row)
        except Exception as error:  # noqa: BLE001 - whatever a caller hands over must not break the caller
            self._failed_to_take(error)

    def log_bulk(
        self,
        frame: Any,
        *,
        features: Iterable[str] | None = None,
        tags: Iterable[str] = (),
        **base: Any,
    ) -> None:
        """Log the rows of a DataFrame, an Arrow table, a mapping of columns or an iterable of mappings.

        Columns named like fields of `log` are those; `tags` names the columns that are tags; `features` names those
        that are features (without: all others). `base` holds fields that all rows share, `model="churn"` say. The
        rows are read by the sending thread: don't change the frame before `flush`.
        """
        try:
            wanted = None if features is None else frozenset(features)
            told = frozenset(tags)
            self._put(self._records(rows_of(frame), base, wanted, told))
        except Exception as error:  # noqa: BLE001 - as above
            self._failed_to_take(error)

    def feedback(
        self,
        prediction_id: str,
        value: Any = None,
        *,
        time: Any = None,
        tags: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> None:
        """Log what became of a prediction: `feedback("42", clicked=True, rating=4)` or `feedback("42", True)`.

        `tags` name who tells it.
        """
        try:
            told = {**({} if value is None else {"feedback": value}), **named} if named else value
            self._put_told("feedback", prediction_id, told, time, tags)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed_to_take(error)

    def truth(self, prediction_id: str, value: Any, *, time: Any = None, tags: Mapping[str, Any] | None = None) -> None:
        """Log what was right, as soon as it is known; the server joins it to its prediction, months later too.

        `tags` name who tells it, such as `{"annotator": "ann"}`.
        """
        try:
            self._put_told("truth", prediction_id, value, time, tags)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed_to_take(error)

    def stats(self) -> dict[str, int]:
        """Rows logged, sent (taken by the server), spilled (no room), refused, failed (given up), waiting; and errors.

        `errors` counts calls with arguments that could not be used and rows that JSON can't hold.
        """
        return {**self._counts, "waiting": len(self._queue) + self._busy}

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was logged is sent or given up; whether that was so in time."""
        with self._ready:
            self._flushing += 1
            self._ready.notify_all()
            done = self._ready.wait_for(lambda: not self._queue and not self._busy, timeout_s)
            self._flushing -= 1
            return done

    def close(self, timeout_s: float = 5.0) -> bool:
        """Send what waits and stop; whether all of it could be sent in time."""
        before = self._counts["failed"]
        self.retire(timeout_s)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s + 0.5)
        with self._ready:
            left = self._discard()
        return not left and self._counts["failed"] == before

    def retire(self, timeout_s: float = 30.0) -> None:
        """Take nothing more; what waits is sent in the background."""
        with self._ready:
            self._closing_at = time_module.monotonic() + timeout_s
            self._ready.notify_all()

    # -- the queue -------------------------------------------------------------------------------------------------

    def _put_told(self, kind: str, prediction_id: str, value: Any, time: Any, tags: Mapping[str, Any] | None) -> None:
        row: Row = {"kind": kind, "prediction_id": prediction_id, kind: value, "time": time}
        if tags:
            row["tags"] = {name: text(value) for name, value in tags.items()}
        self._put(row)

    def _put(self, row: Row | Iterator[Row]) -> None:
        if isinstance(row, dict):  # the time of the call, not that of sending
            time = row.get("time")
            row["time"] = time_module.time() if time is None else stamp(time)  # noqa: TID251 - the clock of its caller
        with self._ready:
            if len(self._queue) >= self._most_rows or self._closing_at < float("inf"):
                self._counts["spilled"] += 1
                full = True
            else:
                full = False
                self._queue.append(row)
                self._counts["logged"] += isinstance(row, dict)
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="tocsin-sdk", daemon=True)
                    thread.start()
                    self._thread = thread
                if len(self._queue) in {1, self._batch_rows}:
                    self._ready.notify_all()
        if full:
            self._warn("no room for more rows, they are dropped; see stats()['spilled']")

    def _discard(self) -> int:
        left = len(self._queue)
        self._counts["failed"] += left
        self._queue.clear()
        return left

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            transport = Transport(self._url, self._key, self._timeout_s)
        except ValueError as error:
            self._warn(str(error))
            transport = None
        while self._gather():
            try:
                if transport is None:
                    self._count("failed", len(self._taken()))
                else:
                    self._send_all(transport)
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a row may be
                self._failed_to_take(error)
            with self._ready:
                self._busy = False
                self._ready.notify_all()
        if transport is not None:
            transport.close()

    def _gather(self) -> bool:
        """Wait for rows, and a little for more of them; whether to go on."""
        with self._ready:
            while not self._queue:
                if self._closing_at < float("inf"):
                    return False
                self._ready.wait()
            self._ready.wait_for(self._must_send, self._linger_s)
            self._busy = True
            return True

    def _must_send(self) -> bool:
        return bool(self._flushing) or self._closing_at < float("inf") or len(self._queue) >= self._batch_rows

    def _taken(self) -> list[Row | Iterator[Row]]:
        with self._ready:
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def _send_all(self, transport: Transport) -> None:
        """Send the rows that wait, as many at once as allowed."""
        lines: list[bytes] = []
        size = 0
        for line in self._lines():
            if lines and (len(lines) >= self._batch_rows or size + len(line) >= self._batch_bytes):
                self._send(transport, lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        if lines:
            self._send(transport, lines)

    def _lines(self) -> Iterator[bytes]:
        """Rows as JSON; those of a DataFrame one after the other, and only when it is their turn."""
        for _ in range(min(self._batch_rows, self._most_rows)):
            with self._ready:
                if not self._queue:
                    return
                item = self._queue.popleft()
            if isinstance(item, dict):
                yield from self._encoded(item)
                continue
            try:
                for row in item:
                    self._count("logged", 1)
                    yield from self._encoded(row)
            except Exception as error:  # noqa: BLE001 - a frame that can't be read on must not cost the rows beside it
                self._failed_to_take(error)

    def _records(
        self, rows: Iterable[Mapping[str, Any]], base: Row, features: frozenset[str] | None, tags: frozenset[str]
    ) -> Iterator[Row]:
        for row in rows:
            try:
                yield record(row, base, features, tags)
            except Exception as error:  # noqa: BLE001 - a row that is none must not cost the rows beside it
                self._failed_to_take(error)

    def _encoded(self, row: Row) -> Iterator[bytes]:
        try:
            line = encode(row)
        except Exception as error:  # noqa: BLE001 - as above; what is foreign may raise anything when it is read
            self._failed_to_take(error)
            return
        if len(line) > MOST_ROW_BYTES:
            self._failed_to_take(
                ValueError(f"a row of {len(line)} bytes is over the {MOST_ROW_BYTES} that may be sent")
            )
            return
        yield line

    def _send(self, transport: Transport, lines: list[bytes]) -> None:
        started = time_module.monotonic()

        def give_up() -> float:
            return min(started + self._keep_trying_s, self._closing_at) - time_module.monotonic()

        answer = Answer(len(lines), "sending failed", gone=True)
        try:
            answer = transport.send(b"\n".join(lines), len(lines), give_up, self._pause)
        finally:  # whatever happens, every row is counted
            self._count("failed" if answer.gone else "refused", answer.refused)
            self._count("sent", len(lines) - answer.refused)
        if answer.refused:
            self._warn(f"{answer.refused} of {len(lines)} rows were not taken: {answer.message}")

    def _pause(self, seconds: float) -> None:
        """Wait between two attempts; less when the client is told to close meanwhile."""
        closing_at = self._closing_at
        with self._ready:
            self._ready.wait_for(lambda: self._closing_at != closing_at, seconds)

    def _count(self, name: str, rows: int) -> None:
        with self._ready:
            self._counts[name] += rows

    def _failed_to_take(self, error: BaseException) -> None:
        self._count("errors", 1)
        self._warn(f"a row could not be logged: {type(error).__name__}: {error}")

    def _warn(self, message: str) -> None:
        now = time_module.monotonic()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            _log.warning("%s (told at most once a minute)", message[:500])


def _copied(value: Any) -> Any:
    """What the caller may go on to change, as it is now."""
    return dict(value) if isinstance(value, dict) else value


_alive: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_alive):
        client._begin()  # noqa: SLF001 - of this module


def _at_exit() -> None:
    for client in list(_alive):
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
