"""The digest of what paged nobody: once a week, at the hour of the place, by route."""

import itertools
from dataclasses import replace

import pytest

from api.fake import deps
from api.world import story
from tocsin.app.review_digest import ReviewDigest, due_ns, week_of
from tocsin.model.clock import ManualClock
from tocsin.spec.config import Config
from tocsin.spec.routing import ReviewSpec
from tocsin.store.state import StateStore

HOUR = 3600 * 10**9
SPEC = {"digest": ["mail"], "day": "monday", "at": "09:00", "time_zone": "Europe/Berlin"}


@pytest.fixture
def state(tmp_path):
    store = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    yield store
    store.close()


def test_it_is_sent_once_a_week_by_route_and_not_again_after_a_restart(state):
    world = deps()
    spec = ReviewSpec.model_validate(SPEC)
    week = week_of(spec, story().opened_at)
    clock = ManualClock(due_ns(spec, week + 1) - HOUR)
    config = Config.model_validate({"review": SPEC})

    def again():
        return ReviewDigest(replace(world, clock=clock), state, lambda: config, lambda: ["main"], clock)

    digest = again()
    assert digest.step() == 0  # the week before was over when it was asked for
    clock.advance(HOUR)
    assert digest.step() == 1
    assert (digest.step(), again().step()) == (0, 0)
    [message] = state.due_messages(clock.now())
    assert (message.destination, message.action) == ("mail", "digest")
    assert "paged nobody" in message.incident.title
    assert "service.name=web: 4 opened, 3 paged, 1 held back, 4 not judged yet" in message.incident.statement
    clock.advance(7 * 24 * HOUR)
    assert digest.step() == 1


def test_without_destinations_nothing_is_sent(state):
    clock = ManualClock(story().opened_at)
    assert ReviewDigest(deps(), state, Config, lambda: ["main"], clock).step() == 0


def test_the_hour_is_that_of_the_place_in_summer_and_winter():
    spec = ReviewSpec.model_validate(SPEC)
    weeks = [due_ns(spec, 1346 + k) for k in range(3)]  # the clocks go back in one of them
    assert [(later - before) // HOUR for before, later in itertools.pairwise(weeks)] == [169, 168]
    assert week_of(spec, weeks[0] - 1) == 1345
