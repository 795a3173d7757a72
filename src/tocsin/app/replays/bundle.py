"""The bundle of an incident: one tar file that gives its verdict again anywhere; written whole, read with distrust.

Members, in this order: `incident.json` (as told when it opened, and as it is), `snapshot` (the state of the engine
before, unless the log starts at its beginning), `log/N.seg` (the input log from there on), and last `manifest.json`
with versions, sizes and digests of the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final

from tocsin.app.archive import archived_as
from tocsin.app.replays.captures import Captures, find_source
from tocsin.journal.excerpt import excerpt
from tocsin.model.clock import SECOND
from tocsin.model.codec import Json, incident_from_json, incident_to_json
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.incident import Incident

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
INCIDENT: Final = "incident.json"
SNAPSHOT: Final = "snapshot"
MOST_LOG_BYTES: Final = 64 << 20
MOST_SNAPSHOT_BYTES: Final = 256 << 20
MOST_BUNDLE_BYTES: Final = MOST_LOG_BYTES + MOST_SNAPSHOT_BYTES + (16 << 20)
MOST_JSON_BYTES: Final = 8 << 20
MOST_MEMBERS: Final = 64
AFTER_NS: Final = 120 * SECOND
"""How much of the log follows the last news of the incident."""
_CHUNK_BYTES: Final = 1 << 20
_MEMBER: Final = re.compile(r"log/\d{20}\.seg|snapshot|incident\.json")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose digests held: its parts lie in a directory of our own."""

    directory: Path
    manifest: Json
    told: Incident
    now: Incident

    @property
    def snapshot(self) -> Path | None:
        """The state before, None where the log starts at its beginning."""
        path = self.directory / SNAPSHOT
        return path if path.exists() else None

    @property
    def log(self) -> Path:
        """Directory of the segments."""
        return self.directory / "log"


def export_incident(data_dir: Path, incident: Incident) -> Iterator[bytes]:
    """The bytes of the bundle of an incident, from the data directory of a server, running or stopped.

    Raises
    ------
    BadInput
        Neither a capture nor log and snapshots reach back to it, or it would be too large.
    """
    captures = Captures(data_dir)
    kept = captures.told(incident.id)
    told = incident if kept is None else incident_from_json(kept["incident"])
    cause = None if kept is None else int(kept["cause"])
    with tempfile.TemporaryDirectory(prefix="tocsin-export-") as work:
        yield from archived_as(MANIFEST, *_parts(data_dir, captures, told, incident, cause, Path(work)))


def _parts(
    data_dir: Path, captures: Captures, told: Incident, now: Incident, cause: int | None, work: Path
) -> tuple[list[tuple[str, Path]], Json]:
    opened = cause if cause is not None else _MUST_COVER
    source = find_source(data_dir, captures, now.id, opened)
    if source is None:
        raise BadInput(
            f"the log no longer reaches back to {now.id}, and nothing was kept of it when it opened: it can't be replayed"
        )
    until = max([now.opened_at, *(each.time for each in now.findings)]) + AFTER_NS
    found = excerpt(source.log, source.first, until, work / "log", MOST_LOG_BYTES)
    if found.received < told.opened_at or (cause is not None and found.stop <= cause):
        raise BadInput(
            f"the {MOST_LOG_BYTES >> 20} MiB of log that a bundle may hold end before {now.id} opened;"
            " take a backup instead"
        )
    if source.snapshot is not None:
        if source.snapshot.stat().st_size > MOST_SNAPSHOT_BYTES:
            raise BadInput(f"the state before {now.id} takes more than the {MOST_SNAPSHOT_BYTES >> 20} MiB of a bundle")
        shutil.copyfile(source.snapshot, work / SNAPSHOT)
    body = {"told": incident_to_json(told), "now": incident_to_json(now)}
    (work / INCIDENT).write_text(json.dumps(body))
    files = [(path.relative_to(work).as_posix(), path) for path in sorted(work.rglob("*")) if path.is_file()]
    manifest = {
        "format": FORMAT,
        "incident": now.id,
        "version": version("tocsin"),
        "made_with": {name: version(name) for name in ("numpy", "numba", "pyarrow")}
        | {"python": platform.python_version(), "machine": platform.machine()},
        "first": found.first,
        "stop": found.stop,
        "until": found.received,
        "opened_by": cause,
        "bytes": sum(path.stat().st_size for _, path in files),
    }
    return files, manifest


_MUST_COVER: Final = 1 << 62
"""Without a capture nobody says by which record an incident opened: the oldest snapshot that there is must do."""


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle from wherever, checked; nothing of it is written but into a directory of our own, gone afterwards.

    Raises
    ------
    BadInput
        There is no such file.
    Corrupt
        It is no bundle, was changed, is of another format, or is too large.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise BadInput(f"can't read {path}: {(error.strerror or str(error)).lower()}") from None
    with stream, tempfile.TemporaryDirectory(prefix="tocsin-replay-") as work:
        if os.fstat(stream.fileno()).st_size > MOST_BUNDLE_BYTES:
            raise Corrupt(f"{path} is larger than a bundle can be ({MOST_BUNDLE_BYTES >> 20} MiB)")
        try:
            manifest = _unpack(stream, Path(work))
            incident = json.loads((Path(work) / INCIDENT).read_bytes())
            bundle = Bundle(
                Path(work), manifest, incident_from_json(incident["told"]), incident_from_json(incident["now"])
            )
        except tarfile.TarError as error:
            raise Corrupt(f"{path} is no bundle of an incident, or cut short: {error}") from None
        except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
            raise Corrupt(f"{path} is no bundle of an incident: {error!r}") from None
        except BadInput as error:
            raise Corrupt(f"{path} is no bundle of an incident: {error}") from None
        yield bundle


def _unpack(stream: BinaryIO, into: Path) -> dict[str, Any]:
    digests: dict[str, str] = {}
    (into / "log").mkdir()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            source = archive.extractfile(member) if member.isfile() else None
            if source is None or number > MOST_MEMBERS:
                raise Corrupt(f"no bundle: {member.name[:80]!r} does not belong in one")
            if member.name == MANIFEST:
                return _checked(source.read(MOST_JSON_BYTES), digests)
            if not _MEMBER.fullmatch(member.name) or member.name in digests:
                raise Corrupt(f"no bundle: {member.name[:80]!r} does not belong in one")
            if member.name == INCIDENT and member.size > MOST_JSON_BYTES:
                raise Corrupt("no bundle: what it says of the incident is too long")
            digest = hashlib.sha256()
            with (into / member.name).open("wb") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
            digests[member.name] = digest.hexdigest()
    raise Corrupt("the bundle is cut short: its manifest is missing")


def _checked(raw: bytes, found: dict[str, str]) -> dict[str, Any]:
    manifest = json.loads(raw)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), dict):
        raise Corrupt("no bundle: its manifest can't be read")
    if manifest.get("format") != FORMAT:
        told = f"tocsin {str(manifest.get('version'))[:40]}"
        raise Corrupt(f"the bundle has format {manifest.get('format')!r}, this program reads {FORMAT}; use {told}")
    wanted = manifest["sha256"]
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if wrong:
        raise Corrupt(f"the bundle was changed or damaged: {wrong[0][:80]!r} is not what it was")
    return manifest
