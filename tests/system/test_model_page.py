"""Records posted to a real server, and the page of their model in a real browser through its proxy."""

import json
import re
import shlex
import shutil
import subprocess
import time

import pytest
from playwright.sync_api import expect

from api.model_world import answer, shown, spread
from api.world import NOW, NS
from system.server import until

pytestmark = pytest.mark.system
NDJSON = {"content-type": "application/x-ndjson"}
LONG = "\u05d0\u202e<b>" + "m" * 9_000


@pytest.fixture(scope="module")
def server(make_server):
    """A server with two models: one that talks, one that ranks under a name of nine thousand letters."""
    found = make_server()
    shift = time.time_ns() - NOW - 5 * NS
    rows = [{"model": "assistant", **row} for row in spread(answer, 300, 300)]
    rows += [{"model": LONG, **row} for row in spread(shown, 600, 600)]
    for row in rows:
        row["time"] = (row["time"] + shift) / NS
    for at in range(0, len(rows), 50):
        body = "\n".join(json.dumps(row) for row in rows[at : at + 50])
        assert found.http.post("/v1/records", content=body.encode(), headers=NDJSON).status_code == 200

    def stored():
        return sum(each["rows"] for each in found.get("/api/models")["models"]) == len(rows)

    assert until(stored, 60), found.log()
    return found


def test_the_record_that_the_page_shows_is_taken_as_it_stands(server, view):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    made = view()
    # without a model in the last month the page says how to send a record
    made.page.route(re.compile("/api/models$"), lambda route: route.fulfill(json={"from": "", "to": "", "models": []}))
    made.page.goto(f"{server.url}/models")
    shown_command = made.page.get_by_label("a request with one record", exact=True)
    command = shlex.split(shown_command.inner_text(timeout=60_000).replace("order-42", "shown-1"))
    done = subprocess.run([*command, "--fail", "--silent"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    assert until(lambda: [row for row in server.export("records") if row["prediction_id"] == "shown-1"], 60)


def test_what_was_posted_is_judged_and_shown(server, view):
    found = server.get("/api/models/assistant")
    assert {row["id"] for row in found["behaviour"]["rows"] if row["alarm"]} == {"output length", "refusal"}
    (vectors,) = [row for row in found["drift"]["rows"] if row["part"] == "embedding"]
    assert min(vectors["n"], vectors["reference_n"]) > 280
    made = view()
    made.page.goto(f"{server.url}/models?model=assistant")
    behaviour = made.page.get_by_role("region", name="Behaviour", exact=True)
    expect(behaviour).to_contain_text("The model behaves differently", timeout=60_000)
    made.page.get_by_label("Arms by").select_option("team")
    arms = made.page.get_by_role("region", name="Table of arms")
    expect(arms.locator("tbody tr")).to_have_count(2, timeout=60_000)
    made.check()


def test_a_long_name_of_the_other_direction_leads_to_its_page(server, view):
    made = view(390, 800)
    made.page.goto(f"{server.url}/models")
    table = made.page.get_by_role("region", name="Table of models")
    table.get_by_role("link", name=re.compile("mmm")).click(timeout=60_000)
    ranking = made.page.get_by_role("region", name="Ranking", exact=True)
    expect(ranking).to_contain_text(re.compile("click-through rate is .* below"), timeout=60_000)
    made.check()
