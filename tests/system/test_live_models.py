"""A real server compares prompts, follows groups, judges its days, and gives rows out as SQL."""

import json
import sqlite3
import time

import numpy as np
import pytest

from system.server import until

CONFIG = """
ab: [{model: bot-on-trial, arm: prompt, arms: [now, new], metric: feedback.resolved}]
fairness: [{model: bot-on-trial, groups: [tier], positive: answered}]
"""
ROWS = 600
DAY_S = 86_400


@pytest.fixture(scope="module")
def server(make_server):
    return make_server(CONFIG)


@pytest.fixture(scope="module")
def trial(server):
    """Predictions of yesterday in two prompts, of which the new one resolves less; feedback comes after them."""
    rng = np.random.default_rng(1)
    arms = ["now", "new"] * (ROWS // 2)
    rng.shuffle(arms)
    made = [
        {
            "prediction_id": f"trial-{n}", "time": time.time() - DAY_S, "model": "bot-on-trial", "version": "1",
            "prediction": "answered" if rng.random() < 0.7 else "handed over",
            "tags": {"prompt": arm, "tier": "gold" if n % 3 else "basic"},
        }
        for n, arm in enumerate(arms)
    ]  # fmt: skip
    told = [
        {"prediction_id": f"trial-{n}", "feedback": {"resolved": bool(rng.random() < (0.8 if arm == "now" else 0.4))}}
        for n, arm in enumerate(arms)
    ]
    for rows in (made, told):
        body = "\n".join(json.dumps(row) for row in rows)
        answer = server.http.post("/v1/records", content=body, headers={"content-type": "application/x-ndjson"})
        assert answer.json()["accepted"] == ROWS, answer.text


def compared(server):
    answer = server.http.get(
        "/api/ab/bot-on-trial", params={"arm": "prompt", "metric": "feedback.resolved", "control": "now"}
    )
    found = answer.json() if answer.status_code == 200 else {}
    return found if found.get("known_rows", 0) >= ROWS - 20 else None


def test_prompts_are_compared_and_the_worse_one_is_an_incident(server, trial):
    found = until(lambda: compared(server), 90)
    assert found, server.log()
    (each,) = found["treatments"]
    assert (each["treatment"], each["outcome"]) == ("new", "worse")

    def told():
        rows = server.export("findings")
        return [row for row in rows if row["monitor"] == "model-arm-worse" and row["entity"]]

    assert until(told, 120), server.log()


def test_groups_of_yesterday_are_shown(server, trial):
    def shown():
        answer = server.http.get("/api/fairness/bot-on-trial")
        return answer.json() if answer.status_code == 200 and answer.json().get("rates") else None

    found = until(shown, 90)
    assert found, server.log()
    assert (found["tag"], found["positive"]) == ("tier", '"answered"')
    selection = found["rates"][0]
    assert {each["group"] for each in selection["groups"]} == {"gold", "basic"}
    assert sum(gap["n"] for gap in selection["groups"][0]["gaps"]) > 0


def test_the_day_before_is_judged(server, trial):
    found = until(lambda: server.get("/api/health")["day"], 120)
    assert found, server.log()


def test_records_come_out_as_sql(server, trial):
    found = until(lambda: compared(server), 90)
    assert found
    text = server.run("export", "records", "--where", "model=bot-on-trial", "--format", "sql").stdout.decode()
    with sqlite3.connect(":memory:") as base:
        base.executescript(text)
        asked = "SELECT count(*), count(json_extract(feedback, '$.resolved')) FROM records"
        assert base.execute(asked).fetchone() == (ROWS, ROWS)
