"""The loop that makes incidents: what people decide reaches it, of whatever tenant, and silences hold pages back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incident_world import MINUTE, SECOND, T0, World, finding, grade, prompt_change
from tocsin.app.correlating import Correlating
from tocsin.correlate.reducer import Reducer
from tocsin.incident.holding import Rules
from tocsin.incident.policy import Policy
from tocsin.model.decision import Silence
from tocsin.model.errors import DiskFull
from tocsin.model.finding import Phase
from tocsin.model.incident import IncidentState
from tocsin.model.log import LogRecord
from tocsin.spec.destination import RouteSpec
from tocsin.spec.routing import TicketSpec
from tocsin.store.state import StateStore

TENANTS = ("main", "acme")


class Records:
    """The output log, in memory."""

    def __init__(self):
        self.entries = []

    def read(self, offset, limit=1024):
        return [LogRecord(n, entry) for n, entry in enumerate(self.entries)][offset : offset + limit]

    def first(self):
        return 0

    def end(self):
        return len(self.entries)


@pytest.fixture
def house(tmp_path):
    """A world, its log, a state store, and a way to start the loop (anew)."""
    world, log = World(), Records()
    state = StateStore(f"sqlite:///{tmp_path / 'state.db'}")

    def start(**rules):
        policy = Policy(Rules([RouteSpec(match={}, to=["hook"])], **rules))
        reducer = Reducer(world.spec, grade)
        return Correlating(log, world.catalog, state, reducer, policy)

    yield world, log, state, start
    state.close()


def fault(tenant, **rest):
    return finding(tenant=tenant, **rest)


def test_what_people_of_any_tenant_decided_before_a_crash_is_remembered(house):
    world, log, state, start = house
    log.entries.append(world.output(*(fault(tenant) for tenant in TENANTS), at=T0 + MINUTE))
    start().step()
    opened = {each.tenant: each for each in state.incidents(None)}
    assert set(opened) == set(TENANTS)
    # acknowledged and resolved in the store; the process dies before the loop hears of it
    state.act("acme", opened["acme"].id, "ack", by="ann", at=T0 + 2 * MINUTE)
    state.act("main", opened["main"].id, "resolve", by="bob", at=T0 + 2 * MINUTE)
    again = start()
    again.recall(T0 + 3 * MINUTE)
    log.entries.append(world.output(at=T0 + 3 * MINUTE, tick=True))
    again.step()
    sent = {
        (p.message.tenant, p.message.action, p.message.reason) for t in TENANTS for p in state.pages(t, opened[t].id)
    }
    assert ("acme", "acknowledge", "by ann") in sent
    assert ("main", "resolve", "") in sent
    assert {each.tenant: each.state for each in state.incidents(None)} == {
        "acme": IncidentState.ACKNOWLEDGED,
        "main": IncidentState.RESOLVED,
    }
    for tenant, kinds in (("acme", ["opened", "acknowledged"]), ("main", ["opened", "resolved"])):
        assert [each.kind for each in state.incident_events(tenant, opened[tenant].id)] == kinds


def test_a_word_that_asks_for_a_ticket_is_remembered_over_a_crash(house):
    world, log, state, start = house
    asks = {"tickets": [TicketSpec(name="all", to=["backlog"], score=0)]}
    log.entries.append(world.output(fault("main"), at=T0 + MINUTE, events=[prompt_change(T0)]))
    start(**asks).step()
    (opened,) = state.incidents("main")
    assert opened.causes
    assert state.add_feedback("main", opened.id, "real_problem", by="ann", at=T0 + 2 * MINUTE)
    for _ in range(2):  # the process dies before the loop hears of it, and once more when it has
        again = start(**asks)
        again.recall(T0 + 3 * MINUTE)
        log.entries.append(world.output(at=T0 + 3 * MINUTE, tick=True))
        again.step()
        again._commit()
    tickets = [page.message.reason for page in state.pages("main", opened.id) if page.message.destination == "backlog"]
    assert len(tickets) == 1
    assert "confirmed by ann" in tickets[0]


def test_what_the_program_resolved_is_not_taken_for_a_decision(house):
    world, log, state, start = house
    log.entries.append(world.output(fault("acme"), at=T0 + MINUTE))
    loop = start()
    loop.step()
    [opened] = state.incidents("acme")
    state.act("acme", opened.id, "ack", by="ann", at=T0 + MINUTE)
    done = replace(fault("acme"), phase=Phase.CLOSE, time=T0 + 2 * MINUTE)
    log.entries += [
        world.output(done, at=T0 + 2 * MINUTE),
        world.output(at=T0 + 10 * MINUTE, tick=True),
    ]
    loop.step()
    assert state.incident("acme", opened.id).state is IncidentState.RESOLVED
    again = start()
    again.recall(T0 + 11 * MINUTE)
    assert len(again._acts) == 0


def test_a_silenced_incident_is_seen_but_nobody_is_told_until_it_ends(house):
    world, log, state, start = house
    until = T0 + 10 * MINUTE
    state.add_silence(Silence("sil-1", "acme", {"monitor": "input-tokens"}, T0, until, "ann", "load test"))
    loop = start()
    log.entries.append(world.output(*(fault(tenant) for tenant in TENANTS), at=T0 + MINUTE, tick=True))
    loop.step()
    told = {page.message.tenant: page.message for page in loop_pages(state)}
    assert told["main"].dry_run is False
    assert (told["acme"].dry_run, told["acme"].reason) == (True, "silenced by sil-1")
    assert [each.state for each in state.incidents("acme")] == [IncidentState.OPEN]
    log.entries.append(world.output(at=until - SECOND, tick=True))
    loop.step()
    assert [page.message.dry_run for page in loop_pages(state) if page.message.tenant == "acme"] == [True]
    state.end_silence("acme", "sil-1", by="bob", at=until - SECOND)
    log.entries.append(world.output(at=until, tick=True))
    loop.step()
    assert [page.message.dry_run for page in loop_pages(state) if page.message.tenant == "acme"] == [True, False]


def loop_pages(state):
    return [page for each in state.incidents(None) for page in state.pages(each.tenant, each.id)]


def test_what_was_folded_while_the_disk_was_full_is_committed_once_there_is_room(house, monkeypatch):
    world, log, state, start = house
    log.entries.append(world.output(fault("main"), at=T0 + MINUTE))
    loop = start()

    def full(*_, **__):
        raise DiskFull("no room")

    monkeypatch.setattr(state, "commit", full)
    for _ in range(2):
        with pytest.raises(DiskFull):
            loop.step()
    assert not state.incidents(None)
    monkeypatch.undo()
    log.entries.append(world.output(at=T0 + 2 * MINUTE, tick=True))
    assert loop.step() == 1
    (opened,) = state.incidents(None)
    assert [page.message.action for page in state.pages("main", opened.id)] == ["trigger"]
