"""Captures: what the verdict of an incident needs, held by hard links when it opens, before retention takes it away.

A capture is a directory `replays/<incident>` with the snapshot from before the incident, the segments of the input
log from there on, and the incident as it was told. Links take no time and no space while the log has the files too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from tocsin.app.logs import INPUT
from tocsin.journal.segment import segment_firsts, segment_path
from tocsin.model.codec import Json, incident_to_json
from tocsin.model.incident import Incident
from tocsin.selfmon.metrics import counter, gauge
from tocsin.store.backup import REPLAYS

SNAPSHOTS: Final = "snapshots"
TOLD: Final = "told.json"
MOST: Final = 200
MOST_BYTES: Final = 2 << 30
_ID = re.compile(r"inc-[0-9a-f]{8,64}")
_KEPT = counter("tocsin_app_replay_captures_total", "Incidents whose replay was kept when they opened")
_FAILED = counter(
    "tocsin_app_replay_captures_failed_total", "Incidents whose replay could not be kept, by reason", ["reason"]
)
_BYTES = gauge("tocsin_app_replay_captures_bytes", "Bytes of files that only replays of incidents still hold")
_log = structlog.get_logger(__name__)


class Source(NamedTuple):
    """Where a verdict can be folded from: a snapshot (None: from the first record) and the log from there on."""

    snapshot: Path | None
    log: Path
    first: int


class Captures:
    """The captures of a data directory; the oldest go when there are too many, or when they hold too much."""

    def __init__(self, data_dir: Path, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._data = data_dir
        self._root = data_dir / REPLAYS
        self._most, self._most_bytes = most, most_bytes

    def keep(self, incident: Incident, cause: int) -> None:
        """Hold what the verdict of an incident needs that opened by the input record `cause`; never fails."""
        place = self.place(incident.id)
        if place is None or place.exists():
            return
        source = source_of(self._data / SNAPSHOTS, self._data / INPUT, cause)
        if source is None:
            _FAILED.labels("gone").inc()
            return
        aside = self._root / f".{incident.id}.new"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            if source.snapshot is not None:
                _hold(source.snapshot, aside / source.snapshot.name)
            for first in _needed(source):
                _hold(segment_path(source.log, first), segment_path(aside, first))
            (aside / TOLD).write_text(json.dumps({"cause": cause, "incident": incident_to_json(incident)}))
            aside.replace(place)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            _FAILED.labels("disk").inc()
            _log.warning("the replay of an incident could not be kept", incident=incident.id, cause=str(error))
        else:
            _KEPT.inc()
            self._prune()

    def place(self, incident_id: str) -> Path | None:
        """Directory of the capture of an incident, whether there is one or not; None for what is no id."""
        return self._root / incident_id if _ID.fullmatch(incident_id) else None

    def told(self, incident_id: str) -> Json | None:
        """The incident as it was told when it opened, with the record that it opened by; None without a capture."""
        place = self.place(incident_id)
        try:
            found: Json | None = None if place is None else json.loads((place / TOLD).read_text())
        except (OSError, ValueError):
            return None
        return found

    def _prune(self) -> None:
        places = sorted((each for each in self._root.glob("inc-*") if each.is_dir()), key=_made, reverse=True)
        held: dict[int, int] = {}
        for number, place in enumerate(places):
            for file in place.iterdir():
                stat = file.stat()
                if _alone(stat, self._data, file):
                    held[stat.st_ino] = stat.st_size
            if number and (number >= self._most or sum(held.values()) > self._most_bytes):
                shutil.rmtree(place, ignore_errors=True)
        _BYTES.set(min(sum(held.values()), self._most_bytes))


def source_of(snapshots: Path, log: Path, cause: int) -> Source | None:
    """The oldest snapshot before a record whose log is still there from it on; None if too much is gone."""
    firsts = segment_firsts(log)
    if not firsts:
        return None
    for snapshot in sorted(snapshots.glob("*.snap")):
        offset = int(snapshot.stem)
        if firsts[0] <= offset <= cause:
            return Source(snapshot, log, offset)
    return Source(None, log, 0) if firsts[0] == 0 else None


def find_source(data_dir: Path, captures: Captures, incident_id: str, cause: int) -> Source | None:
    """Where the verdict of an incident can be folded from: its capture, else what the directory still has."""
    place = captures.place(incident_id)
    if place is not None and place.is_dir() and (found := source_of(place, place, cause)) is not None:
        return found
    return source_of(data_dir / SNAPSHOTS, data_dir / INPUT, cause)


def _needed(source: Source) -> list[int]:
    firsts = segment_firsts(source.log)
    begins = [first for first in firsts if first <= source.first]
    return [first for first in firsts if not begins or first >= begins[-1]]


def _hold(path: Path, held: Path) -> None:
    try:
        os.link(path, held)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copy2(path, held)


def _made(place: Path) -> float:
    return place.stat().st_mtime


def _alone(stat: os.stat_result, data_dir: Path, file: Path) -> bool:
    """Whether log and snapshots no longer have a file, so that captures alone hold its bytes."""
    homes = (data_dir / INPUT / file.name, data_dir / SNAPSHOTS / file.name)
    return not any(_inode(home) == stat.st_ino for home in homes)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1
