"""Logs become samples: one count per record, by service and severity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.derive.drawn import Drawn
from tocsin.derive.fields import Fields, joined
from tocsin.derive.fingerprint import fingerprints
from tocsin.model.frame import Frame
from tocsin.model.series import Kind, Series, Signal

LOG_RECORDS = Signal("log.records", "{record}", Kind.GAUGE)
_LEVELS = ("unspecified", "trace", "debug", "info", "warn", "error", "fatal")
_LEAST = (1, 5, 9, 13, 17, 21)
_SERVICE = "service.name"


def level(number: int) -> str:
    """Name of an OpenTelemetry severity number.

    >>> level(18), level(0)
    ('error', 'unspecified')
    """
    return _LEVELS[int(np.searchsorted(_LEAST, number, "right"))]


class LogCounts:
    """Counts log records as events of the signal `log.records`."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str | None, int], Series] = {}

    def draw(self, frames: Sequence[Frame], fields: Fields) -> Drawn:
        """One sample of value 1 per record of frames of one tenant."""
        service = fields[_SERVICE]
        severity = joined(frames, "severity_number").fill_null(0).to_numpy(zero_copy_only=False)
        mixed = (service.code.astype("i8") + 1) * len(_LEVELS) + np.searchsorted(_LEAST, severity, "right")
        found, key = np.unique(mixed, return_inverse=True)
        texts = [None, *service.texts]
        sizes = np.array([len(frame) for frame in frames])
        n = int(sizes.sum())
        return Drawn(
            np.repeat(np.arange(len(frames), dtype="i4"), sizes),
            np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes),
            key.astype("i4"),
            np.concatenate([frame.i8("time") for frame in frames]),
            np.ones(n),
            # records carry no id of their own: content tells repeats from twins as well as anything can
            fingerprints(joined(frames, "body")),
            [self._of(frames[0].tenant, texts[k // len(_LEVELS)], k % len(_LEVELS)) for k in found.tolist()],
        )

    def _of(self, tenant: str, service: str | None, severity: int) -> Series:
        key = (tenant, service, severity)
        series = self._series.get(key)
        if series is None:
            labels = {"severity": _LEVELS[severity]} | ({_SERVICE: service} if service else {})
            series = self._series[key] = Series.of(tenant, LOG_RECORDS, labels)
        return series
