"""Sending one body: what to try again, how long to wait, what was refused."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

PATH: Final = "/v1/records"
LEAST_WAIT_S: Final = 0.25
MOST_WAIT_S: Final = 30.0
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_MOST_ANSWER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a body: rows refused, and why if not all were taken; `gone` when it was given up."""

    refused: int = 0
    message: str = ""
    gone: bool = False


class Transport:
    """One connection to one server, kept open between bodies; used by one thread."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a server; write it like http://127.0.0.1:8642")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/") + PATH
        self._headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def send(self, lines: bytes, rows: int, give_up: Callable[[], float], wait: Callable[[float], None]) -> Answer:
        """Send JSON lines until they are taken, refused or given up.

        Parameters
        ----------
        give_up : seconds left for trying, asked before every wait
        wait : sleeps, or returns early when there is a reason
        """
        body = gzip.compress(lines, 1)
        attempt = 0
        while True:
            status, answer, retry_after_s = self._post(body)
            if status and status not in _TRY_AGAIN:
                return _answer(status, answer, rows)
            pause = _pause(attempt, retry_after_s)
            if pause > give_up():
                return Answer(rows, f"given up after {attempt + 1} attempts: {answer}", gone=True)
            wait(pause)
            attempt += 1

    def _post(self, body: bytes) -> tuple[int, str, float]:
        """Status (0: nobody answered), the answer, seconds to wait that the server asked for."""
        try:
            if self._connection is None:
                make = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
                self._connection = make(self._host, self._port, timeout=self._timeout_s)
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            text = answer.read(_MOST_ANSWER_BYTES).decode("utf-8", "replace")
            if not answer.isclosed():
                self.close()
            return answer.status, text, _seconds(answer.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return 0, f"{type(error).__name__}: {error}"[:200], 0.0

    def close(self) -> None:
        """Close the connection; the next body opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _pause(attempt: int, retry_after_s: float) -> float:
    """Seconds to wait: what the server asks for, else twice as long as before, less up to a half by chance."""
    if retry_after_s > 0:
        return min(retry_after_s, MOST_WAIT_S)
    # many processes must not come back at one moment; the low digits of a fine clock are chance enough
    chance = time.perf_counter_ns() % 1009 / 1009
    return min(LEAST_WAIT_S * 2.0 ** min(attempt, 20), MOST_WAIT_S) * (1 - chance / 2)


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:  # a date: the usual pause will do
        return 0.0


def _answer(status: int, text: str, rows: int) -> Answer:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if status >= 300:
        return Answer(rows, f"the server answered {status}: {text[:200]}")
    refused = found.get("rejected", 0) if isinstance(found, dict) else None
    if not isinstance(refused, int):
        return Answer(rows, "what answers there is no Tocsin server")
    return Answer(min(refused, rows), str(found.get("message", ""))[:200] if isinstance(found, dict) else "")
