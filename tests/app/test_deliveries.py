"""Destinations at work: what a test of one says when nothing comes back."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tocsin.app import deliveries
from tocsin.app.deliveries import Deliveries
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Retryable
from tocsin.spec.load import parse_config
from tocsin.store.state import StateStore


@pytest.fixture
def deaf():
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_destination_that_never_answers_is_said_in_words(deaf, monkeypatch, tmp_path):
    monkeypatch.setattr(deliveries, "TEST_LIMIT_S", 0.2)
    text = f'destinations: [{{name: hook, type: webhook, url: "http://127.0.0.1:{deaf}/", allow: [127.0.0.0/8]}}]'
    state = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    held = Deliveries(parse_config(text, "t.yaml", {}).config, state, ManualClock(1), "http://127.0.0.1:8642")

    async def story():
        running = asyncio.create_task(held.run(asyncio.get_running_loop()))
        await asyncio.sleep(0)
        try:
            with pytest.raises(Retryable, match=r"hook did not answer within 0.2 s"):
                await asyncio.to_thread(held.test, "main", "hook")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
    state.close()
