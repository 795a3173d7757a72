"""What is wrong with routes, people, calendars and rules is told with its place and the nearest right thing."""

import pytest

from tocsin.app.ical_files import ical_paths, with_calendars
from tocsin.spec.load import load_config, parse_config
from tocsin.spec.problem import BadSpec

HEAD = "destinations: [{name: pd, type: console}, {name: ann-phone, type: console}]\n"
ICAL = (
    "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:1\nDTSTART:20261102T090000Z\nDTEND:20261109T090000Z\n"
    "SUMMARY:ann\nEND:VEVENT\nEND:VCALENDAR\n"
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "people: [{name: ann, to: [ann-phon]}]",
            "2:27: no destination is called `ann-phon`; did you mean `ann-phone`?",
        ),
        (
            "people: [{name: ann, to: pd}]\noncall: [{name: p, rotation: {people: [ann, bop], starts: 2026-11-02T09:00}}]",
            "3:45: nobody is called `bop`; known here: ann",
        ),
        ("oncall: [{name: p}]", "2:10: needs either `rotation` or `ical`"),
        ("oncall: [{name: p, ical: x.ics}]", "2:10: needs `otherwise`: who is told when the calendar names nobody"),
        (
            "oncall: [{name: pd, ical: x.ics, otherwise: pd}]",
            "2:17: `pd` is taken in routes; call the schedule otherwise",
        ),
        (
            "oncall: [{name: p, time_zone: Europe/Berln, ical: x.ics, otherwise: pd}]",
            "2:31: 'Europe/Berln' is no time zone; did you mean `Europe/Berlin`?",
        ),
        (
            "people: [{name: ann, to: pd}]\noncall: [{name: p, rotation: {people: ann, starts: 2026-11-02T09:00, every: 36h}}]",
            "3:30: `every` must be whole days, such as 1d or 1w",
        ),
        ("routes: [{match: {urgency: pag}, to: pd}]", "2:28: `pag` is no urgency; did you mean `page`?"),
        ("routes: [{to: owner}]", "2:15: no team says with `to` where it is told"),
        ("routes: [{match: {team: ml}, to: pd}]", "2:25: no team is called `ml`"),
        ("teams: [{name: ml, to: pdd}]", "2:24: no destination is called `pdd`; did you mean `pd`?"),
        ("maintenance: [{name: m, match: {a: b}, starts: 2026-11-02}]", "2:15: `starts` and `lasts` go together"),
        (
            "maintenance: [{name: m, match: {a: b}, starts: 2026-11-02, lasts: 25h, every: day}]",
            "2:15: `lasts` must not be longer than the day it comes again after",
        ),
        ("maintenance: [{name: m, match: {}, starts: 2026-11-02, lasts: 1h}]", "2:32: "),
        (
            "inhibit: [{source: {severity: critcal}, target: {a: b}}]",
            "2:31: `critcal` is no severity; did you mean `critical`?",
        ),
        ("tickets: [{name: t, to: jira}]", "2:25: no destination is called `jira`"),
        (
            "rollout: {second: 2026-12-01, third: 2026-11-01}",
            "2:10: phase 3 (`third`) can't begin before phase 2 (`second`)",
        ),
        ("objectives: [{name: o, match: {a: b}, target: 100%}]", "2:14: `target` must leave something to burn"),
        ("severity: {high: {requests: 10 s}}", "2:29: '10 s' is no share; write it like 10% or 0.1"),
        ("destinations: [{name: review, type: console}]", "`review` has a meaning of its own in routes"),
    ],
)
def test_a_fault_has_its_place(text, problem):
    with pytest.raises(BadSpec) as bad:
        parse_config(text if text.startswith("destinations") else HEAD + text, "t.yaml", {})
    assert problem in str(bad.value)


def written(tmp_path, calendar):
    (tmp_path / "oncall.ics").write_text(calendar)
    text = f"{HEAD}people: [{{name: ann, to: ann-phone}}]\noncall: [{{name: p, ical: oncall.ics, otherwise: pd}}]\n"
    (tmp_path / "t.yaml").write_text(text)
    return load_config(tmp_path / "t.yaml", {})


def test_a_calendar_is_read_beside_the_configuration(tmp_path):
    loaded = with_calendars(written(tmp_path, ICAL), None, strict=True)
    assert loaded.config.oncall[0].ical.text == ICAL
    assert ical_paths(loaded) == [tmp_path / "oncall.ics"]


def test_a_bad_calendar_is_refused_with_its_place_and_what_was_read_before_holds(tmp_path):
    good = with_calendars(written(tmp_path, ICAL), None, strict=True)
    bad = written(tmp_path, "garbage")
    with pytest.raises(BadSpec, match=r"t\.yaml:3:26: oncall\.ics: it is no iCalendar file"):
        with_calendars(bad, good.config, strict=True)
    kept = with_calendars(bad, good.config, strict=False)
    assert kept.config.oncall[0].ical.text == ICAL
    assert "what was read of it before holds" in str(kept.warnings[0])
    assert with_calendars(bad, None, strict=False).config.oncall[0].ical.text == ""


def test_what_the_engine_is_told_of_a_team_has_no_destinations():
    config = parse_config(f"{HEAD}teams: [{{name: ml, owns: {{model: churn}}, to: pd}}]", "t.yaml", {}).config
    assert config.teams[0].to == ["pd"]
    assert b"ann-phone" not in config.engine_spec().control().body
    assert b'"to"' not in config.engine_spec().control().body
