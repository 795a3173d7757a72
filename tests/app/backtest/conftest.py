"""One past for all tests here."""

import pytest

from acceptance.past import lived, stores


@pytest.fixture(scope="session")
def past(tmp_path_factory):
    with stores(lived(tmp_path_factory.mktemp("past"))) as both:
        yield both
