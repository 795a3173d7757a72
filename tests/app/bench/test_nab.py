"""The scoring rule of NAB against what was published, and the bench over a corpus of two files."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from tocsin.app.bench import nab
from tocsin.app.bench.figure import Setting
from tocsin.app.bench.nab_scoring import PROFILES, corpus_score, labels_of
from tocsin.app.bench.sizes import SMALL
from tocsin.model.errors import BadInput

MINUTE = 60 * 10**9
STANDARD = PROFILES["standard"]


@pytest.fixture
def published():
    place = os.environ.get("TOCSIN_DATASETS")
    if not place:
        pytest.skip("TOCSIN_DATASETS is not set")
    return Path(place) / "nab"


def labels(rows=100, *windows):
    return labels_of(np.arange(rows) * MINUTE, [(a * MINUTE, b * MINUTE) for a, b in windows])


def alarms(rows, *at):
    scores = np.zeros(rows)
    scores[list(at)] = 1.0
    return scores


def test_an_alarm_at_the_first_row_of_every_window_is_a_hundred():
    of = labels(100, (40, 49), (70, 79))
    assert corpus_score([alarms(100, 40, 70)], [of], STANDARD).score == pytest.approx(100.0)


def test_silence_is_nothing_and_a_late_alarm_is_worth_little():
    of = labels(100, (40, 49))
    assert corpus_score([np.zeros(100)], [of], STANDARD, 0.5).score == 0.0
    late, early = (corpus_score([alarms(100, k)], [of], STANDARD, 0.5).score for k in (49, 41))
    assert 50.0 < late < 75.0 < early < 100.0


def test_a_false_alarm_costs_its_weight_and_less_right_behind_a_window():
    of = labels(100, (40, 49))
    score = {k: corpus_score([alarms(100, 40, k)], [of], STANDARD, 0.5).score for k in (30, 50, 95)}
    assert score[30] == score[95] == pytest.approx(100.0 - 100.0 * 0.11 / 2.0)
    assert score[30] < score[50] < 100.0


def test_nobody_judges_the_first_rows():
    of = labels(100, (40, 49))
    assert corpus_score([alarms(100, 3, 14, 40)], [of], STANDARD, 0.5).false == 0
    assert corpus_score([alarms(100, 15, 40)], [of], STANDARD, 0.5).false == 1


def test_the_best_threshold_is_found():
    of = labels(100, (40, 49))
    scores = np.zeros(100)
    scores[[30, 42, 60]] = 0.4, 0.9, 0.8
    found = corpus_score([scores], [of], STANDARD)
    assert (found.threshold, found.found, found.false) == (0.9, 1, 0)
    assert math.isinf(corpus_score([alarms(100, *range(20, 40))], [of], STANDARD).threshold)


def windowed_gaussian(values):
    """NAB's own detector of that name: 1 - Q(|z|) over a window of 6,400 values that moves by 100."""
    held, window, waiting = np.empty(6400), 0, []
    out, mean, sd = np.zeros(len(values)), 0.0, 1.0
    for k, x in enumerate(values):
        if window:
            out[k] = 1.0 - 0.5 * math.erfc(abs(x - mean) / sd / math.sqrt(2.0))
        if window < len(held):
            held[window] = x
            window += 1
        else:
            waiting.append(x)
            if len(waiting) < 100:
                continue
            held[:-100], held[-100:] = held[100:].copy(), waiting
            waiting = []
        mean, sd = held[:window].mean(), held[:window].std() or 1e-6
    return out.round(12)  # as it was published


@pytest.mark.datasets
def test_a_published_detector_gets_its_published_score(published):
    told = json.loads((published / "published_final_results.json").read_text())["windowedGaussian"]
    files = nab.corpus(published)
    scores = [windowed_gaussian(file.value.tolist()) for file in files]
    of = [file.labels for file in files]
    for name, profile in PROFILES.items():
        assert corpus_score(scores, of, profile).score == pytest.approx(told[name], abs=0.01)


@pytest.mark.datasets
@pytest.mark.soak
def test_the_corpus_scores_as_promised(published):
    bench = nab.measure(Setting(SMALL, datasets=published.parent))
    figures = {figure.name: figure for figure in bench.figures}
    assert figures["standard profile"].held
    assert figures["standard profile at the own default limit"].held


@pytest.fixture
def small(tmp_path):
    """Two files of noise, of which one has a spike in a window."""
    place = tmp_path / "nab"
    (place / "labels").mkdir(parents=True)
    (place / "data/real").mkdir(parents=True)
    values = 50.0 + np.random.default_rng(3).normal(size=(2, 600))
    values[0, 500] = 90.0
    for name, of in zip(("a", "b"), values, strict=True):
        rows = [f"2014-04-{1 + k // 288:02d} {k % 288 // 12:02d}:{k % 12 * 5:02d}:00,{x}" for k, x in enumerate(of)]
        (place / f"data/real/{name}.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    windows = {"real/a.csv": [["2014-04-02 17:00:00.000000", "2014-04-02 18:30:00.000000"]], "real/b.csv": []}
    (place / "labels/combined_windows.json").write_text(json.dumps(windows))
    return tmp_path


def test_the_bench_streams_and_scores(small, monkeypatch):
    monkeypatch.setattr(nab, "half_of", lambda _: 0)
    monkeypatch.setattr(nab, "_across", lambda *_: nab.Figure("half", 1.0, "points"))
    figures = {figure.name: figure for figure in nab.measure(Setting(SMALL, datasets=small)).figures}
    assert figures["standard profile"].value > 90.0
    assert "1 of 1 windows" in figures["standard profile at the own default limit"].note


def test_without_data_it_says_what_is_missing(tmp_path):
    with pytest.raises(BadInput, match="TOCSIN_DATASETS"):
        nab.measure(Setting(SMALL))
    with pytest.raises(BadInput, match=r"combined_windows\.json: not there"):
        nab.measure(Setting(SMALL, datasets=tmp_path))
