"""The fake world served on a real port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.fake import deps
from tocsin.api.app import control_app
from tocsin.api.ports import Deps


@dataclass
class World:
    """One served world."""

    deps: Deps
    url: str
    stop: Callable[[], None]
    app: FastAPI


@contextlib.contextmanager
def served(found: Deps) -> Iterator[World]:
    """Serve these ports on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    app = control_app(found)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)

    try:
        yield World(found, f"http://127.0.0.1:{listener.getsockname()[1]}", stop, app)
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
