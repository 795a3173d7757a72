"""One past for the tests of a file; the store beneath it is one a process, so it must end with the file."""

import pytest

from acceptance.past import lived, stores


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    with stores(lived(tmp_path_factory.mktemp("past"))) as both:
        yield both
