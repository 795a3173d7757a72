"""Sessions of browsers in the state store: known to every process, worth nothing to who reads or writes the database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tocsin.api.session_ports import SESSION_NS
from tocsin.app.keys import KeyRing
from tocsin.app.sessions import KeptSessions
from tocsin.model.access import OPEN_ACCESS, Scope
from tocsin.model.clock import ManualClock
from tocsin.store import sessions as rows
from tocsin.store.sessions import Session
from tocsin.store.state import StateStore
from tocsin.store.tables import SESSIONS


class World:
    """Two processes of one installation, with one database and one file of keys."""

    def __init__(self, path):
        self.clock = ManualClock(1_000)
        self.keys_path = path / "keys.json"
        self.stores = [StateStore(f"sqlite:///{path / 'state.db'}") for _ in range(2)]
        self.rings = [KeyRing(self.keys_path, self.clock) for _ in range(2)]
        self.one, self.two = (KeptSessions(*each) for each in zip(self.stores, self.rings, strict=True))
        self.key = self.rings[0].create(Scope.OPERATE, "team-a")
        self.key_id = self.key.split("_")[1]

    def kept(self):
        with self.stores[0].snapshot() as connection:
            return connection.execute(sa.select(SESSIONS)).all()

    def open(self):
        return self.one.open(f"Bearer {self.key}", self.clock.now())


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    for store in made.stores:
        store.close()


def test_who_signed_in_here_is_known_there_as_what_the_key_is(world):
    token = world.open()
    access = world.two.access(token, world.clock.now())
    assert (access.tenant, access.scopes, access.key_id) == ("team-a", frozenset({Scope.OPERATE}), world.key_id)
    assert world.two.access("another", world.clock.now()) is None
    world.two.close(token)
    assert world.one.access(token, world.clock.now()) is None


def test_a_session_ends_with_its_time_and_with_its_key(world):
    token = world.open()
    assert world.two.access(token, world.clock.now() + SESSION_NS - 1) is not None
    assert world.two.access(token, world.clock.now() + SESSION_NS) is None
    world.rings[1].revoke(world.key_id)
    assert world.one.access(token, world.clock.now()) is None


def test_the_database_has_neither_token_nor_key(world):
    token = world.open()
    (row,) = world.kept()
    text = repr(row)
    assert token not in text
    assert world.key.split("_", 2)[2] not in text
    assert world.keys_path.read_text() not in text


def test_who_writes_into_the_database_is_nobody(world):
    boss = world.rings[0].create(Scope.ADMIN).split("_")[1]
    token = world.open()
    (row,) = world.kept()
    forged = (
        {"key_id": boss},
        {"until": row.until + 1},
        {"seal": ""},
        {"key_id": "", "seal": ""},
        {"key_id": "none", "seal": ""},
    )
    for change in forged:
        with world.stores[0].transaction() as connection:
            connection.execute(SESSIONS.delete())
            connection.execute(SESSIONS.insert().values({**row._asdict(), **change}))
        assert world.two.access(token, world.clock.now()) is None, change


def test_who_needs_no_key_leaves_no_session(world):
    ring = KeyRing(world.keys_path, world.clock, open_access=True)
    book = KeptSessions(world.stores[0], ring)
    assert ring.authorise("Bearer anything") == OPEN_ACCESS
    assert book.access(book.open("Bearer anything", world.clock.now()), world.clock.now()) is None
    assert world.kept() == []


def test_sessions_are_bounded_and_old_ones_go(world, monkeypatch):
    monkeypatch.setattr(rows, "MOST", 3)
    store = world.stores[0]
    for number in range(5):
        store.add_session(Session(f"d{number}", "k", 100 + number, ""), now=50)
    assert [row.digest for row in sorted(world.kept())] == ["d2", "d3", "d4"]
    store.add_session(Session("d9", "k", 200, ""), now=103)
    assert [row.digest for row in sorted(world.kept())] == ["d4", "d9"]
