"""The health of each day: measured once, kept, told once, by a clock that the test moves."""

from __future__ import annotations

import math

import pytest

from tocsin.app.model_health.daily import Days, Measured, scale
from tocsin.app.model_health.day_book import MOST_KEPT, DayBook
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Unreachable
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.store.health_rows import WindowMean
from tocsin.store.state import StateStore

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = 20_000 * DAY
CONFIG = """
destinations:
  - {name: hook, type: webhook, url: "https://example.org/x"}
  - {name: mail, type: email, host: smtp, from: a@example.org, to: [b@example.org]}
health:
  terms: [{name: deflection, of: churn, signal: support.deflection, good: 0.6, bad: 0.4}]
"""


class Rows:
    """What was seen on each day, by its number."""

    def __init__(self):
        self.latency = {}
        self.accuracy = {}
        self.own = {}
        self.names = ["main"]

    def tenants(self):
        return self.names

    def windows(self, tenant, monitors, start, end):
        day = start // DAY
        found = []
        if day in self.latency:
            labels = {"service.name": "shop"}
            found.append(WindowMean("service-latency-p95", labels, self.latency[day], 1000, 50_000))
        if day in self.accuracy:
            for version in ("1", "2"):
                labels = {"model": "churn", "version": version}
                found.append(WindowMean("model-accuracy", labels, self.accuracy[day], 100, 900))
            # parts of a whole are not counted again
            found.append(WindowMean("model-accuracy", {**labels, "region": "eu"}, 0.0, 100, 900))
        assert set(monitors) >= {each.monitor for each in found}
        return found

    def points(self, tenant, signal, where, aggregate, start, end):
        value = self.own.get(start // DAY, math.nan)
        return value, 0 if math.isnan(value) else 100


class House:
    """A book with a real state store."""

    def __init__(self, path, text=CONFIG):
        self.path = path
        self.rows = Rows()
        self.clock = ManualClock(START + 12 * HOUR)
        self.config = parse_config(text, "tocsin.yaml", {}).config
        self.points = []
        self.away = False
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.book = self.opened()

    def opened(self):
        return DayBook(self.rows, self.state, load_packs(), self.config, self.clock, self.send)

    def restart(self):
        self.state.close()
        self.state = StateStore(f"sqlite:///{self.path / 'state.db'}")
        self.book = self.opened()

    def send(self, tenant, points):
        if self.away:
            raise Unreachable("not now")
        self.points += points

    def queued(self):
        return [message for message in self.state.due_messages(self.clock.now(), 1000) if message.action == "digest"]


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    for day in range(19_990, 20_030):
        made.rows.latency[day], made.rows.accuracy[day], made.rows.own[day] = 0.2, 0.9, 0.7
    yield made
    made.state.close()


def test_a_day_is_told_once_whatever_restarts(house):
    assert house.book.step() == 1
    (message,) = house.queued()
    assert (message.destination, message.dedup_key) == ("mail", "digest-2024-10-03")
    for _ in range(3):
        house.restart()
        assert house.book.step() == 0
    house.clock.advance(17 * HOUR)  # 05:00, the day before is not settled
    assert house.book.step() == 0
    house.clock.advance(HOUR + 1)
    assert house.book.step() == 1
    assert len(house.queued()) == 2
    assert [each["day"] for each in house.book.days("main")] == ["2024-10-03", "2024-10-04"]


def test_the_terms_that_cost_most_are_told_first_and_the_scores_are_points(house):
    house.rows.latency[19_999] = 0.6  # three times the usual: all of its points
    house.rows.accuracy[19_999] = 0.83  # half of its points
    house.book.step()
    (day,) = house.book.days("main")
    churn, shop = sorted(day["entities"], key=lambda each: each["entity"]["name"])
    assert (shop["score"], shop["terms"][0]["cost"], shop["unmeasured"]) == (70, 30, ["errors", "quality", "business"])
    assert [term["term"] for term in churn["terms"]] == ["accuracy", "deflection"]
    assert (churn["score"], churn["terms"][0]["cost"]) == (pytest.approx(80), pytest.approx(20))
    assert (churn["terms"][0]["usual"], churn["terms"][0]["samples"]) == (pytest.approx(0.9), 1800)
    told = {each.labels.get("model") or each.labels["service.name"]: each.value for each in house.points}
    assert told == {"shop": 70, "churn": pytest.approx(80)}
    (message,) = house.queued()
    assert message.incident.title == "Health on 2024-10-03: 0 of 2 are good; the worst is shop with 70 of 100"
    text = message.incident.statement
    assert "shop on 2024-10-03: 70 of 100, fair (30 less than the day before)" in text
    assert "p95 latency 0.6 s cost 30 of 30 points" in text
    assert text.index("shop") < text.index("churn")


def test_after_a_stop_each_day_is_judged_and_only_the_last_is_told(house):
    house.book.step()
    house.clock.advance(4 * DAY)
    assert house.book.step() == 4
    assert len(house.queued()) == 2
    assert "Of 3 days before nobody was told" in house.queued()[-1].incident.statement
    house.clock.advance(20 * DAY)
    assert house.book.step() == 7
    assert len(house.queued()) == 3
    for _ in range(40):
        house.clock.advance(DAY)
        house.book.step()
    assert len(house.book.days("main")) == MOST_KEPT


def test_what_could_not_be_handed_over_is_tried_again_and_told_once(house):
    house.away = True
    with pytest.raises(Unreachable):
        house.book.step()
    assert not house.queued()
    house.away = False
    assert house.book.step() == 1
    assert len(house.queued()) == 1


def test_a_day_on_which_nothing_was_measured_is_unknown_not_good(house):
    for what in (house.rows.latency, house.rows.accuracy, house.rows.own):
        what[19_999] = math.nan
    del house.rows.latency[19_999], house.rows.accuracy[19_999]
    house.book.step()
    (day,) = house.book.days("main")
    assert [(each["score"], each["word"]) for each in day["entities"]] == [(None, "unknown")] * 2
    assert {term["note"] for each in day["entities"] for term in each["terms"]} == {"not measured on this day"}
    assert not house.points


def test_without_earlier_days_there_is_no_usual_and_that_is_said(house):
    for day in range(19_990, 19_998):
        del house.rows.latency[day], house.rows.accuracy[day]
    house.book.step()
    (day,) = house.book.days("main")
    terms = {term["term"]: term for each in day["entities"] for term in each["terms"]}
    assert terms["accuracy"]["cost"] is None
    assert terms["accuracy"]["note"] == "fewer than 3 earlier days to compare with"
    assert terms["deflection"]["cost"] == 0


def test_nobody_is_told_where_nobody_reads(tmp_path):
    for number, (text, told) in enumerate(
        (
            ("destinations: [{name: hook, type: webhook, url: 'https://example.org/x'}]", []),
            (CONFIG.replace("health:", "health:\n  digest: []"), []),
            (CONFIG.replace("health:", "health:\n  digest: [hook, hook]"), ["hook"]),
        )
    ):
        (tmp_path / str(number)).mkdir()
        house = House(tmp_path / str(number), text)
        house.rows.latency[19_999] = 0.2
        house.book.step()
        assert [message.destination for message in house.queued()] == told
        assert house.book.days("main")
        house.state.close()


def test_the_hour_is_that_of_the_time_zone(tmp_path):
    house = House(tmp_path, "health: {at: '00:30', time_zone: America/New_York}")
    house.clock.advance(16 * HOUR)  # midnight in New York, in summer
    house.book.step()
    assert [each["day"] for each in house.book.days("main")] == ["2024-10-03"]
    house.clock.advance(HOUR // 2)
    house.book.step()
    assert [each["day"] for each in house.book.days("main")][-1] == "2024-10-04"
    house.state.close()


def test_days_have_no_value_from_few_windows():
    class Few(Rows):
        def windows(self, tenant, monitors, start, end):
            return [WindowMean("service-latency-p95", {"service.name": "s"}, 9.0, 3, 1000)]

    (entity,) = Days(Few(), [t for pack in load_packs() for t in pack.health], []).judge("main", [(0, DAY)])
    assert math.isnan(entity.measured[0].value)


@pytest.mark.parametrize("kind", ["latency", "errors", "quality", "business"])
def test_a_usual_day_costs_nothing_and_a_wholly_bad_one_all(kind):
    worse = "down" if kind in ("quality", "business") else "up"
    good, bad = scale(kind, worse, 0.5)
    assert (bad > good) == (worse == "up")
    usual = Measured("x", kind, worse, "", 0.5, 100, (0.5,) * 7)
    assert usual.term().cost(0.5) == 0.0
    assert usual.term().cost(bad) == usual.term().worth
