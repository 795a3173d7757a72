"""Fixtures of this stage."""

from __future__ import annotations

import os

import pytest

import postgres as pg
from store.front_process import FrontProcess, drop
from store.world import World
from tocsin.store.cluster import Cluster

ON_BOTH = {"test_export", "test_graph_rows", "test_llm_rows", "test_model_rows", "test_queries", "test_records"}
"""Files whose tests with a `world` run on a cluster as well, in `make soak`."""


def pytest_generate_tests(metafunc):
    if "world" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ON_BOTH:
        places = ["chdb", pytest.param("cluster", marks=pytest.mark.soak)]
        metafunc.parametrize("world", places, indirect=True)


@pytest.fixture
def world(request, tmp_path):
    cluster = None
    if getattr(request, "param", "chdb") == "cluster":
        url = os.environ.get("CLICKHOUSE_URL") or request.getfixturevalue("clickhouse").url
        cluster = Cluster(url, os.environ.get("CLICKHOUSE_CLUSTER", "one"), timeout_s=120)
        drop(cluster)
    made = World(tmp_path / "store", cluster=cluster)
    yield made
    made.close()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory):
    """What speaks ClickHouse's HTTP before a chDB of its own."""
    made = FrontProcess(tmp_path_factory.mktemp("front"))
    yield made
    made.kill()


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
