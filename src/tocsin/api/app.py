"""The control API and the pages as one application, for the cold process."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from tocsin.api import (
    actions,
    days,
    experiments,
    history,
    incidents,
    llm,
    llm_spend,
    logs,
    machines,
    maintenance,
    models,
    operate,
    overview,
    problem,
    replays,
    retraining,
    review,
    routing,
    service_graph,
    session,
    shadow,
    signals,
    silences,
    stream,
    traces,
)
from tocsin.api.access import Sessions
from tocsin.api.assets import STATIC, page_router
from tocsin.api.guard import Guard
from tocsin.api.ports import Deps

PARTS: Final = (
    actions,
    overview,
    incidents,
    llm,
    llm_spend,
    logs,
    machines,
    maintenance,
    silences,
    signals,
    models,
    days,
    experiments,
    operate,
    history,
    replays,
    retraining,
    review,
    routing,
    service_graph,
    session,
    shadow,
    stream,
    traces,
)
"""Modules whose routers are the API."""
_ABOUT = "Telemetry in, few explained incidents out. Times are RFC 3339 or seconds since 1970."


def control_app(deps: Deps, static: Path = STATIC) -> FastAPI:
    """Build the application from its ports; it owns no thread and no socket."""
    app = FastAPI(
        title="Tocsin",
        version=deps.version or "0",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    app.state.sessions = deps.sessions or Sessions(deps.authorise)
    app.state.places = stream.Places(deps.max_streams)
    problem.install(app, (static / "index.html").read_bytes())
    for module in PARTS:
        app.include_router(module.router)
    app.include_router(_probes(deps))
    app.include_router(page_router(static))
    app.add_middleware(Guard, allowed_hosts=deps.allowed_hosts)
    return app


def calls() -> list[APIRoute]:
    """Every call of the API, without pages and probes."""
    return [route for module in PARTS for route in module.router.routes if isinstance(route, APIRoute)]


def _probes(deps: Deps) -> APIRouter:
    router = APIRouter(tags=["probes"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "What is missing, in words"}})
    async def readyz() -> JSONResponse:
        """Say whether everything is up, and what is not."""
        missing = list(await run_in_threadpool(deps.ready))
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    return router
