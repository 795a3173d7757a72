"""What all tests share: a skip is a failure under TOCSIN_NO_SKIP=1."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("TOCSIN_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under TOCSIN_NO_SKIP=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def datasets():
    """Directory of the real data sets."""
    path = os.environ.get("TOCSIN_DATASETS")
    if not path:
        pytest.skip("TOCSIN_DATASETS does not name the real data sets")
    from pathlib import Path

    return Path(path)
