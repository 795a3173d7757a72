"""State stores of a layout that is made once."""

import pytest

import remedy_world


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return remedy_world.template(tmp_path_factory)


@pytest.fixture
def database(layout, tmp_path):
    """A fresh state store's file."""
    return remedy_world.copied(layout, tmp_path)
