"""Fixtures of this stage."""

from __future__ import annotations

import pytest

import postgres as pg
from store.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of Debian's; each test takes databases of its own."""
    programs = pg.programs()
    if programs is None:
        pytest.skip("postgresql is not installed")
    server = pg.Server(programs)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def url(request, tmp_path):
    """Address of a new state store, on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return request.getfixturevalue("postgres").fresh()
