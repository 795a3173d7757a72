"""Fairness over days: a model begins to turn a group away; records, counts, point, finding, incident, webhook."""

import json

import numpy as np
import pytest

from acceptance.house import House
from acceptance.stack import SECOND, Hook, play
from tocsin.app.handover import assessed_frame
from tocsin.app.model_health.group_watch import CHANGE, GroupWatch
from tocsin.store.group_rows import GroupRows

pytestmark = pytest.mark.acceptance

DAY_S = 86_400
DAYS = 8
TURNS = 5
"""The first day on which fewer women are approved."""


def watch_of(house):
    def send(tenant, points):
        body = json.dumps(points).encode()
        house.edge.submit([assessed_frame(tenant, body, house.edge.identifier.resolve)]).result()

    tenants = ["main"]
    return GroupWatch(
        GroupRows(house.telemetry.db), house.state, lambda: tenants, house.packs, house.config, house.clock, send
    )


def applications(rng, day, now_s, *, turned):
    rows = []
    for n in range(800):
        gender = "fm"[n % 2]
        rate = 0.6 - 0.25 * (turned and gender == "f")
        rows.append(
            {
                "prediction_id": f"{day}-{n}", "time": now_s, "model": "loans", "version": "3",
                "prediction": "approve" if rng.random() < rate else "decline", "score": 0.5,
                "tags": {"gender": gender, "age_group": ("young", "old")[n // 2 % 2], "region": "eu" if n % 3 else "us"},
            }
        )  # fmt: skip
    return rows


async def days(path, hook, *, fault):
    house = House(
        path,
        f"""
destinations: [{{name: hook, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}]
fairness: [{{model: "loan*", groups: [gender, age_group], positive: approve}}]
""",
    )
    rng = np.random.default_rng(11)
    seen = []
    try:
        for day in range(DAYS):
            await house.records(applications(rng, day, house.clock.now() / SECOND, turned=fault and day >= TURNS))
            await house.second()
            house.join()
            house.clock.advance((DAY_S - 4) * SECOND)
            watch = watch_of(house)  # a start every day
            watch.step()
            assert watch.step() == 0, "a day was judged twice"
            for _ in range(3):
                await house.second()
            seen.append(len(house.incidents()))
        shown = watch.shown("main", "loans", "gender")
        house.join()
        points = list(house.telemetry.exports.rows("points", "main", CHANGE))
        return house.incidents(), seen, shown, points, list(hook.posts)
    finally:
        await house.close()


@pytest.fixture
def hook():
    server = Hook()
    yield server
    server.close()


def test_a_group_that_is_turned_away_is_an_incident_the_next_day(tmp_path, hook):
    incidents, seen, shown, points, posts = play(days(tmp_path, hook, fault=True))
    assert seen[:TURNS] == [0] * TURNS, "an alarm while all were treated as before"
    assert seen[TURNS] == 1, "the first day of the change was not told on the next"
    (incident,) = incidents
    assert {dict(each.series.labels)["tag"] for each in incident.findings} == {"gender"}
    assert {each.monitor for each in incident.findings} == {"model-gap-change"}
    worst = min(incident.findings, key=lambda each: each.value)
    assert dict(worst.series.labels)["group"] == "f"
    assert worst.value == pytest.approx(-0.25, abs=0.1)
    assert any(body["action"] == "trigger" for _, _, body in posts)
    women = next(g for g in shown["rates"][0]["groups"] if g["group"] == "f")
    assert (women["since"], len(women["gaps"])) == (shown["rates"][0]["days"][TURNS], DAYS)
    assert shown["say"].startswith("Against the other groups changed: the selection rate of f")
    assert {each["labels"]["tag"] for each in points} == {"gender", "age_group"}


def test_eight_fair_days_are_told_nobody(tmp_path, hook):
    incidents, _, shown, points, posts = play(days(tmp_path, hook, fault=False))
    assert not incidents
    assert not posts
    assert shown["say"] == "No gap is shown to have changed."
    assert {each["value"] for each in points} == {0.0}
