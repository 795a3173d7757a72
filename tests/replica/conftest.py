"""One installation for the tests of a module."""

from __future__ import annotations

from contextlib import closing

import pytest

import postgres
from replica.house import House
from system.test_access import outer_address


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Control and two replicas, all started together on an empty database."""
    if postgres.programs() is None:
        pytest.skip("postgresql is not installed")
    with closing(House(tmp_path_factory.mktemp("house"))) as made:
        for _ in range(2):
            made.replica()
        made.control.start()
        for each in made.replicas:
            each.ready()
        yield made


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """The same where others can reach it, so that keys are asked for; control first, as it makes the first key."""
    if postgres.programs() is None:
        pytest.skip("postgresql is not installed")
    host = outer_address()
    with closing(House(tmp_path_factory.mktemp("locked"), host=host)) as made:
        made.control.start()
        made.control.key = made.control.lines[0].removeprefix("key: ")
        for _ in range(2):
            made.replica(host=host, data=made.control.data)
        for each in made.replicas:
            each.ready()
        yield made
