"""The fake world served on a real port, and a real browser to look at it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api.fake import deps
from tocsin.api.app import control_app
from tocsin.api.ports import Deps

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class World:
    """One served world."""

    deps: Deps
    url: str
    stop: Callable[[], None]


@contextlib.contextmanager
def served(found: Deps) -> Iterator[World]:
    """Serve these ports on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(control_app(found), log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)

    try:
        yield World(found, f"http://127.0.0.1:{listener.getsockname()[1]}", stop)
    finally:
        stop()
        listener.close()


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of the full world, open to all."""
    with TestClient(control_app(deps()), base_url="http://127.0.0.1:8642") as found:
        yield found


@pytest.fixture
def locked() -> Iterator[TestClient]:
    """A client of the full world that needs a key."""
    with TestClient(control_app(deps(open_to_all=False)), base_url="http://127.0.0.1:8642") as found:
        yield found


@pytest.fixture
def full() -> Iterator[World]:
    """The full world on a port."""
    with served(deps()) as world:
        yield world


@pytest.fixture
def empty() -> Iterator[World]:
    """The empty world on a port."""
    with served(deps(full=False)) as world:
        yield world


@pytest.fixture
def behind_keys() -> Iterator[World]:
    """The full world on a port, with keys."""
    with served(deps(open_to_all=False)) as world:
        yield world


@pytest.fixture(scope="module")  # while it lives, no other test of this thread may run an event loop
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield found
        found.close()


# the machine may be busy with other tests
expect.set_options(timeout=60_000)

WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', e => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));
"""


class View:
    """A page of the browser that remembers what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.add_init_script(WATCH)
        page.on("console", lambda each: self.errors.append(each.text) if each.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def check(self) -> None:
        """No console error, no policy violation, no script of telemetry ran, nothing wider than the window."""
        assert self.errors == []
        assert self.page.evaluate("window.violations") == []
        assert self.page.evaluate("window.hacked") is None
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def view(browser: Browser) -> Iterator[Callable[..., View]]:
    """Make a fresh view: `view(width, height, theme)`."""
    contexts = []

    def make(width: int = 1360, height: int = 860, theme: str = "light") -> View:
        scheme = "dark" if theme == "dark" else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
        return View(context.new_page())

    yield make
    for context in contexts:
        context.close()
