"""A label is judged on stored history before it takes effect, holds in the fold, and can be taken back."""

import numpy as np
import pytest

from acceptance.past import BUMP_AT, CONFIG, MINUTE, MINUTES, START
from tocsin.app.backtest.drill import drill
from tocsin.app.backtest.judging import judge
from tocsin.app.backtest.label import asked_by
from tocsin.app.backtest.plan import prepare_drill
from tocsin.app.backtest.service import Backtests
from tocsin.engine.labels import Labels
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.store.history_rows import HistoryRows, Stretch

NOW = START + (MINUTES + 1) * MINUTE
DAYS = 1.0


@pytest.fixture
def here(monkeypatch):
    """Judge in this process: another would compile its kernels anew."""
    monkeypatch.setattr("tocsin.app.backtest.service.judged", lambda directory, *_: judge(directory))


class Engine:
    """What the hot process is told."""

    def __init__(self):
        self.asks = []

    def __call__(self, asks):
        self.asks = asks


def service(past):
    telemetry, state = past
    engine = Engine()
    config = parse_config(CONFIG, "t.yaml", {}).config
    return Backtests(HistoryRows(telemetry.db), state, load_packs(), engine), engine, config


def told(past):
    outage, bump = sorted(past[1].incidents("main", limit=10), key=lambda each: each.opened_at)
    assert bump.opened_at > BUMP_AT
    return outage, bump


def test_a_false_alarm_is_shown_to_vanish_put_into_force_and_taken_back(past, here):
    backtests, engine, config = service(past)
    _, bump = told(past)
    found = backtests.label(bump, "false_alarm", config, NOW, DAYS)
    assert found["changes"]
    (series,) = found["series"]
    assert series["after"] < series["worst_log10_p"] < 0
    assert [each["id"] for each in found["difference"]["incidents"]["lost"]] == [bump.id]
    assert found["difference"]["incidents"]["added"] == []
    assert engine.asks == [], "a preview changes nothing"

    put = backtests.put(bump, "false_alarm", config, by="ann", at=NOW)
    assert engine.asks == [["latency", bump.findings[0].series.id.hex(), series["after"]]]
    assert [each["incident"] for each in backtests.labels()] == [bump.id]
    assert put["by"] == "ann"
    assert Labels.restored(engine.asks).asks["latency"]

    appears = backtests.label(bump, "real_problem", config, NOW, DAYS)
    assert [each["id"] for each in appears["difference"]["incidents"]["added"]] == [bump.id]

    assert backtests.take_back(bump.id, by="ann", at=NOW + 1)
    assert engine.asks == []
    assert not backtests.take_back(bump.id, by="ann", at=NOW + 2)


def test_a_true_one_of_the_same_series_is_never_hidden(past):
    telemetry, _ = past
    outage, _ = told(past)
    rows = HistoryRows(telemetry.db)
    monitors = {each.name: each for each in parse_config(CONFIG, "t", {}).config.monitors}
    asks, (said,) = asked_by(rows, outage, "false_alarm", {}, [outage], monitors)
    assert said.reason.startswith("held where a true one still opens")
    assert asks[outage.findings[0].monitor, outage.findings[0].series.id] >= said.worst


def test_drills_find_what_is_planted_and_say_what_not(past, tmp_path):
    telemetry, _ = past
    config = parse_config(CONFIG, "t.yaml", {}).config
    assert prepare_drill(
        HistoryRows(telemetry.db), Stretch("main", START, NOW), config, load_packs(), ["latency"], tmp_path
    )
    large = drill(tmp_path, per_monitor=2, size=40.0, seed=3)
    assert large["planted"] == 2
    assert large["recall"] == 1
    assert 0 < large["delay_s"]["median"] <= 600
    small = drill(tmp_path, per_monitor=2, size=0.01, seed=3)
    assert small["found"] == 0 or small["recall"] < 1
    assert len(small["missed"]) == small["planted"] - small["found"]
    assert np.isfinite(small["size"])
