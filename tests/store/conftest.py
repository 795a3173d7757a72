"""Fixtures of this stage."""

from __future__ import annotations

import pytest

from store.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "store")
    yield made
    made.close()
