"""C14: from spans and records to the score of a day, its terms, its point and one digest by mail or hook."""

import json

import pytest

from acceptance.house import House
from acceptance.stack import SECOND, Hook, play
from tocsin.app.handover import assessed_frame
from tocsin.app.model_health.day_book import SCORE, DayBook
from tocsin.store.health_rows import HealthRows

pytestmark = pytest.mark.acceptance

DAY_S = 86_400
STEP_S = 30
STEPS = 20
QUIET = 20
DAYS = 4
BAD = DAYS - 1


def book_of(house):
    def send(tenant, points):
        body = json.dumps(points).encode()
        house.edge.submit([assessed_frame(tenant, body, house.edge.identifier.resolve)]).result()

    return DayBook(HealthRows(house.telemetry.db), house.state, house.packs, house.config, house.clock, send)


def spans(house, second, *, slow):
    end = house.clock.now()
    made = [
        {
            "traceId": f"{second * 100 + n:032x}", "spanId": f"{second * 100 + n:016x}", "name": "GET /", "kind": 2,
            "startTimeUnixNano": str(end - (600_000_000 if slow else 200_000_000) - n * 1_000_000),
            "endTimeUnixNano": str(end), "status": {"code": 2 if slow and n < 2 else 1},
        }
        for n in range(20)
    ]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": made}]}]}


def records(second, now_s, *, wrong):
    return [
        {
            "prediction_id": f"{second}-{n}", "time": now_s, "model": "churn", "version": "1",
            "prediction": True, "truth": not (n < (8 if wrong else 2)), "score": 0.8,
        }
        for n in range(20)
    ]  # fmt: skip


async def week(path, text, hook):
    house = House(path, text)
    book = book_of(house)
    try:
        for day in range(DAYS):
            for step in range(STEPS):
                second = 1 + day * DAY_S + step * STEP_S
                await house.post("/v1/traces", spans(house, second, slow=day == BAD))
                await house.records(records(second, house.clock.now() / SECOND, wrong=day == BAD))
                house.clock.advance((STEP_S - 1) * SECOND)
                await house.second()
                if step % 10 == 9:
                    house.join()
            for _ in range(QUIET):  # let the windows of the day close
                house.clock.advance(59 * SECOND)
                await house.second()
            house.join()
            house.clock.advance((DAY_S - STEPS * STEP_S - QUIET * 60) * SECOND)
        for _ in range(3):
            book.step()
            await house.second()
        house.book = book = book_of(house)  # another start
        assert book.step() == 0
        house.join()
        points = list(house.telemetry.exports.rows("points", "main", SCORE))
        return book.days("main"), points, list(hook.posts)
    finally:
        await house.close()


def test_c14_the_score_of_a_day_its_terms_and_one_digest(tmp_path):
    hook = Hook()
    text = f"""
destinations: [{{name: hook, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}]
routes: [{{match: {{severity: [critical]}}, to: [hook]}}]
health: {{at: "00:00", digest: [hook]}}
"""
    try:
        days, points, posts = play(week(tmp_path, text, hook))
    finally:
        hook.close()
    day = days[-1]
    found = {each["entity"]["name"]: each for each in day["entities"]}
    shop, churn = found["shop"], found["churn"]
    assert {term["term"] for term in shop["terms"] if term["cost"]} == {"p95 latency", "error rate"}
    assert shop["unmeasured"] == ["quality", "business"]
    (accuracy,) = (term for term in churn["terms"] if term["term"] == "accuracy")
    assert accuracy["value"] == pytest.approx(0.6, abs=0.02)
    assert accuracy["usual"] == pytest.approx(0.9, abs=0.02)
    assert accuracy["cost"] == pytest.approx(40)
    assert shop["score"] < 70
    assert {each["labels"].get("service.name"): each["value"] for each in points}["shop"] == pytest.approx(
        shop["score"]
    )
    digests = [body for _, _, body in posts if body["action"] == "digest"]
    (told,) = digests
    assert "p95 latency" in told["incident"]["statement"]
    assert told["incident"]["title"].startswith(f"Health on {day['day']}: 0 of 2 are good; the worst is shop")
