"""The pages: built files with hashed names, and one document for every address of a page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from tocsin.api.problem import HttpProblem
from tocsin.model.errors import Corrupt

STATIC = Path(__file__).parent / "static"
_FOREVER = "public, max-age=31536000, immutable"
# the system's own table of types differs from machine to machine
_MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PRELOAD = "</api/overview>; rel=preload; as=fetch; crossorigin"


@dataclass(frozen=True, slots=True)
class Asset:
    """One built file in memory."""

    body: bytes
    media: str
    etag: str


def load_assets(folder: Path = STATIC) -> dict[str, Asset]:
    """All built files by their path below `folder`.

    Raises
    ------
    Corrupt
        The page was not built into this installation.
    """
    found: dict[str, Asset] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            name = path.relative_to(folder).as_posix()
            found[name] = Asset(body, _MEDIA.get(path.suffix, "application/octet-stream"), etag)
    if "index.html" not in found:
        raise Corrupt(f"the page is missing from {folder}; install the wheel again, or run `make web`")
    return found


def _answer(request: Request, asset: Asset, cache: str, extra: dict[str, str] | None = None) -> Response:
    headers = {"etag": asset.etag, "cache-control": cache, **(extra or {})}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media, headers=headers)


def page_router(folder: Path = STATIC) -> APIRouter:
    """Routes of the pages and their files."""
    router = APIRouter(include_in_schema=False)
    assets = load_assets(folder)
    index = assets["index.html"]

    async def page(request: Request) -> Response:
        first = request.url.path == "/" and not request.url.query
        return _answer(request, index, "no-cache", {"link": _PRELOAD} if first else None)

    async def file(request: Request, name: str) -> Response:
        asset = assets.get(f"assets/{name}")
        if asset is None:
            raise HttpProblem(404, "this file is not part of the page", next_step="load the page again")
        return _answer(request, asset, _FOREVER)

    for path in (
        "/",
        "/incidents",
        "/incidents/{rest}",
        "/signals",
        "/traces",
        "/traces/{rest}",
        "/graph",
        "/logs",
        "/llm",
        "/machines",
        "/models",
        "/actions",
        "/review",
        "/audit",
        "/status",
        "/signin",
    ):
        router.add_api_route(path, page, methods=["GET", "HEAD"])
    router.add_api_route("/assets/{name}", file, methods=["GET", "HEAD"])
    return router
