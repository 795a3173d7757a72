import pytest

import kernel_cache
from system.server import Server


@pytest.fixture(scope="session")
def kernels():
    """Where compiled kernels are kept between runs; compiling them takes longer than all tests here."""
    return kernel_cache.PLACE


@pytest.fixture(scope="module")
def make_server(kernels, tmp_path_factory):
    """Makes servers that are started already; all end with the module."""
    made = []

    def make(config=None, **settings):
        server = Server(tmp_path_factory.mktemp("serve"), kernels, config, **settings)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.close()
