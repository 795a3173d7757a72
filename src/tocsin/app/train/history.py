"""History from a file: rows of each series or entity on a grid of equal steps, and labelled incidents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tocsin.app.score.cells import plain, times
from tocsin.app.score.layout import Layout, Readings, Wanted
from tocsin.app.score.order import OrderCheck
from tocsin.app.score.table import Table
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

TIMES: Final = ("time", "timestamp", "ts", "datetime", "date", "when")
"""Names under which the time is looked for when nobody names it."""
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One series or entity: numbers (n,) of its steps, rising, and what its signals were then, (n, features)."""

    name: str
    step: I8
    value: F8


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What was read; step k lasts from `k * step_ns` after the epoch on."""

    file: str
    names: tuple[str, ...]
    step_ns: int
    tracks: tuple[Track, ...]
    rows: int
    first_ns: int
    last_ns: int
    sha256: str

    @property
    def days(self) -> float:
        """How long a time it covers."""
        return (self.last_ns - self.first_ns) / 86_400e9


@dataclass(frozen=True, slots=True)
class Incident:
    """A labelled span of time, both ends included; `series` "" means all."""

    start_ns: int
    end_ns: int
    series: str = ""


def time_column(table: Table, given: str) -> str:
    """Name of the column of the time.

    Raises
    ------
    BadInput
        None was named and none is called like one.
    """
    if given:
        return table.column(given, "--time")
    folded = {name.casefold(): name for name in reversed(table.names)}
    found = next((folded[name] for name in TIMES if name in folded), None)
    if found is None:
        raise BadInput(f"{table.path}:1: no column is called {', '.join(TIMES)}; name the one of the time with --time")
    return found


def read_history(file: Path, wanted: Wanted, step_ns: int | None) -> History:
    """Read a whole file; `step_ns` None: the distance that most rows have.

    Raises
    ------
    BadInput
        The file is not as `tocsin score` wants it, or has too few rows.
    """
    table = Table(file)
    layout = Layout.of(table, wanted)
    readings = Readings(table, layout)
    check = OrderCheck(readings)
    group, when, value = [], [], []
    for block in readings.blocks():
        check.follow(block)
        group.append(block.group)
        when.append(block.time)
        value.append(block.value)
    check.done()
    groups, at, values = np.concatenate(group), np.concatenate(when), np.concatenate(value)
    empty = [name for name, column in zip(layout.values, values.T, strict=True) if not np.isfinite(column).any()]
    if empty:
        raise BadInput(f"{file}: column {empty[0]!r} holds no number at all; leave it out with --value")
    step = step_ns or _usual_step(file, groups, at)
    tracks = []
    for key, number in readings.groups.items():
        mine = groups == number
        tracks.append(_track(one_line(str(key[-1])) if key else "", at[mine], values[mine], step))
    first, last = int(at.min()), int(at.max())
    return History(str(file), layout.values, step, tuple(tracks), len(at), first, last, sha256_of(file))


def _usual_step(file: Path, groups: I4, at: I8) -> int:
    order = np.lexsort((at, groups))
    gaps = np.diff(at[order])[np.diff(groups[order]) == 0]
    gaps = gaps[gaps > 0]
    if not gaps.size:
        raise BadInput(f"{file}: no series has two rows at different times; there is nothing to learn from")
    return int(np.median(gaps))


def _track(name: str, at: I8, values: F8, step_ns: int) -> Track:
    """Rows on the grid: the mean of those of one step, NaN where a signal has none."""
    steps, place = np.unique(at // step_ns, return_inverse=True)
    known = np.isfinite(values)
    total, count = np.zeros((len(steps), values.shape[1])), np.zeros((len(steps), values.shape[1]))
    np.add.at(total, place, np.where(known, values, 0.0))
    np.add.at(count, place, known)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return Track(name, steps, mean)


def sha256_of(file: Path) -> str:
    """Digest of a file's bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read_incidents(file: Path) -> list[Incident]:
    """Labelled incidents: columns `start`, `end` and, for those of one series or entity, `series`.

    Raises
    ------
    BadInput
        A column is missing, a cell is no time, or an end is before its start.
    """
    table = Table(file)
    start_name, end_name = table.column("start", "the labels"), table.column("end", "the labels")
    found: list[Incident] = []
    for chunk in table.chunks():
        if not len(chunk):
            continue
        start = times(chunk.columns[start_name], table, chunk.first, start_name)
        end = times(chunk.columns[end_name], table, chunk.first, end_name)
        named = plain(chunk.columns["series"]).to_pylist() if "series" in table.names else [""] * len(chunk)
        for k in range(len(chunk)):
            if end[k] < start[k]:
                raise BadInput(f"{table.place(chunk.first + k)}: the incident ends before it starts; swap the two")
            found.append(Incident(int(start[k]), int(end[k]), "" if named[k] is None else one_line(str(named[k]))))
    if not found:
        raise BadInput(f"{file}:2: there are no incidents below the names of the columns")
    return found
