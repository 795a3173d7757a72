"""The Numenta Anomaly Benchmark: 58 files streamed with one configuration, scored by its published rule."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.csv as pa_csv

from tocsin.app.bench.claims import claims
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.nab_scoring import PROFILES, Labels, Profile, corpus_score, labels_of
from tocsin.engine.series_scorer import LIMIT, SeriesScorer
from tocsin.model.arrays import F8, I8
from tocsin.model.detection import Step
from tocsin.model.errors import BadInput

STANDARD: Final = PROFILES["standard"]
AIM: Final = 70.0
WITHIN: Final = 5.0
NAMES: Final = {"reward_low_FP_rate": "low false positives", "reward_low_FN_rate": "low false negatives"}


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """One file of the corpus: times and values (n,), and what its rows are worth."""

    name: str
    time: I8
    value: F8
    labels: Labels


def measure(setting: Setting) -> Bench:
    """Stream the corpus and score what came of it.

    Raises
    ------
    BadInput
        The data set is not there.
    """
    if setting.datasets is None:
        raise BadInput("bench nab needs the data: name its directory with --datasets or TOCSIN_DATASETS")
    place = setting.datasets / "nab"
    files = corpus(place)
    bench = Bench("nab", load=os.getloadavg())
    began, spent = time.monotonic(), time.process_time()
    scores, alarms = stream(files)
    spent = time.process_time() - spent
    for figure in _figures(files, scores, alarms):
        bench.add(figure)
    rows = sum(len(file.time) for file in files)
    bench.add(Figure("rows judged", rows / spent, "rows/CPU-s", note=f"{rows:,} rows, 58 series side by side"))
    for figure in _claims(files, alarms):
        bench.add(figure)
    for figure in _published(place):
        bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def corpus(place: Path) -> list[File]:
    """All labelled files, by name.

    Raises
    ------
    BadInput
        They are not in this directory.
    """
    labels = place / "labels" / "combined_windows.json"
    if not labels.is_file():
        raise BadInput(f"{labels}: not there; the data set `nab` is a copy of data/ and labels/ of numenta/NAB")
    windows = json.loads(labels.read_text())
    return [_file(place / "data" / name, name, windows[name]) for name in sorted(windows)]


def _file(path: Path, name: str, windows: Sequence[tuple[str, str]]) -> File:
    table: Any = pa_csv.read_csv(path)
    at: I8 = table.column("timestamp").to_numpy().astype("datetime64[ns]").astype("i8")
    value: F8 = table.column("value").to_numpy().astype("f8")
    return File(name, at, value, labels_of(at, [(_ns(first), _ns(last)) for first, last in windows]))


def _ns(text: str) -> int:
    seconds = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    return round(seconds) * 1_000_000_000


def stream(files: Sequence[File]) -> tuple[list[F8], list[F8]]:
    """Scores, and alarms as 0 or 1, of every row of every file, judged by the rows before it: one configuration."""
    scorer = SeriesScorer()
    sizes = np.array([len(file.time) for file in files])
    scores = [np.zeros(size) for size in sizes.tolist()]
    alarms = [np.zeros(size) for size in sizes.tolist()]
    # a clock that was set back stands still until it has caught up, as in `tocsin score`
    times = [np.maximum.accumulate(file.time) for file in files]
    for k in range(int(sizes.max())):
        rows = np.flatnonzero(sizes > k).astype("i4")
        at = np.array([times[row][k] for row in rows.tolist()])
        value = np.array([files[row].value[k] for row in rows.tolist()])
        got = scorer.fold(Step(rows, at, value))
        for row, score, alarm in zip(rows.tolist(), got.score.tolist(), got.alarm.tolist(), strict=True):
            scores[row][k], alarms[row][k] = score, alarm
    return scores, alarms


def half_of(name: str) -> int:
    """Which half of the corpus a file is in, 0 or 1, by a hash of its name."""
    return hashlib.sha256(name.encode()).digest()[0] & 1


def _score(files: Sequence[File], scores: Sequence[F8], profile: Profile, limit: float | None = None) -> Any:
    return corpus_score(scores, [file.labels for file in files], profile, limit)


def _figures(files: Sequence[File], scores: Sequence[F8], alarms: Sequence[F8]) -> Iterator[Figure]:
    best = _score(files, scores, STANDARD)
    how = f"all {len(files)} files at the best threshold, {best.threshold:.2f}: {_said(best)}"
    yield Figure("standard profile", best.score, "points", AIM, note=how)
    for key, name in NAMES.items():
        found = _score(files, scores, PROFILES[key])
        yield Figure(f"profile of {name}", found.score, "points", note=f"at {found.threshold:.2f}: {_said(found)}")
    own = _score(files, alarms, STANDARD, 1.0)
    how = f"alarms as `tocsin score` writes them, limit {LIMIT}: {_said(own)}"
    yield Figure("standard profile at the own default limit", own.score, "points", best.score - WITHIN, note=how)
    for key, name in NAMES.items():
        found = _score(files, alarms, PROFILES[key], 1.0)
        yield Figure(f"profile of {name} at the own default limit", found.score, "points", note="the same alarms")
    for half in (0, 1):
        yield _across(files, scores, half)


def _across(files: Sequence[File], scores: Sequence[F8], half: int) -> Figure:
    """Threshold chosen on one half, score of the other."""
    chosen = [k for k, file in enumerate(files) if half_of(file.name) != half]
    judged = [k for k, file in enumerate(files) if half_of(file.name) == half]
    limit = _score([files[k] for k in chosen], [scores[k] for k in chosen], STANDARD).threshold
    found = _score([files[k] for k in judged], [scores[k] for k in judged], STANDARD, limit)
    how = f"{len(judged)} files, at {limit:.2f}, the best threshold of the other {len(chosen)}: {_said(found)}"
    return Figure(f"standard profile, half {half + 1}", found.score, "points", note=how)


def _claims(files: Sequence[File], alarms: Sequence[F8]) -> Iterator[Figure]:
    """Beside limits, on the files that were measured and not made."""
    real = [k for k, file in enumerate(files) if not file.name.startswith("artificial")]
    return claims([files[k].value for k in real], [files[k].labels for k in real], [alarms[k] for k in real])


def _said(found: Any) -> str:
    return f"{found.found} of {found.windows} windows, {found.false} false alarms"


def _published(place: Path) -> Iterator[Figure]:
    """What others reached, as they published it."""
    path = place / "published_final_results.json"
    if not path.is_file():
        return
    published = json.loads(path.read_text())
    best = sorted(published, key=lambda name: -float(published[name]["standard"]))
    for name in [*best[:5], "windowedGaussian"]:
        yield Figure(f"{name}, standard profile", float(published[name]["standard"]), "points", note="as published")
