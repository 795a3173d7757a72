"""What the two processes tell each other over their private sockets, guarded by a shared secret: metrics, notices."""

from __future__ import annotations

import hmac
import http.client
import json
import socket as socket_module
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.model.errors import BadInput, TocsinError
from tocsin.selfmon.metrics import exposition

SECRET_HEADER = "x-tocsin-internal"  # noqa: S105 - the name of a header
METRICS_PATH = "/internal/metrics"
SCORES_PATH = "/internal/scores"
TENANT_HEADER = "x-tocsin-tenant"
NOTICES_PATH = "/internal/notices"
HEALTH_PATH = "/internal/health"
OUTCOMES_PATH = "/internal/outcomes"
POINTS_PATH = "/internal/points"
EVALUATIONS_PATH = "/internal/evaluations"
LABELS_PATH = "/internal/labels"
MAX_EXPOSITION_BYTES = 8 << 20


Notices = Callable[[], Mapping[str, Sequence[str]]]
"""Caps that are reached now, in words, by tenant."""
Health = Callable[[], Mapping[str, str]]
"""Why each thing that a process looks at in itself is not well, by name; empty texts where it is."""
Outcomes = Callable[[str, bytes], Awaitable[None]]
"""Takes in outcomes of a tenant; returns when they are durable."""
Points = Outcomes
"""Takes in what the cold process found out about a tenant, as points; returns when they are durable."""
Scores = Callable[[str], str]
"""Prometheus text of the scores that are written back, of one tenant."""


class Internal:
    """ASGI layer that answers `/internal/...` to who knows the secret, and hands everything else on."""

    def __init__(
        self,
        app: ASGIApp,
        secret: str,
        notices: Notices = dict,
        scores: Scores = lambda _: "",
        outcomes: Outcomes | None = None,
        points: Points | None = None,
        evaluations: Outcomes | None = None,
        labels: Outcomes | None = None,
        *,
        health: Health = dict,
    ) -> None:
        self._app = app
        self._health = health
        self._takes = {
            OUTCOMES_PATH: outcomes,
            POINTS_PATH: points,
            LABELS_PATH: labels,
            EVALUATIONS_PATH: evaluations,
        }
        self._scores = scores
        self._notices = notices
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on."""
        if scope["type"] == "http" and scope["path"].startswith("/internal/"):
            headers = Headers(scope=scope)
            given = headers.get(SECRET_HEADER, "").encode("latin-1", "replace")
            known = bool(self._secret) and hmac.compare_digest(given, self._secret)
            answer = Response(status_code=404)
            take = self._takes.get(scope["path"])
            if known and take is not None:
                answer = await self._taken(take, Request(scope, receive))
            elif known:
                answer = self._answer(scope["path"], headers)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    async def _taken(take: Outcomes, request: Request) -> Response:
        try:
            await take(request.headers.get(TENANT_HEADER, ""), await request.body())
        except TocsinError as error:
            return Response(str(error), 400 if isinstance(error, BadInput) else 503)
        return Response(status_code=204)

    def _answer(self, path: str, headers: Headers) -> Response:
        if path == METRICS_PATH:
            return Response(exposition(), media_type="text/plain; version=0.0.4")
        if path == SCORES_PATH:
            return Response(self._scores(headers.get(TENANT_HEADER, "")), media_type="text/plain; version=0.0.4")
        if path == NOTICES_PATH:
            return Response(json.dumps(self._notices()), media_type="application/json")
        if path == HEALTH_PATH:
            return Response(json.dumps(dict(self._health())), media_type="application/json")
        return Response(status_code=404)


def fetch_exposition(socket: Path, secret: str, *, timeout_s: float = 2.0) -> str:
    """Metrics of the process behind a socket, as text; empty when it does not answer (blocking).

    >>> fetch_exposition(Path("/nonexistent/x.sock"), "")
    ''
    """
    return _fetch(socket, secret, METRICS_PATH, timeout_s)


def fetch_notices(socket: Path, secret: str, *, timeout_s: float = 2.0) -> dict[str, list[str]]:
    """Caps that the process behind a socket has reached, by tenant; empty when it does not answer (blocking).

    >>> fetch_notices(Path("/nonexistent/x.sock"), "")
    {}
    """
    text = _fetch(socket, secret, NOTICES_PATH, timeout_s)
    found: dict[str, list[str]] = json.loads(text) if text else {}
    return found


def fetch_health(socket: Path, secret: str, *, timeout_s: float = 5.0) -> dict[str, str] | None:
    """What the process behind a socket found when it looked at itself; None when it does not answer (blocking).

    >>> fetch_health(Path("/nonexistent/x.sock"), "") is None
    True
    """
    text = _fetch(socket, secret, HEALTH_PATH, timeout_s)
    found: dict[str, str] | None = json.loads(text) if text else None
    return found


def _fetch(socket: Path, secret: str, path: str, timeout_s: float) -> str:
    connection = UnixConnection(socket, timeout_s)
    try:
        connection.request("GET", path, headers={SECRET_HEADER: secret})
        answer = connection.getresponse()
        body = answer.read(MAX_EXPOSITION_BYTES)
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return body.decode(errors="replace") if answer.status == 200 else ""


class UnixConnection(http.client.HTTPConnection):
    """The standard library's client over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("tocsin", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def merged(texts: Mapping[str, str]) -> str:
    r"""Metrics of several processes as one text, each sample marked with its `process`.

    >>> print(merged({"hot": "# TYPE a gauge\na 1.0\n", "cold": '# TYPE a gauge\na{b="c"} 2.0\n'}), end="")
    # TYPE a gauge
    a{process="hot"} 1.0
    a{process="cold",b="c"} 2.0
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for process, text in texts.items():
        samples: list[str] = []
        seen = False
        for line in text.splitlines():
            if line.startswith("# "):
                parts = line.split(" ", 3)
                if len(parts) < 3 or parts[1] not in ("HELP", "TYPE"):
                    continue
                comments, samples = families.setdefault(parts[2], ([], []))
                seen = True
                if not any(comment.startswith(f"# {parts[1]} ") for comment in comments):
                    comments.append(line)
            elif line and seen:
                samples.append(_marked(line, process))
    return "".join(f"{line}\n" for comments, samples in families.values() for line in (*comments, *samples))


def _marked(line: str, process: str) -> str:
    brace, space = line.find("{"), line.find(" ")
    if 0 <= brace < space:
        rest = line[brace + 1 :]
        return f'{line[:brace]}{{process="{process}"{"" if rest.startswith("}") else ","}{rest}'
    return f'{line[:space]}{{process="{process}"}}{line[space:]}'
