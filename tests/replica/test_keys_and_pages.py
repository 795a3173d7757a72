"""Keys, sessions of browsers, and pages of replicas that others can reach."""

from __future__ import annotations

import psycopg
import pytest
from playwright.sync_api import expect

from system.server import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
COOKIE = "tocsin_session"


def make_key(house, scope):
    done = house.control.run("key", "create", "--scope", scope, "--data", house.control.data)
    return done.stdout.decode().split()[-1]


def bearer(key):
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def incident(locked):
    found = locked.incident()
    assert until(lambda: locked.told(found["service"], "trigger"))
    return found


def test_a_replica_asks_for_the_keys_of_control_and_for_what_they_are_for(locked, incident):
    http, ack = locked.replicas[0].http, f"/api/incidents/{incident['id']}/ack"
    reader, operator = make_key(locked, "read"), make_key(locked, "operate")
    for path in ("/healthz", "/readyz"):
        assert http.get(path).status_code == 200
    for path in ("/api/incidents", "/api/overview", "/metrics", "/api/verdict/x", "/api/stream"):
        assert http.get(path).status_code == 401, path
    assert http.post(ack).status_code == 401
    assert http.get("/api/incidents", headers=bearer(reader)).status_code == 200
    assert http.post(ack, headers=bearer(reader)).status_code == 403
    assert http.get("/api/audit", headers=bearer(operator)).status_code == 403
    assert (
        http.post(
            "/api/silences", headers=bearer(operator), json={"matchers": {"entity": "x"}, "for": "1m"}
        ).status_code
        == 201
    )
    locked.control.run("key", "revoke", operator.split("_")[1], "--data", locked.control.data)
    assert http.post(ack, headers=bearer(operator)).status_code == 401
    assert locked.control.http.get(f"/api/incidents/{incident['id']}", headers=bearer(reader)).json()["state"] == "open"


def test_who_signs_in_at_one_process_is_signed_in_at_all(locked):
    key = make_key(locked, "operate")
    one, two = (each.http for each in locked.replicas)
    answer = one.post("/api/session", json={"key": key})
    token = answer.cookies[COOKIE]
    cookie = {"cookie": f"{COOKIE}={token}"}
    one.cookies.clear()
    everywhere = (one, two, locked.control.http)
    assert [each.get("/api/session", headers=cookie).json()["scopes"] for each in everywhere] == [["operate"]] * 3
    silence = two.post("/api/silences", headers=cookie, json={"matchers": {"entity": "y"}, "for": "1m"})
    assert silence.status_code == 201, silence.text
    (row,) = [
        each
        for each in one.get("/api/silences", headers=cookie).json()["silences"]
        if each["matchers"] == {"entity": "y"}
    ]
    assert row["by"] == key.split("_")[1]
    with psycopg.connect(locked.address) as connection:
        text = repr(connection.execute("SELECT * FROM sessions").fetchall())
    assert token not in text
    assert key.split("_", 2)[2] not in text
    assert two.delete("/api/session", headers=cookie).status_code == 200
    assert [each.get("/api/incidents", headers=cookie).status_code for each in everywhere] == [401] * 3


def test_the_page_of_a_replica_shows_an_incident_and_acknowledges_it(locked, incident, view):
    made, replica = view(), locked.replicas[0]
    page = made.page
    page.goto(f"{replica.url}/signin")
    page.get_by_role("textbox", name="Key").fill(make_key(locked, "operate"))
    page.get_by_role("button", name="Sign in").click()
    link = page.get_by_role("link", name=f"{incident['service']}: too slow").first
    expect(link).to_be_visible()
    made.errors.clear()  # of before it was known who asks
    link.click()
    expect(page).to_have_url(f"{replica.url}/incidents/{incident['id']}")
    other = page.context.new_page()
    other.goto(f"{locked.replicas[1].url}/incidents/{incident['id']}")  # the same person, at another process
    expect(other.locator(".statement .tag").first).to_have_text("open")
    page.get_by_role("button", name="Acknowledge").click()
    for each in (page, other):  # the other hears of it as it happens
        expect(each.locator(".statement .tag").first).to_have_text("acknowledged")
    assert until(lambda: locked.told(incident["service"], "acknowledge"))
    made.check()


def test_while_control_is_away_a_page_says_what_can_not_be_done_and_lets_people_in(locked, incident, view):
    key = make_key(locked, "operate")
    status = lambda: locked.replicas[1].http.get("/api/status", headers=locked.control.headers()).json()  # noqa: E731
    assert until(lambda: not status()["not_ready"], 60), "control was heard of"
    locked.kill_control()
    made, replica = view(), locked.replicas[1]
    page = made.page
    page.goto(f"{replica.url}/signin")
    page.get_by_role("textbox", name="Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{replica.url}/incidents/{incident['id']}")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("only control can do this")).to_be_visible()
    told = [each for each in made.errors if "Opener-Policy" not in each]  # which wants TLS
    assert [each for each in told if "401" not in each] == [each for each in told if "503" in each] != []
    page.goto(f"{replica.url}/")
    expect(page.get_by_text("control has not been heard of").first).to_be_visible()
    locked.control.start()
    page.goto(f"{replica.url}/incidents/{incident['id']}")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".statement .tag").first).to_have_text("acknowledged")
