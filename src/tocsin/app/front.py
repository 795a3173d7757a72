"""The main port: telemetry goes to ingest, own health is answered here, everything else is the cold process's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from tocsin.api.origin import from_elsewhere, host_name
from tocsin.app.internal import METRICS_PATH, SCORES_PATH, SECRET_HEADER, TENANT_HEADER, merged
from tocsin.app.proxy import Proxy
from tocsin.app.settings import SUPERVISOR_FILE, ServeSettings
from tocsin.model.access import Access, Authorise, Scope
from tocsin.model.series import MAIN_TENANT
from tocsin.selfmon.metrics import REGISTRY, counter, exposition

MAX_HEADER_BYTES = 64 << 10
MAX_TARGET_BYTES = 16 << 10
_BROWSERS = (b"origin", b"sec-fetch-site")
"""Headers that only browsers send."""
_REFUSED = counter("tocsin_front_refused_requests_total", "Requests refused before anybody looked at them.", ["reason"])

_PUSHED = ("/v1/", "/v1development/", "/loki/", "/aws/", "/api/events/")
"""Where the addresses of telemetry begin."""
_EXACT = frozenset({"/api/v1/write", "/api/v1/series", "/api/v2/series", "/api/v1/validate"})

Verdict = Callable[[str, str], Mapping[str, Any]]
"""What the engine knows of a run, trace or session of a tenant now, by its id."""
VERDICT_PATH = "/api/verdict/"


def unknown(_tenant: str, name: str) -> dict[str, Any]:
    """The verdict where nothing is known of a run."""
    return {"id": name, "verdict": "unknown", "reasons": []}


Waiting = Callable[[], Sequence[str]]
"""What a process still waits for, in words; empty when it is ready."""


class Front:
    """ASGI application of the main port.

    `waiting` says what the hot process still waits for (kernels, log, replay). `allowed_hosts` are the host names it
    answers to on a loopback bind, None for any: a page on another site must not reach an open port by a name of its own.
    `health` is what `/healthz` says. Without `page` it answers to programs only (`tocsin run`).
    """

    def __init__(
        self,
        ingest: ASGIApp,
        proxy: Proxy,
        *,
        authorise: Authorise,
        waiting: Waiting,
        internal_secret: str = "",
        allowed_hosts: frozenset[str] | None = None,
        page: bool = True,
        verdict: Verdict = unknown,
        health: Callable[[], str] = lambda: "ok\n",
    ) -> None:
        self._health = health
        self._ingest = ingest
        self._proxy = proxy
        self._authorise = authorise
        self._waiting = waiting
        self._secret = internal_secret
        self._allowed = allowed_hosts
        self._page = page
        self._verdict = verdict

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send one request where it belongs."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        refusal = refused(scope, self._allowed)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif is_ingest(scope["method"], scope["path"]):
            await self._ingest(scope, receive, send)
        else:
            own = await self._own(scope) or self._no_page(scope["path"])
            await (own or self._proxy)(scope, receive, send)

    def _no_page(self, path: str) -> Response | None:
        if self._page or path.startswith("/api/") or path == "/openapi.json":
            return None
        return _refusal(404, "no_page", "`tocsin run` has no page; start `tocsin serve` on the same data directory")

    async def _own(self, scope: AsgiScope) -> Response | None:
        """The answer to what this process answers itself."""
        path = scope["path"]
        judged = path.startswith(VERDICT_PATH)
        if not (judged or path in ("/healthz", "/readyz", "/metrics")) or scope["method"] not in ("GET", "HEAD"):
            return None
        if path == "/healthz":
            return PlainTextResponse(self._health())  # 200 whatever is found: a restart would not mend it
        if path == "/readyz":
            return await self._readyz()
        access = await self._reader(Headers(scope=scope))
        if isinstance(access, Response):
            return access
        if judged:  # answered here: it must not wait for what is stored
            return JSONResponse(self._verdict(access.tenant, path.removeprefix(VERDICT_PATH)))
        return await self._metrics(access.tenant)

    async def _reader(self, headers: Headers) -> Access | Response:
        """What the caller's key grants, if it may read, else why not."""
        access = await self._access(headers)
        if access is None:
            return _refusal(401, "no_key", "send `Authorization: Bearer KEY`", {"www-authenticate": "Bearer"})
        if not (access.allows(Scope.READ) or access.allows(Scope.OPERATE)):
            return _refusal(403, "scope", "this key does not have the scope read")
        return access

    async def _access(self, headers: Headers) -> Access | None:
        """What the caller's key grants, or the session of a browser, which the cold process keeps."""
        access = self._authorise(headers.get("authorization"))
        if access is not None or "authorization" in headers or "cookie" not in headers:
            return access
        status, body = await self._proxy.get("/api/session", headers={"cookie": headers["cookie"]})
        found = json.loads(body) if status == 200 else {}
        if not found.get("signed_in"):
            return None
        return Access(found["tenant"], frozenset(Scope(scope) for scope in found["scopes"]))

    async def _readyz(self) -> Response:
        waiting = list(self._waiting())
        status, _ = await self._proxy.get("/readyz", timeout_s=1.0)
        body: dict[str, Any] = {
            "ready": not waiting,
            "hot": {"ready": not waiting, "waiting_for": waiting},
            "cold": {"ready": status == 200, "waiting_for": [] if status == 200 else [_cold_state(status)]},
        }
        return JSONResponse(body, 503 if waiting else 200, {"retry-after": "1"} if waiting else {})

    async def _metrics(self, tenant: str) -> Response:
        """The scores of the caller's tenant alone, as their labels are telemetry; of `main` the own metrics as well.

        Own metrics name tenants, sources and destinations of the whole server.
        """
        own = await self._own_metrics() if tenant == MAIN_TENANT else ""
        whose = {SECRET_HEADER: self._secret, TENANT_HEADER: tenant}
        status, scores = await self._proxy.get(SCORES_PATH, headers=whose)
        whole = own + (scores.decode(errors="replace") if status == 200 else "")
        return PlainTextResponse(whole, media_type="text/plain; version=0.0.4")

    async def _own_metrics(self) -> str:
        status, body = await self._proxy.get(METRICS_PATH, headers={SECRET_HEADER: self._secret})
        texts = {"hot": exposition().decode()}
        if status == 200:
            texts["cold"] = body.decode(errors="replace")
        up = "1.0" if status == 200 else "0.0"
        return merged(texts) + f'# TYPE tocsin_process_up gauge\ntocsin_process_up{{process="cold"}} {up}\n'

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._proxy.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


class NoForeignPages:
    """ASGI layer of a port for programs, which may call it by any name: what a browser sends must come from here."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str] | None) -> None:
        self._app = app
        self._allowed = allowed_hosts

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Refuse what a page of another site, or one by a name of its own, made a browser send."""
        browser = scope["type"] == "http" and any(name in _BROWSERS for name, _ in scope["headers"])
        refusal = _foreign(scope, self._allowed) if browser else None
        await (refusal or self._app)(scope, receive, send)


def refused(scope: AsgiScope, allowed_hosts: frozenset[str] | None) -> Response | None:
    """Why a request is not looked at: it is too large, or a foreign page made a browser send it; None: it is."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        return _refusal(431, "headers_too_large", f"the headers are over {MAX_HEADER_BYTES} bytes")
    if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > MAX_TARGET_BYTES:
        return _refusal(414, "target_too_large", f"the address is over {MAX_TARGET_BYTES} bytes")
    return _foreign(scope, allowed_hosts)


def _foreign(scope: AsgiScope, allowed_hosts: frozenset[str] | None) -> Response | None:
    headers = Headers(scope=scope)
    # browsers always send a host; a probe that speaks HTTP/1.0 sends none
    if allowed_hosts is not None and "host" in headers and host_name(headers["host"]) not in allowed_hosts:
        return _refusal(421, "foreign_host", "this server answers to localhost only; start it with --host ADDRESS")
    if scope["method"] not in ("GET", "HEAD", "OPTIONS") and from_elsewhere(headers):
        return _refusal(403, "foreign_site", "a page of another site may not send this")
    return None


def is_ingest(method: str, path: str) -> bool:
    """Whether a request on the main port brings telemetry (or asks how to).

    >>> is_ingest("POST", "/v1/traces"), is_ingest("GET", "/api/events"), is_ingest("POST", "/api/events")
    (True, False, True)
    """
    if path.startswith(_PUSHED) or path in _EXACT:
        return True
    return method == "POST" and path == "/api/events"


class SupervisorCollector(Collector):
    """How often the supervisor restarted each process, read from the file it keeps in the run directory."""

    def __init__(self, settings: ServeSettings) -> None:
        self._path: Path = settings.run_dir / SUPERVISOR_FILE

    def collect(self) -> list[CounterMetricFamily]:
        """The family, empty while there is no supervisor."""
        family = CounterMetricFamily("tocsin_supervisor_restarts", "Restarts of a process.", labels=["child"])
        for child, count in _restarts(self._path).items():
            family.add_metric([child], count)
        return [family]

    def register(self) -> None:
        """Show it among the process's own metrics."""
        REGISTRY.register(self)


def _restarts(path: Path) -> Mapping[str, int]:
    try:
        found: Mapping[str, int] = json.loads(path.read_text())["restarts"]
    except (OSError, ValueError, KeyError):
        return {}
    return found


def _cold_state(status: int) -> str:
    return "the process does not answer" if status == 0 else "it is still starting"


def _refusal(status: int, reason: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    _REFUSED.labels(reason).inc()
    return JSONResponse({"title": text, "status": status, "code": reason}, status, dict(headers or {}))
