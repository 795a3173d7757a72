"""The state store on a real PostgreSQL: several processes at once, who leads, a server that goes and comes back."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from store.test_state import INCIDENT, MESSAGE, OPENED
from tocsin.api.problem import install
from tocsin.app.doctor import examine_stores
from tocsin.incident.outbox import Outbox
from tocsin.model.clock import ManualClock
from tocsin.model.destination import Receipt
from tocsin.model.errors import BadConfig, Unreachable
from tocsin.spec.config import Config
from tocsin.store.lead import SENDING, Lead
from tocsin.store.looking import look_at_state
from tocsin.store.moving import copy_state
from tocsin.store.state import StateStore

pytestmark = pytest.mark.system


@pytest.fixture
def address(postgres):
    return postgres.fresh()


@pytest.fixture
def pair(address):
    """The stores of two processes."""
    stores = [StateStore(address) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


def at_once(count, step):
    """Call `step(n)` in as many threads, all let go together."""
    ready = threading.Barrier(count)

    def run(n):
        ready.wait(60)
        return step(n)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_two_people_who_acknowledge_at_once_leave_one_history(pair):
    pair[0].commit("correlate", 1, incidents=[INCIDENT], events=[OPENED])
    acts = at_once(6, lambda n: pair[n % 2].act("main", "inc-1", "ack", by=f"p{n}", at=20 + n))
    assert {incident.state.value for incident in acts} == {"acknowledged"}
    for store in pair:
        assert [event.kind for event in store.incident_events("main", "inc-1")] == ["opened", "acknowledged"]
        assert store.verify_audit() == 1


def test_the_trail_of_many_writers_is_one_chain_and_events_are_seen_in_their_order(pair):
    seen: list[int] = []
    done = threading.Event()

    def follow():
        while not (done.is_set() and pair[0].last_seq("main") == (seen or [0])[-1]):
            seen.extend(event.seq for event in pair[0].events_after("main", (seen or [0])[-1]))

    pair[0].commit("correlate", 1, incidents=[INCIDENT])
    follower = threading.Thread(target=follow)
    follower.start()
    at_once(
        6, lambda n: [pair[n % 2].add_feedback("main", "inc-1", "real_problem", by=f"p{n}", at=at) for at in range(5)]
    )
    done.set()
    follower.join(60)
    assert pair[1].verify_audit() == 30
    assert seen == [event.seq for event in pair[1].incident_events("main", "inc-1")]
    assert len(seen) == 30


def test_replicas_that_start_together_make_the_tables_once(postgres):
    address = postgres.empty()
    for store in at_once(4, lambda _: StateStore(address)):
        with store.snapshot() as connection:
            assert len(connection.execute(sa.text("SELECT version_num FROM alembic_version")).all()) == 1
        store.close()


def test_a_message_is_claimed_by_one_process_only(pair):
    messages = [replace(MESSAGE, id=f"m{n}") for n in range(20)]
    pair[0].commit("correlate", 1, incidents=[INCIDENT], messages=messages)
    claimed = at_once(4, lambda n: [each.id for each in pair[n % 2].claim(100, limit=7)])
    assert sorted(each for some in claimed for each in some) == sorted(each.id for each in messages)


def cut(address, whose):
    """End the sessions that hold a lead, as a server does that loses a client; returns when they have ended."""
    with psycopg.connect(address, autocommit=True) as connection:
        query = "SELECT pg_terminate_backend(pid, 30000) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
        assert connection.execute(query, (whose._key,)).fetchall()


def test_one_process_leads_and_another_takes_over_when_its_connection_is_cut(address):
    one, two = Lead(address, SENDING), Lead(address, SENDING)
    other = Lead(address, "something else")
    assert one.term() == 1
    assert not two.held()
    assert other.held()
    cut(address, one)
    assert two.held()
    assert not one.held()
    assert other.held()
    two.close()
    assert one.term() == 2  # another term: what was begun in the first is not gone on with
    one.close()
    other.close()


class Counter:
    """A destination that counts, and may do something while a message is on its way."""

    name = "hook"

    def __init__(self, meanwhile=lambda: None):
        self.sent: list[str] = []
        self.first = asyncio.Event()
        self.meanwhile = meanwhile

    async def send(self, message, _thread, _now):
        self.sent.append(message.id)
        self.meanwhile()
        self.first.set()
        return Receipt("ok")

    async def close(self):
        return


async def settled(store, message_id):
    """Wait until a message is no longer pending."""
    async with asyncio.timeout(60):
        while True:
            try:
                states = {page.message.id: page.state for page in store.pages("main", "inc-1")}
            except Unreachable:
                states = {}
            if states.get(message_id, "pending") != "pending":
                return states[message_id]
            await asyncio.sleep(0.05)


def test_a_message_is_sent_once_though_the_database_restarts_before_that_is_written_down(
    postgres, address, monkeypatch
):
    monkeypatch.setattr("tocsin.incident.outbox.SETTLE_AGAIN_S", 0.05)
    monkeypatch.setattr("tocsin.incident.outbox.LEAD_POLL_S", 0.05)
    store, lead = StateStore(address), Lead(address, SENDING)
    store.commit("correlate", 1, incidents=[INCIDENT], messages=[MESSAGE])
    hook = Counter(meanwhile=postgres.stop)
    box = Outbox(store, {"hook": hook}, ManualClock(100), term=lead.term)

    async def story():
        running = asyncio.create_task(box.run(poll_s=0.05))
        async with asyncio.timeout(60):
            await hook.first.wait()
        hook.meanwhile = lambda: None
        await asyncio.to_thread(postgres.start)
        assert await settled(store, MESSAGE.id) == "sent"
        store.commit("correlate", 2, messages=[replace(MESSAGE, id="m2", created_at=20)])
        assert await settled(store, "m2") == "sent"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
    assert hook.sent == [MESSAGE.id, "m2"]
    lead.close()
    store.close()


def test_who_lost_the_lead_sends_nothing_more(pair, address):
    pair[0].commit("correlate", 1, incidents=[INCIDENT], messages=[MESSAGE])
    old, new = Lead(address, SENDING), Lead(address, SENDING)
    clock = ManualClock(100)
    before, after = Counter(), Counter()
    first = Outbox(pair[0], {"hook": before}, clock, term=old.term)
    second = Outbox(pair[1], {"hook": after}, clock, term=new.term)

    async def story():
        assert await second.drain() == 0 if old.held() else pytest.fail("nobody leads")
        claim = pair[0].claim(clock.now())  # what the first had claimed when its connection broke
        cut(address, old)
        assert new.held()
        clock.advance(121 * 10**9)
        await first._hand_over(claim[0], (1, 100))
        await first.idle()
        assert await first.drain() == 0
        assert await second.drain() == 1
        await second.idle()
        await first._stop()
        await second._stop()

    asyncio.run(story())
    assert (before.sent, after.sent) == ([], [MESSAGE.id])
    old.close()
    new.close()


def asked(error):
    """The API's answer to a request that ended in this error."""
    app = FastAPI()
    install(app, b"")

    @app.get("/")
    def request():
        raise error

    return TestClient(app).get("/")


def test_while_the_database_is_away_requests_are_told_so_and_what_was_confirmed_stays(postgres, address):
    store, lead = StateStore(address), Lead(address, SENDING)
    assert lead.held()
    store.commit("correlate", 1, incidents=[INCIDENT], events=[OPENED])
    assert store.act("main", "inc-1", "ack", by="ann", at=20).state.value == "acknowledged"
    postgres.stop()
    try:
        for request in (
            lambda: store.act("main", "inc-1", "resolve", by="bob", at=30),
            lambda: store.incidents("main"),
        ):
            with pytest.raises(Unreachable, match="state store can't be used") as refused:
                request()
            assert asked(refused.value).status_code == 503
        assert not lead.held()
    finally:
        postgres.start()
    assert [event.by for event in store.incident_events("main", "inc-1")] == ["", "ann"]
    assert store.act("main", "inc-1", "resolve", by="bob", at=40).state.value == "resolved"
    assert lead.held()
    lead.close()
    store.close()


def test_hostile_and_long_texts_are_kept(address):
    store = StateStore(address)
    store.commit("correlate", 1, incidents=[replace(INCIDENT, title="a\0b\ud800")], events=[OPENED])
    store.act("main", "inc-1", "ack", by="x" * 5000, note="a\0b\ud800", at=20)
    assert store.incident("main", "inc-1").title == "a\0b\ud800"
    assert store.incident_events("main", "inc-1")[-1].note == "a\ufffdb?"
    assert store.verify_audit() == 1
    store.close()


def test_no_message_has_the_password(postgres, tmp_path):
    with pytest.raises(Unreachable) as refused:
        StateStore("postgresql://ann:t0psecret@127.0.0.1:1/none")
    assert "t0psecret" not in str(refused.value)
    assert "ann:***@127.0.0.1" in str(refused.value)
    with pytest.raises(BadConfig, match="PostgreSQL"):
        StateStore("mysql://ann:t0psecret@127.0.0.1/none")
    file = tmp_path / "password"
    with pytest.raises(Unreachable, match=r"state\.password_file"):
        StateStore(postgres.fresh(), file)
    file.write_text("any\n")
    StateStore(postgres.fresh(), file).close()


def test_the_doctor_says_what_answers_and_changes_nothing(postgres, address):
    said = list(examine_stores(Config(), {"TOCSIN_STATE_URL": address}, Path("/nowhere")))
    assert [(check.name, check.state) for check in said] == [("state", "ok")]
    assert "layout 0003" in said[0].text
    empty = postgres.empty()
    for _ in range(2):
        assert "no tables yet" in look_at_state(empty)
    away = list(examine_stores(Config(), {"TOCSIN_STATE_URL": "postgresql://a:hidden@127.0.0.1:1/n"}, Path("/nowhere")))
    assert away[0].state == "error"
    assert "hidden" not in away[0].text
    assert not list(examine_stores(Config(), {}, Path("/nowhere")))


def test_a_state_store_moves_to_postgresql_and_back_with_everything(postgres, tmp_path):
    source = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    source.commit("correlate", 7, incidents=[INCIDENT], events=[OPENED], messages=[MESSAGE], state=b"\0blob")
    source.act("main", "inc-1", "ack", by="ann", at=20)
    source.add_spec("main", "config", b"a: 1", "ab", by="ann", at=21)
    address = postgres.empty()
    assert copy_state(source, address) == 8
    there = StateStore(address)
    assert there.cursor("correlate") == (7, b"\0blob")
    assert there.verify_audit() == 2
    there.act("main", "inc-1", "resolve", by="bob", at=30)  # numbers go on above those that came along
    assert [event.seq for event in there.incident_events("main", "inc-1")] == [1, 2, 3]
    with pytest.raises(BadConfig, match="holds rows already"):
        copy_state(source, address)
    assert copy_state(there, f"sqlite:///{tmp_path / 'back.db'}") == 10
    source.close()
    there.close()
