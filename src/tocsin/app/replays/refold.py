"""The fold of a bundle by the same pure engine, with what was said of the findings of its incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tocsin.app.replays.bundle import Bundle
from tocsin.engine.entity_monitor import EntityMonitor
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.points import PointRule
from tocsin.engine.snapshot import unpack
from tocsin.engine.watch import Watch
from tocsin.journal.excerpt import records_of
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.codec import findings_of
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.finding import Finding
from tocsin.model.frame import FrameKind
from tocsin.model.log import Control, Output
from tocsin.model.series import Catalog
from tocsin.window.lane import Closed

MOST_UNPACKED_BYTES: Final = 2 << 30
_CHUNK_BYTES: Final = 1 << 20
_HEAD_BYTES, _TAIL_BYTES = 8, 16
_BROKEN = (KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError, OSError, RecursionError)


@dataclass(slots=True)
class Judged:
    """Windows that a watch judged from some time on, with its state before the first of them."""

    watch: Watch
    before: dict[str, Any]
    calls: list[tuple[str, Closed, F8, int]] = field(default_factory=list)


@dataclass(slots=True)
class Pointed:
    """Points that a rule was given from some time on, with its state before the first of them."""

    rule: PointRule
    before: list[list[Any]]
    calls: list[tuple[I4, I8, F8]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refolded:
    """All news of the wanted findings, in order, and what the monitor of the founding one was given."""

    news: Mapping[bytes, Sequence[Finding]]
    records: int
    until: int
    heard: Judged | Pointed | None


def refold(bundle: Bundle, *, trust_models: bool = False) -> Refolded:
    """Fold the log of a bundle from its snapshot on.

    Raises
    ------
    Corrupt
        The bundle can't be read by this program.
    BadInput
        It brings models along, and they are not trusted.
    """
    catalog = Catalog()
    pipeline = Pipeline(catalog)
    _restore(pipeline, bundle, trust_models=trust_models)
    wanted = {each.id for each in (*bundle.told.findings, *bundle.now.findings)}
    ear = _Ear(pipeline, founding(bundle))
    news: dict[bytes, list[Finding]] = {}
    count = 0
    ear.listen()
    try:
        for record in records_of(bundle.log, catalog, int(bundle.manifest["first"])):
            entry = record.entry
            if isinstance(entry, Control) and entry.kind == "model" and not trust_models:
                raise BadInput(_UNTRUSTED)
            output = pipeline.fold(record)
            count += 1
            if isinstance(entry, Control):
                ear.listen()
            for finding in _said(output, catalog):
                if finding.id in wanted:
                    news.setdefault(finding.id, []).append(finding)
    except _BROKEN as error:
        raise Corrupt(f"the log of the bundle can't be folded: {error!r}") from None
    return Refolded(news, count, pipeline.received, ear.heard)


_UNTRUSTED: Final = (
    "the bundle brings model files along, which would be run; add --trust-models if you know where it is from"
)


def founding(bundle: Bundle) -> Finding | None:
    """The finding that an incident began with."""
    return min(bundle.told.findings, key=lambda each: (each.start, each.id), default=None)


def _said(output: Output | None, catalog: Catalog) -> list[Finding]:
    frames = () if output is None else output.frames
    return [each for frame in frames if frame.kind is FrameKind.FINDINGS for each in findings_of(frame, catalog)]


def _restore(pipeline: Pipeline, bundle: Bundle, *, trust_models: bool) -> None:
    if bundle.snapshot is None:
        return
    made = str(bundle.manifest.get("version"))[:40]
    try:
        raw = _bounded(bundle.snapshot)
        state = unpack(raw)
        if state.get("models") and not trust_models and _models(state["models"]):
            raise BadInput(_UNTRUSTED)
        pipeline.restore(state)
    except (Corrupt, *_BROKEN, pa.ArrowException, MemoryError) as error:
        raise Corrupt(
            f"the state in the bundle can't be read by tocsin {version('tocsin')}: {error}; it was made by tocsin {made}"
        ) from None


def _models(state: Any) -> bool:
    return any(bool(part) for part in (state.values() if isinstance(state, Mapping) else [state]))


def _bounded(path: Path) -> bytes:
    """The bytes of a snapshot that does not unpack to more than it may."""
    raw = path.read_bytes()
    packed = memoryview(raw)[_HEAD_BYTES:-_TAIL_BYTES]
    total = 0
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            total += len(chunk)
            if total > MOST_UNPACKED_BYTES:
                raise Corrupt(f"it unpacks to more than {MOST_UNPACKED_BYTES >> 20} MiB")
    return raw


class _Ear:
    """Listens to what the monitor of a finding is given, from the time on at which the finding starts."""

    def __init__(self, pipeline: Pipeline, finding: Finding | None) -> None:
        self._pipeline = pipeline
        self._finding = finding
        self.heard: Judged | Pointed | None = None

    def listen(self) -> None:
        """Listen to the monitor as it is now: a spec may have made it anew."""
        finding = self._finding
        if finding is None:
            return
        roster = self._pipeline.roster
        for watch in roster.watches.values():
            if watch.spec.name == finding.monitor and not isinstance(watch, EntityMonitor):
                watch.heard = lambda tenant, closed, levels, absorb, watch=watch: self._judged(
                    watch, (tenant, closed, levels, absorb), finding.start
                )
        for rule in roster.rules.values():
            if rule.spec.name == finding.monitor:
                rule.heard = lambda rows, time, value, rule=rule: self._pointed(
                    rule, (rows, time, value), finding.start
                )

    def _judged(self, watch: Watch, call: tuple[str, Closed, F8, int], start: int) -> None:
        if call[1].end < start:
            return
        if not isinstance(self.heard, Judged) or self.heard.watch is not watch:
            self.heard = Judged(watch, watch.snapshot())
        tenant, closed, levels, absorb = call
        self.heard.calls.append((tenant, closed, levels.copy(), absorb))

    def _pointed(self, rule: PointRule, call: tuple[I4, I8, F8], start: int) -> None:
        rows, time, value = call
        if not len(time) or int(time.max()) < start:
            return
        if not isinstance(self.heard, Pointed) or self.heard.rule is not rule:
            self.heard = Pointed(rule, rule.snapshot())
        self.heard.calls.append((rows.copy(), time.copy(), value.copy()))
