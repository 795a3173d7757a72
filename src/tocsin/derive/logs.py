"""Logs become samples: one count per record, by service and severity."""

from __future__ import annotations

import hashlib

import numpy as np

from tocsin.derive.fields import FieldReader
from tocsin.model.frame import Frame
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Kind, Series, Signal

LOG_RECORDS = Signal("log.records", "{record}", Kind.GAUGE)
_LEVELS = ((21, "fatal"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (1, "trace"))


def level(number: int) -> str:
    """Name of an OpenTelemetry severity number.

    >>> level(18), level(0)
    ('error', 'unspecified')
    """
    return next((name for least, name in _LEVELS if number >= least), "unspecified")


class LogCounts:
    """Counts log records as events of the signal `log.records`."""

    def __init__(self, fields: FieldReader, rows: Rows) -> None:
        self._fields = fields
        self._rows = rows
        self._cache: dict[tuple[str, str | None, str], int] = {}

    def fold(self, frame: Frame) -> Samples:
        """One sample of value 1 per record."""
        if not len(frame):
            return Samples.empty()
        services = self._fields.columns(frame.batch, ["service.name"])["service.name"]
        numbers = frame.batch.column("severity_number").to_pylist()
        rows = []
        for service, number in zip(services, numbers, strict=True):
            key = (frame.tenant, service, level(number or 0))
            row = self._cache.get(key)
            if row is None:
                labels = {"severity": key[2]} | ({"service.name": service} if service else {})
                row = self._cache[key] = self._rows.of_series(Series.of(frame.tenant, LOG_RECORDS, labels))
            rows.append(row)
        time = frame.i8("time")
        # records carry no id of their own: content tells repeats from twins as well as anything can
        uid = np.array([_fingerprint(body) for body in frame.batch.column("body").to_pylist()], "i8")
        return Samples.plain(np.array(rows, "i4"), time, np.ones(len(rows)), uid)


def _fingerprint(body: str | None) -> int:
    """A number for a log body that is the same in every process."""
    digest = hashlib.blake2b((body or "").encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
