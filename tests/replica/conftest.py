"""One installation for the tests of a module."""

from __future__ import annotations

import pytest

import postgres
from replica.house import House


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Control and two replicas, all started together on an empty database."""
    if postgres.programs() is None:
        pytest.skip("postgresql is not installed")
    made = House(tmp_path_factory.mktemp("house"))
    for _ in range(2):
        made.replica()
    made.control.start()
    for each in made.replicas:
        each.ready()
    yield made
    made.close()
