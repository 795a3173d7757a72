"""What all tests share: a skip is a failure under TOCSIN_NO_SKIP=1; side by side, whole servers run one after another."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("TOCSIN_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under TOCSIN_NO_SKIP=1: {report.longrepr}"
    return report


PROGRAMS = "programs"
"""The group of all tests that start whole servers or programs installed by apt."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Let one worker run everything that starts programs, from the beginning, and the others take file by file."""
    for item in items:
        programs = item.path.parent.name in {"system", "acceptance", "packaging"} or item.get_closest_marker("system")
        item.add_marker(pytest.mark.xdist_group(PROGRAMS if programs else str(item.path)))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != PROGRAMS)


@pytest.fixture(scope="session")
def datasets():
    """Directory of the real data sets."""
    path = os.environ.get("TOCSIN_DATASETS")
    if not path:
        pytest.skip("TOCSIN_DATASETS does not name the real data sets")
    from pathlib import Path

    return Path(path)
