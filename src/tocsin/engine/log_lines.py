"""`LogLines`: log records wait for their watermark, are told apart by template, and are counted by service and minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.derive.fields import Fields, joined
from tocsin.derive.fingerprint import fingerprints
from tocsin.derive.templates import Template, Templates
from tocsin.engine.log_evidence import evidence
from tocsin.engine.log_service import MINUTE, ServiceLogs
from tocsin.engine.report import ENGINE
from tocsin.model.arrays import I8, Array
from tocsin.model.finding import Evidence, Finding
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.log import SourceKey
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Series, Signal
from tocsin.stats.log_mask import HEAD_BYTES, masked, shapes

MOST_SERVICES: Final = 500
"""Services, of all tenants, whose log is followed; what comes beyond is counted."""
SAMPLE_CHARS: Final = 400
_ERROR: Final = 17
_SERVICE: Final = "service.name"
_UNITS: Final = {
    "log.new_template.records": "{record}",
    "log.template.records": "{record}",
    "log.vanished_templates": "{template}",
}
Waiting: TypeAlias = tuple[I8, ...]
"""Records of one source: time, shape, fingerprint of the body, trace (0: none), service * 2 + whether an error; each (n,)."""
_Place: TypeAlias = tuple[str, str]
"""Tenant and service."""


class LogLines:
    """Pure: what it says depends on records and watermarks alone, not on how records were batched or in which order."""

    def __init__(self, rows: Rows) -> None:
        self.late = 0
        self.left_out = 0
        self._rows = rows
        self._row: dict[tuple[_Place, str, tuple[tuple[str, str], ...]], int] = {}
        self._places: dict[_Place, int] = {}
        self._services: dict[_Place, ServiceLogs] = {}
        self._templates: dict[str, Templates] = {}
        self._waiting: dict[SourceKey, list[Waiting]] = {}
        self._fresh: dict[tuple[_Place, int], tuple[int, int, str]] = {}  # the first text of a shape that is new here
        self._watermarks: dict[SourceKey, int] = {}

    def take(self, frames: Sequence[Frame], fields: Fields) -> None:
        """Take in frames of logs of one tenant; records at or before their source's watermark are late."""
        tenant = frames[0].tenant
        bodies = joined(frames, "body")
        time = np.concatenate([frame.i8("time") for frame in frames])
        shape, uid = shapes(bodies), fingerprints(bodies)
        failed = joined(frames, "severity_number").fill_null(0).to_numpy(zero_copy_only=False) >= _ERROR
        service = fields[_SERVICE]
        nameless = bool((service.code < 0).any())
        numbers = [self._number((tenant, "")) if nameless else -1]
        numbers += [self._number((tenant, name)) for name in service.texts]
        place = np.array(numbers, "i8")[service.code.astype("i8") + 1]
        columns = (time, shape, uid, _traces(frames), place * 2 + failed)
        at = 0
        for frame in frames:
            cut = slice(at, at + len(frame))
            at += len(frame)
            key = (frame.tenant, frame.source)
            timely: Array = (time[cut] > self._watermarks.get(key, 0)) & (place[cut] >= 0)
            self.late += len(frame) - int(timely.sum())
            if timely.any():
                rows: Waiting = tuple(column[cut][timely] for column in columns)
                self._waiting.setdefault(key, []).append(rows)
                self._texts(rows, bodies, np.flatnonzero(timely) + cut.start)

    def _number(self, place: _Place) -> int:
        number = self._places.get(place)
        if number is None:
            if len(self._places) >= MOST_SERVICES:
                self.left_out += 1
                return -1
            number = self._places[place] = len(self._places)
        return number

    def _texts(self, rows: Waiting, bodies: Any, at: I8) -> None:
        """Keep the first text of each shape that its service does not know yet; by time, so that order can't matter."""
        time, shape, uid, _, coded = rows
        order = np.lexsort((uid, time, shape, coded // 2))
        pairs = np.stack((coded[order] // 2, shape[order]))
        new = np.r_[True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)]
        places = list(self._places)
        for i in order[new].tolist():
            key = (places[int(coded[i]) // 2], int(shape[i]))
            service = self._services.get(key[0])
            if service is not None and service.knows(key[1]) and key[1] in self._templates[key[0][0]]:
                continue
            mine = (int(time[i]), int(uid[i]), (bodies[int(at[i])].as_py() or "")[:HEAD_BYTES])
            known = self._fresh.get(key)
            if known is None or mine[:2] < known[:2]:
                self._fresh[key] = mine

    def release(self, key: SourceKey, watermark: int) -> None:
        """Count what a source's watermark has passed, once each."""
        self._watermarks[key] = watermark
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        columns = [np.concatenate(column) for column in zip(*waiting, strict=True)]
        ripe = columns[0] <= watermark
        if not ripe.all():
            self._waiting[key] = [tuple(column[~ripe] for column in columns)]
            columns = [column[ripe] for column in columns]
        if not len(columns[0]):
            return
        time, shape, uid, trace, coded = columns
        order = np.lexsort((coded, trace, uid, shape, time))
        table = np.stack([column[order] for column in (time, shape, uid, trace, coded)])
        kept = np.r_[True, (table[:, 1:] != table[:, :-1]).any(axis=0)]
        self._count(key, table[:, kept])

    def _count(self, key: SourceKey, table: Array) -> None:
        time, shape, _, trace, coded = table
        ends = -(-time // MINUTE) * MINUTE
        order = np.lexsort((ends, shape, coded))
        groups = np.stack((coded[order], shape[order], ends[order]))
        starts = np.flatnonzero(np.r_[True, (groups[:, 1:] != groups[:, :-1]).any(axis=0)])
        sizes = np.diff(np.r_[starts, groups.shape[1]])
        first = order[starts]  # sorts are stable: the first record of each group
        places = list(self._places)
        for i in np.argsort(first, kind="stable").tolist():
            code, of, end = groups[:, starts[i]].tolist()
            place = places[code // 2]
            service = self._service(place, end)
            service.feeds[key[1]] = max(service.feeds.get(key[1], 0), end)
            if end <= service.closed:
                self.late += int(sizes[i])
                continue
            self._learn(place, service, of, end)
            minute = service.open.setdefault(end, Counter())
            minute[of, bool(code % 2)] += int(sizes[i])
        for i in np.flatnonzero(trace).tolist():
            service = self._services[places[int(coded[i]) // 2]]
            if ends[i] > service.closed:
                service.sequences.take(int(trace[i]), int(time[i]), int(shape[i]))

    def _service(self, place: _Place, end: int) -> ServiceLogs:
        service = self._services.get(place)
        if service is None:
            began = end - MINUTE
            service = self._services[place] = ServiceLogs(place[1], began, began)
        return service

    def _learn(self, place: _Place, service: ServiceLogs, shape: int, end: int) -> None:
        """See to it that tenant and service know a shape."""
        templates = self._templates.setdefault(place[0], Templates())
        templates.touch(shape, end)
        fresh = self._fresh.pop((place, shape), None)
        if fresh is None:
            return
        templates.learn(shape, masked(fresh[2]), end)
        if not service.knows(shape):
            service.samples[shape] = fresh[2][:SAMPLE_CHARS]

    # -- minutes ---------------------------------------------------------------------------------------------------

    def close(self, *, away: bool) -> list[tuple[SourceKey, Samples]]:
        """Samples of the minutes that all sources of a service have passed, by the source under which they go on."""
        found = []
        for place in sorted(self._services):
            service = self._services[place]
            mark = service.mark(self._watermarks, place[0])
            rows: list[int] = []
            times: list[int] = []
            values: list[float] = []
            while service.closed < mark:
                if (away or service.idle()) and service.skip(mark):
                    continue
                end = service.closed + MINUTE
                for told in service.close(end, self._templates[place[0]]):
                    rows.append(self._series(place, told.signal, told.labels))
                    times.append(end)
                    values.append(told.value)
            if rows:
                samples = Samples.plain(np.array(rows, "i4"), np.array(times, "i8"), np.array(values))
                found.append((_source(place), samples))
        return found

    def watermarks(self) -> dict[SourceKey, int]:
        """Up to when the minutes of each service are told."""
        return {_source(place): service.closed for place, service in self._services.items()}

    def _series(self, place: _Place, signal: str, labels: tuple[tuple[str, str], ...]) -> int:
        key = (place, signal, labels)
        row = self._row.get(key)
        if row is None:
            named = ((_SERVICE, place[1]),) if place[1] else ()
            series = Series.of(place[0], Signal(signal, _UNITS.get(signal, "1")), (*named, *labels))
            row = self._row[key] = self._rows.of_series(series)
        return row

    def proof(self, finding: Finding) -> Evidence:
        """What a finding on logs rests on: messages with their counts, and lines as samples."""
        if not finding.series.signal.name.startswith("log."):
            return {}
        service = self._services.get((finding.tenant, finding.series.label(_SERVICE)))
        return {} if service is None else evidence(finding, service)

    def frames(self, received: int) -> list[Frame]:
        """Shapes whose template is new or another, for the store."""
        return [
            _frame(tenant, received, news)
            for tenant, templates in sorted(self._templates.items())
            if (news := templates.news())
        ]

    def counted_out(self) -> int:
        """How many lines, services and requests there was no room for."""
        return (
            self.left_out
            + sum(templates.left_out for templates in self._templates.values())
            + sum(service.sequences.left_out for service in self._services.values())
        )

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree of copies."""
        return {
            "counts": [self.late, self.left_out],
            "places": [list(place) for place in self._places],
            "services": [[place[0], service.snapshot()] for place, service in self._services.items()],
            "templates": {tenant: templates.snapshot() for tenant, templates in self._templates.items()},
            "waiting": [
                [*key, *(np.concatenate(column) for column in zip(*waiting, strict=True))]
                for key, waiting in self._waiting.items()
            ],
            "fresh": [[*place, shape, *text] for (place, shape), text in self._fresh.items()],
            "watermarks": dict(self._watermarks),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self.late, self.left_out = state["counts"]
        self._places = {(tenant, name): number for number, (tenant, name) in enumerate(state["places"])}
        for tenant, each in state["services"]:
            service = ServiceLogs.restored(each)
            self._services[tenant, service.service] = service
        self._templates = {tenant: Templates.restored(each) for tenant, each in state["templates"].items()}
        self._waiting = {(tenant, source): [tuple(columns)] for tenant, source, *columns in state["waiting"]}
        self._fresh = {
            ((tenant, name), shape): (time, uid, text) for tenant, name, shape, time, uid, text in state["fresh"]
        }
        self._watermarks = dict(state["watermarks"])


def _source(place: _Place) -> SourceKey:
    return place[0], f"logs/{place[1]}"


def _traces(frames: Sequence[Frame]) -> I8:
    """63 bits of each trace id, 0 for none, (n,)."""
    column = joined(frames, "trace_id")
    raw = np.frombuffer(column.buffers()[1], "i8")
    first = column.offset * 2
    halves = raw[first : first + 2 * len(column)].reshape(-1, 2)
    found: I8 = (halves[:, 0] ^ halves[:, 1]) & np.int64(2**63 - 1)
    if column.null_count:
        found = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, found)
    return found


def _frame(tenant: str, received: int, news: Sequence[tuple[int, Template]]) -> Frame:
    columns: dict[str, Sequence[object]] = {
        "time": [received] * len(news),
        "shape": [shape for shape, _ in news],
        "template": [template.id for _, template in news],
        "text": [template.text for _, template in news],
    }
    return frame_of(FrameKind.LOG_TEMPLATES, tenant, ENGINE, columns)
