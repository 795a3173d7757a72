from __future__ import annotations

import math
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tocsin.model.decision import Silence, TrailPart
from tocsin.model.errors import BadInput, Corrupt, DiskFull
from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Incident, IncidentState, Severity
from tocsin.model.message import Message
from tocsin.model.series import Series, Signal
from tocsin.model.transition import Regroup
from tocsin.store.rows import IncidentEvent
from tocsin.store.state import StateStore
from tocsin.store.tables import METADATA

SERIES = Series.of("main", Signal("cpu"), {"host.name": "a"})
FINDING = Finding(
    b"1" * 16, Phase.OPEN, "main", "m", SERIES, 1, 2, 3, 4.0, (0.0, math.inf), -9.0, 100.0, -5.0, "up", {"z": 1.0}
)
INCIDENT = Incident(
    "inc-1",
    "main",
    "CPU is high",
    IncidentState.OPEN,
    Severity.ERROR,
    "1+1",
    (FINDING,),
    (),
    (),
    ("a",),
    opened_at=10,
    updated_at=11,
    resolved_at=None,
    dedup_key="k",
)
MESSAGE = Message("m1", "main", "hook", "trigger", INCIDENT, "k", created_at=10, not_before=10)
OPENED = IncidentEvent("main", "inc-1", 10, "opened")


@pytest.fixture
def state(url):
    store = StateStore(url)
    yield store
    store.close()


def test_what_was_committed_is_there_after_reopening(url):
    store = StateStore(url)
    assert store.cursor("correlate") == (0, None)
    assert store.commit("correlate", 7, incidents=[INCIDENT], events=[OPENED], messages=[MESSAGE], state=b"blob")
    store.close()
    store = StateStore(url)
    assert store.cursor("correlate") == (7, b"blob")
    assert store.incident("main", "inc-1") == INCIDENT
    assert [event.kind for event in store.incident_events("main", "inc-1")] == ["opened"]
    assert store.due_messages(10) == [MESSAGE]
    store.close()


def test_a_commit_that_was_made_before_changes_nothing(state):
    state.commit("correlate", 7, incidents=[INCIDENT], events=[OPENED], messages=[MESSAGE])
    for offset in (7, 5):
        assert not state.commit("correlate", offset, events=[OPENED], messages=[replace(MESSAGE, id="m2")])
    assert state.last_seq("main") == 1
    assert len(state.due_messages(10)) == 1


def test_a_commit_that_fails_leaves_nothing_behind(state):
    with pytest.raises(AttributeError):
        state.commit("correlate", 7, incidents=[INCIDENT], messages=[MESSAGE, None])
    assert state.incident("main", "inc-1") is None
    assert state.cursor("correlate") == (0, None)
    assert state.due_messages(10) == []


def test_a_message_is_queued_once_whatever_is_replayed(state):
    state.commit("correlate", 1, messages=[MESSAGE])
    state.settle("m1", "sent", at=20)
    state.commit("correlate", 2, messages=[MESSAGE])
    assert state.due_messages(10**12) == []
    assert [(page.state, page.settled_at) for page in state.pages("main", "inc-1")] == [("sent", 20)]


def test_a_claimed_message_comes_back_when_its_taker_dies(state):
    state.commit("correlate", 1, messages=[MESSAGE])
    (taken,) = state.claim(10, lease_ns=100)
    assert taken.attempts == 1
    assert state.claim(50, lease_ns=100) == []
    (again,) = state.claim(110, lease_ns=100)
    assert again.attempts == 2
    state.settle("m1", "retry", at=111, next_attempt=500, error="503")
    assert state.due_messages(499) == []
    assert state.pages("main", "inc-1")[0].last_error == "503"
    state.settle("m1", "failed", at=600, error="410")
    assert state.outbox_counts("main") == {"hook": {"failed": 1}}
    with pytest.raises(BadInput, match="m9"):
        state.settle("m9", "sent", at=1)


def test_what_is_due_to_a_full_destination_is_neither_claimed_nor_counted_as_an_attempt(state):
    state.commit("correlate", 1, messages=[MESSAGE, replace(MESSAGE, id="m2", destination="other")])
    assert [each.id for each in state.claim(10, lease_ns=100, without={"hook"})] == ["m2"]
    assert state.put_off(10, {"hook", "other"}, lease_ns=100) == 1  # the other's is claimed
    assert state.due_messages(109) == []
    found = {each.id: each.attempts for each in state.claim(110, lease_ns=100)}
    assert found == {"m1": 1, "m2": 2}


def test_what_a_person_decided_stands_until_the_incident_is_reopened(state):
    state.commit("correlate", 1, incidents=[INCIDENT], events=[OPENED])
    acknowledged = state.act("main", "inc-1", "ack", by="ann", note="mine", at=20)
    assert acknowledged.state is IncidentState.ACKNOWLEDGED
    state.commit("correlate", 2, incidents=[replace(INCIDENT, updated_at=30)])
    assert state.incident("main", "inc-1").state is IncidentState.ACKNOWLEDGED
    state.act("main", "inc-1", "resolve", by="ann", at=40)
    state.commit("correlate", 3, incidents=[replace(INCIDENT, updated_at=50)])
    assert state.incident("main", "inc-1").state is IncidentState.RESOLVED
    state.commit("correlate", 4, incidents=[replace(INCIDENT, updated_at=60, reopened=1)])
    assert state.incident("main", "inc-1").state is IncidentState.OPEN
    assert [(e.kind, e.by) for e in state.incident_events("main", "inc-1")] == [
        ("opened", ""),
        ("acknowledged", "ann"),
        ("resolved", "ann"),
    ]


def test_acting_twice_changes_nothing_and_tells_nobody_twice(state):
    state.commit("correlate", 1, incidents=[INCIDENT])
    page = replace(MESSAGE, id="m-ack", action="acknowledge")
    for _ in range(2):
        state.act("main", "inc-1", "ack", by="ann", at=20, messages=lambda _: [page])
    assert len(state.pages("main", "inc-1")) == 1
    assert len(state.audit_trail()) == 1
    assert state.act("main", "nothing", "ack", by="ann", at=20) is None
    assert state.act("other", "inc-1", "ack", by="eve", at=20) is None


def test_what_people_merge_and_split_is_written_down_and_told_again(state):
    state.commit("correlate", 1, incidents=[INCIDENT])
    split, merge = Regroup("split", findings=("ab" * 16,)), Regroup("merge", into="inc-2")
    assert state.regroup("main", "inc-1", split, by="ann", at=20)
    assert state.regroup("main", "inc-1", merge, by="bob", at=30)
    assert not state.regroup("other", "inc-1", merge, by="eve", at=30)
    assert state.regroupings(20) == [("main", "inc-1", split, "ann"), ("main", "inc-1", merge, "bob")]
    assert [each[2] for each in state.regroupings(21)] == [merge]
    assert [(each.kind, each.by) for each in state.incident_events("main", "inc-1")][-2:] == [
        ("split", "ann"),
        ("merged", "bob"),
    ]
    assert [each.action for each in state.audit_trail()] == ["merge", "split"]


def test_incidents_are_listed_by_tenant_state_and_time(state):
    later = replace(INCIDENT, id="inc-2", updated_at=50, state=IncidentState.RESOLVED)
    other = replace(INCIDENT, id="inc-3", tenant="other")
    state.commit("correlate", 1, incidents=[INCIDENT, later])
    state.commit("other", 1, incidents=[replace(other, findings=())])
    assert [i.id for i in state.incidents("main")] == ["inc-2", "inc-1"]
    assert [i.id for i in state.incidents("main", {IncidentState.OPEN})] == ["inc-1"]
    assert [i.id for i in state.incidents("main", since=12)] == ["inc-2"]
    assert [i.id for i in state.incidents("other")] == ["inc-3"]


def test_silences_hold_for_their_time(state):
    state.add_silence(Silence("s1", "main", {"service.name": "bot"}, 10, 20, "ann"))
    assert [s.matchers for s in state.silences("main", 15)] == [{"service.name": "bot"}]
    assert state.silences("main", 20) == []
    assert state.silences("other", 15) == []
    assert [s.id for s in state.past_silences("main", 20)] == ["s1"]


def test_a_silence_is_ended_early_once_and_only_by_its_tenant(state):
    state.add_silence(Silence("s1", "main", {"service.name": "bot"}, 10, 20, "ann"))
    assert state.end_silence("other", "s1", by="eve", at=12) is None
    assert state.end_silence("main", "none", by="bob", at=12) is None
    assert state.silences("main", 13)
    ended = state.end_silence("main", "s1", by="bob", at=14)
    assert ended is not None
    assert ended.ends_at == 14
    assert state.silences("main", 14) == []
    assert state.end_silence("main", "s1", by="bob", at=16).ends_at == 14
    assert [(e.action, e.actor, e.subject) for e in state.audit_trail("main")] == [
        ("end_silence", "bob", "s1"),
        ("silence", "ann", "s1"),
    ]


def test_configurations_are_kept_when_they_change(state):
    assert state.add_spec("main", "config", b"a", "sha-a", by="ann", at=1)
    assert state.add_spec("main", "config", b"b", "sha-b", by="ann", at=2)
    assert not state.add_spec("main", "config", b"b", "sha-b", by="ann", at=3)
    assert [(each.time, each.body) for each in state.specs("main", "config")] == [(2, b"b"), (1, b"a")]
    assert [entry.action for entry in state.audit_trail("main")] == ["apply", "apply"]


def test_verdicts_are_kept_and_move_no_incident(state):
    state.commit("correlate", 1, incidents=[INCIDENT])
    state.act("main", "inc-1", "ack", by="ann", at=20)
    assert state.add_feedback("main", "inc-1", "false_alarm", by="bob", at=30, note="a load test")
    assert not state.add_feedback("other", "inc-1", "false_alarm", by="eve", at=31)
    with pytest.raises(BadInput, match="real_problem or false_alarm"):
        state.add_feedback("main", "inc-1", "meh", by="bob", at=31)
    assert [(f.verdict, f.by, f.note) for f in state.feedback("main", "inc-1")] == [
        ("false_alarm", "bob", "a load test")
    ]
    assert state.feedback("other", "inc-1") == []
    assert [(e.kind, e.by) for e in state.incident_events("main", "inc-1")] == [
        ("acknowledged", "ann"),
        ("false_alarm", "bob"),
    ]
    assert [entry.action for entry in state.audit_trail("main")] == ["feedback", "ack"]
    # the reducer has not heard of the acknowledgement yet: it stands, whatever was said since
    state.commit("correlate", 2, incidents=[INCIDENT])
    assert state.incident("main", "inc-1").state is IncidentState.ACKNOWLEDGED


def test_incidents_of_all_tenants_are_found(state):
    other = replace(INCIDENT, id="inc-3", tenant="other")
    state.commit("correlate", 1, incidents=[INCIDENT, replace(other, findings=())])
    assert {i.tenant for i in state.incidents(None)} == {"main", "other"}


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET actor = 'eve' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET detail = '{}' WHERE seq = 3",
    ],
)
def test_a_changed_audit_trail_is_noticed(url, tampering):
    store = StateStore(url)
    for at in range(3):
        store.audit("main", "ann", "export", "points", {"n": at}, at)
    assert store.verify_audit() == 3
    with store._writes.begin() as connection:
        connection.exec_driver_sql(tampering)
    with pytest.raises(Corrupt, match=r"entry [23]"):
        store.verify_audit()
    store.close()


def test_parts_of_the_trail_are_found_by_who_what_and_when(state):
    for at, (actor, action, subject) in enumerate(
        [("ann", "silence", "s1"), ("bob", "ack", "inc-1"), ("ann%", "ack", "inc-2"), ("bob", "ack", "inc-3")]
    ):
        state.audit("main", actor, action, subject, {}, at)
    state.audit("other", "eve", "export", "points", {}, 9)

    def found(**part):
        return [each.seq for each in state.audit_trail("main", part=TrailPart(**part))]

    assert found() == [4, 3, 2, 1]
    assert found(actor="ann") == [3, 1]
    assert found(actor="%") == [3]  # what is asked for is text, no pattern
    assert found(action="ack", subject="inc-") == [4, 3, 2]
    assert found(action="ac") == []
    assert found(action="ac*") == [4, 3, 2]
    assert found(action="%*") == []
    assert found(start=1, end=3) == [3, 2]
    assert found(before=3) == [2, 1]
    assert state.audit_actions("main") == ["ack", "silence"]
    assert state.audit_actions("other") == ["export"]


def test_migrations_give_the_layout_the_program_expects(state):
    with state._engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_damaged_file_is_refused_clearly(tmp_path):
    (tmp_path / "bad.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(Corrupt, match=r"bad\.db.*tocsin restore"):
        StateStore(f"sqlite:///{tmp_path / 'bad.db'}")


def test_a_database_of_a_newer_program_is_refused_clearly(url):
    store = StateStore(url)
    with store._writes.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(Corrupt, match="newer"):
        StateStore(url)


@pytest.fixture
def in_a_file(tmp_path):
    store = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    yield store
    store.close()


def test_commits_are_durable_before_they_return(in_a_file):
    with in_a_file._engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_full_disk_is_said_and_nothing_is_half_written(in_a_file):
    with in_a_file._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # of this connection, which the pool hands out again
    with pytest.raises(DiskFull, match="no room on the disk for the state store"):
        in_a_file.commit("correlate", 7, incidents=[INCIDENT], state=b"x" * 100_000)
    with in_a_file._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert not in_a_file.incidents(None)
    assert in_a_file.commit("correlate", 7, incidents=[INCIDENT], state=b"x" * 100_000)
