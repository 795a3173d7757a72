import errno
import threading

import pytest

from tocsin.journal import SegmentLog
from tocsin.journal.files import DiskFiles
from tocsin.model.clock import ManualClock
from tocsin.model.series import Catalog


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000_000_000)


@pytest.fixture
def opened(tmp_path, clock):
    """Open logs on `tmp_path/log` that are closed at the end of the test."""
    logs = []

    def open_log(catalog=None, **options):
        log = SegmentLog(tmp_path / "log", Catalog() if catalog is None else catalog, clock, **options)
        logs.append(log)
        return log

    yield open_log
    for log in logs:
        log.close()


class _File:
    """A real file whose owner may refuse to write or sync."""

    def __init__(self, file, owner):
        self._file, self._owner = file, owner

    def write(self, data):
        self._owner.before_write(self._file, data)
        self._file.write(data)

    def sync(self):
        self._owner.before_sync()
        self._file.sync()

    def truncate(self, size_bytes):
        self._file.truncate(size_bytes)

    def close(self):
        self._file.close()


class _Files(DiskFiles):
    def create(self, path):
        return _File(super().create(path), self)

    def before_write(self, file, data):
        pass

    def before_sync(self):
        pass


class StuckFiles(_Files):
    """Syncs wait until they may go."""

    def __init__(self):
        self.go = threading.Event()

    def before_sync(self):
        assert self.go.wait(20)


class TightFiles(_Files):
    """A disk with little room: writes what fits, then says so."""

    room_bytes = 1 << 20

    def before_write(self, file, data):
        if len(data) > self.room_bytes:
            file.write(data[: self.room_bytes])
            raise OSError(errno.ENOSPC, "no space left on device")
        self.room_bytes -= len(data)


class FailingFiles(_Files):
    broken = False

    def before_sync(self):
        if self.broken:
            raise OSError("the disk is gone")


@pytest.fixture
def stuck_files():
    files = StuckFiles()
    yield files
    files.go.set()


@pytest.fixture
def tight_files():
    return TightFiles()


@pytest.fixture
def failing_files():
    return FailingFiles()
