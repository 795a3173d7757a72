"""What all tests share: a skip is a failure under TOCSIN_NO_SKIP=1; side by side, whole servers run one after another, and so do other programs."""

import functools
import os
import shutil
from pathlib import Path

import pytest

import kernel_cache

kernel_cache.use()

# programs of environments of their own, run by tests/instrumentors/record.py
collect_ignore = ["instrumentors"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("TOCSIN_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under TOCSIN_NO_SKIP=1: {report.longrepr}"
    return report


SERVERS, PROGRAMS = "servers", "programs"
"""The groups of all tests that start whole servers, and of all others that start programs installed by apt."""
ROOT = Path(__file__).parents[1]


@functools.cache
def group_of(file):
    """What runs in one worker, one after another: all that starts servers; programs; else the tests of a file."""
    folder, text = Path(file).parent.name, (ROOT / file).read_text(encoding="utf-8")
    if folder == "system" or (folder == "acceptance" and ("import subprocess" in text or "mark.system" in text)):
        return SERVERS
    return PROGRAMS if folder == "packaging" or "mark.system" in text else file


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with what starts servers, and programs, for it takes longest."""
    first = {SERVERS: 0, PROGRAMS: 1}
    items.sort(key=lambda item: first.get(group_of(item.nodeid.partition("::")[0]), 2))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give workers whole groups in the order of collection."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.fixture(scope="session")
def datasets():
    """Directory of the real data sets."""
    path = os.environ.get("TOCSIN_DATASETS")
    if not path:
        pytest.skip("TOCSIN_DATASETS does not name the real data sets")
    return Path(path)


@pytest.fixture(scope="module")  # while it lives, no other test of this thread may run an event loop
def browser():
    """Debian's Chromium, headless."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    from browsing import launched

    with launched(path) as found:
        yield found


@pytest.fixture
def view(browser):
    """Make a fresh view: `view(width, height, theme)`."""
    from browsing import views

    with views(browser) as make:
        yield make
