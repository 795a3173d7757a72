"""Who is told: turns, calendars, overrides, gaps and handovers, at the right hour of the place."""

import datetime as dt
from dataclasses import replace

import pytest

from incident_world import MINUTE, T0, World, finding
from tocsin.incident.holding import Rules
from tocsin.incident.policy import Policy
from tocsin.incident.rota import Rota
from tocsin.model.incident import IncidentState
from tocsin.model.times import time_from_json
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec
from tocsin.spec.ical import IcalFile, check_ical
from tocsin.spec.routing import OnCallSpec, PersonSpec
from tocsin.spec.team import TeamSpec

PEOPLE = [
    PersonSpec(name="ann", to=["ann-phone"], also=["ann@x.example", "Ann Lee"]),
    PersonSpec(name="bob", to=["bob-phone"]),
]
TURNS = {"people": ["ann", "bob"], "starts": "2026-10-19T09:00", "every": "1w"}
ICAL = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//y//EN
BEGIN:VEVENT
UID:1
DTSTART;TZID=Europe/Berlin:20261019T090000
DTEND;TZID=Europe/Berlin:20261026T090000
RRULE:FREQ=WEEKLY;INTERVAL=2
EXDATE;TZID=Europe/Berlin:20261130T090000
SUMMARY:On call: Ann Lee
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART:20261026T080000Z
DTEND:20261026T200000Z
SUMMARY:cover
ATTENDEE:mailto:BOB
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART;VALUE=DATE:20261028
SUMMARY:Bob
STATUS:CANCELLED
END:VEVENT
END:VCALENDAR
"""


def rota(**schedule):
    spec = {"name": "primary", "time_zone": "Europe/Berlin", **schedule}
    return Rota(
        [OnCallSpec.model_validate(spec)],
        PEOPLE,
        [TeamSpec(name="bots", owns={"service.name": "support-*"}, to=["primary", "chat"])],
    )


def incident():
    return World().tick(T0 + MINUTE, finding())[0].incident


@pytest.mark.parametrize(
    ("at", "who"),
    [
        ("2026-10-19T06:59:59Z", "bob"),  # before the first turn the last one's
        ("2026-10-19T07:00:00Z", "ann"),
        ("2026-10-26T07:59:59Z", "ann"),  # the clocks went back the day before: 08:59 in Berlin
        ("2026-10-26T08:00:00Z", "bob"),
        ("2027-03-29T06:59:59Z", "ann"),
        ("2027-03-29T07:00:00Z", "bob"),  # summer time again
    ],
)
def test_turns_change_at_the_same_hour_of_the_day(at, who):
    found = rota(rotation=TURNS).on_call("primary", time_from_json(at))
    assert [each.name for each in found] == [who]


def test_a_handover_in_the_repeated_hour_happens_once():
    night = rota(rotation={"people": ["ann", "bob"], "starts": "2026-10-24T02:30", "every": "1d"})
    first = time_from_json("2026-10-25T00:30:00Z")  # 02:30 for the first time that night
    turns = [night.on_call("primary", first + minutes * MINUTE)[0].name for minutes in (-1, 0, 29, 30, 59, 60, 600)]
    assert turns == ["ann", *["bob"] * 6]


def test_somebody_stands_in():
    found = rota(rotation=TURNS, overrides=[{"who": "bob", "starts": "2026-10-20", "ends": "2026-10-21"}])
    at = time_from_json("2026-10-20T10:00:00Z")
    assert [found.on_call("primary", at + days * 86_400 * 10**9)[0].name for days in (-1, 0, 1)] == [
        "ann",
        "bob",
        "ann",
    ]


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-10-19T07:00:00Z", ["ann-phone"]),  # by a full name in the title, at 09:00 of Berlin
        ("2026-10-26T07:59:59Z", ["ann-phone"]),
        ("2026-10-26T08:00:00Z", ["bob-phone"]),  # by who is invited
        ("2026-10-28T10:00:00Z", ["desk"]),  # cancelled: nobody
        ("2026-11-02T08:00:00Z", ["ann-phone"]),  # comes again after two weeks, in winter time
        ("2026-11-30T09:00:00Z", ["desk"]),  # an exception
    ],
)
def test_a_calendar_says_who_and_a_gap_is_filled(at, told):
    found = rota(ical=IcalFile("oncall.ics", ICAL), otherwise=["desk"])
    assert [name for name, _ in found.destinations(["primary"], incident(), time_from_json(at))] == told


def test_a_calendar_that_could_not_be_read_tells_who_is_told_otherwise():
    found = rota(ical="oncall.ics", otherwise=["desk"])
    assert found.destinations(["primary"], incident(), T0) == [("desk", True)]


@pytest.mark.parametrize("text", ["garbage", "", "BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n", "BEGIN:VEVENT\n"])
def test_what_is_no_calendar_is_refused(text):
    with pytest.raises(ValueError, match=r"no iCalendar file|no event"):
        check_ical(text)


def test_the_owner_is_told_where_it_says():
    at = time_from_json("2026-10-20T10:00:00Z")
    assert rota(rotation=TURNS).destinations(["owner"], incident(), at) == [("ann-phone", True), ("chat", False)]


def test_who_comes_on_call_is_told_of_what_nobody_acknowledged():
    policy = Policy(Rules([RouteSpec(to=["primary"])]), rota=rota(rotation=TURNS))
    start = time_from_json("2026-10-26T07:50:00Z")

    def fold(at, *steps):
        return [(each.destination, each.action) for each in policy.fold(steps, at, tick=True)]

    it = incident()
    assert fold(start, Transition("open", it, start, 1)) == [("ann-phone", "trigger")]
    assert fold(start + 9 * MINUTE) == []
    assert ("bob-phone", "trigger") in fold(start + 10 * MINUTE)
    assert fold(start + 11 * MINUTE) == []
    after = replace(it, state=IncidentState.RESOLVED)
    ended = fold(start + 12 * MINUTE, Transition("resolve", after, start, 2))
    assert ended == [("ann-phone", "resolve"), ("bob-phone", "resolve")]


def test_the_calendar_of_a_level_says_who_and_a_change_of_hands_there_tells_the_next():
    route = RouteSpec.model_validate({"to": ["chat"], "escalate": {"after": "5m", "to": ["primary"]}})
    policy = Policy(Rules([route]), rota=rota(rotation=TURNS))
    start = time_from_json("2026-10-26T07:50:00Z")
    it = incident()

    def fold(at, *steps):
        return [(each.destination, each.action) for each in policy.fold(steps, at, tick=True)]

    assert fold(start, Transition("open", it, start, 1)) == [("chat", "trigger")]
    assert fold(start + 5 * MINUTE) == [("ann-phone", "trigger")]
    assert fold(start + 9 * MINUTE) == []
    assert fold(start + 10 * MINUTE) == [("bob-phone", "trigger")]


def test_who_acknowledged_is_not_relieved_by_a_page():
    policy = Policy(Rules([RouteSpec(to=["primary"])]), rota=rota(rotation=TURNS))
    start = time_from_json("2026-10-26T07:50:00Z")
    it = incident()
    policy.fold([Transition("open", it, start, 1)], start, tick=True)
    seen = replace(it, state=IncidentState.ACKNOWLEDGED)
    policy.fold([Transition("acknowledge", seen, start, 2)], start, tick=True)
    assert policy.fold([], start + 20 * MINUTE, tick=True) == []


def test_a_time_with_a_zone_is_refused():
    with pytest.raises(ValueError, match="write a local time"):
        OnCallSpec.model_validate(
            {"name": "p", "rotation": {**TURNS, "starts": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}}
        )
