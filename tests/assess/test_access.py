"""Signs of access that never was like this: each attack is one, and thirty normal worlds have none."""

import pytest

from access_world import DAY, normal
from tocsin.assess.access import MOST_CLIENTS, ServiceAccess
from tocsin.model.visit import Visit

FLOOR = {"unauthenticated": 0, "denied": 50, "volume": 200, "spread": 15, "unusual": 10}
"""As in the pack."""


def told(state, worlds):
    found = []
    for piece, visits in worlds:
        for visit in visits:
            state.take(visit)
        found += [odd for odd in state.judge(piece) if odd.value > FLOOR[odd.kind]]
    return found


@pytest.fixture(scope="module")
def learned():
    state = ServiceAccess()
    assert told(state, normal(1, 9)) == []
    return state.snapshot()


def after(learned, hour, *visits):
    """What is found when these come in the tenth day's hour, beside the others."""
    state = ServiceAccess.of(learned)
    world = dict(normal(1, 1, first=9 * DAY, users=25))
    piece = 9 * DAY + 4 * hour
    return told(state, [(piece, [*world[piece], *(each._replace(piece=piece) for each in visits)])])


def visit(endpoint="/api/orders", principal="", client="6.6.6.6", country="", tool="", answer="ok", n=20):
    return Visit(0, "shop", endpoint, principal, client, country, tool, answer, n)


def test_an_endpoint_that_answers_without_credentials_is_found(learned):
    [odd] = after(learned, 12, visit(n=7))
    assert (odd.kind, odd.name, odd.value) == ("unauthenticated", "/api/orders", 7.0)
    assert "7 of " in odd.said
    assert "instrumentation" not in odd.said


def test_an_endpoint_that_never_asked_for_credentials_is_none(learned):
    assert after(learned, 12, visit("/api/health", n=60)) == []
    assert after(learned, 12, visit("/api/new", n=150)) == []


def test_when_no_request_tells_a_principal_any_more_the_instrumentation_is_named(learned):
    state = ServiceAccess.of(learned)
    piece = 9 * DAY + 48
    bare = [visit(f"/api/{name}", n=100)._replace(piece=piece) for name in ("orders", "cart")]
    found = told(state, [(piece, bare)])
    assert {odd.kind for odd in found} >= {"unauthenticated"}
    assert all("its instrumentation may have changed" in odd.said for odd in found if odd.kind == "unauthenticated")


def test_a_client_that_is_turned_away_again_and_again_is_found_with_what_it_got(learned):
    found = after(learned, 12, visit("/api/login", answer="denied", n=600), visit("/api/login", "u1", n=1))
    [odd] = [each for each in found if each.kind == "denied"]
    assert odd.name == "6.6.6.6"
    assert "turned away 600 times" in odd.said


def test_volume_and_spread_of_one_client_are_found(learned):
    found = after(learned, 12, visit("/api/search", "u3", n=2000))
    assert [(odd.kind, odd.name) for odd in found] == [("volume", "u3")]
    found = after(learned, 12, *(visit(f"/admin/{k}", "u3", n=1) for k in range(40)))
    assert [(odd.kind, odd.name, odd.value >= 40) for odd in found] == [("spread", "u3", True)]


def sleeper(state):
    """A user who comes by day only, and a service to which nobody comes at night."""
    for piece in range(9 * DAY):
        if 8 <= piece % DAY // 4 <= 18:
            state.take(Visit(piece, "shop", "/a", "ann", "10.0.0.9", "DE", "Mozilla", "ok", 20))
        assert [odd for odd in state.judge(piece) if odd.value > FLOOR[odd.kind]] == []


def test_a_known_user_at_night_from_elsewhere_is_found_and_by_its_own_tool_is_none():
    state = ServiceAccess()
    sleeper(state)
    frozen = state.snapshot()
    piece = 9 * DAY + 12
    for country, tool, found in (("DE", "Mozilla", 0), ("KP", "Mozilla", 1), ("DE", "curl", 1)):
        state = ServiceAccess.of(frozen)
        state.take(Visit(piece, "shop", "/a", "ann", "10.0.0.9", country, tool, "ok", 20))
        said = state.judge(piece)
        assert [odd.kind for odd in said] == ["unusual"] * found
    assert "never before at 03 UTC, with a new tool curl" in said[0].said


def test_a_stranger_at_an_hour_at_which_nobody_comes_is_found():
    state = ServiceAccess()
    sleeper(state)
    state.take(Visit(9 * DAY + 12, "shop", "/a", "eve", "6.6.6.6", "", "", "ok", 20))
    [odd] = state.judge(9 * DAY + 12)
    assert (odd.kind, odd.name) == ("unusual", "eve")


def test_what_goes_on_for_a_day_becomes_usual(learned):
    state = ServiceAccess.of(learned)
    counts = []
    for piece, visits in normal(1, 3, first=9 * DAY, users=25):
        more = [visit(n=20)._replace(piece=piece), visit("/api/search", "big", n=1500)._replace(piece=piece)]
        for each in (*visits, *more):
            state.take(each)
        counts.append(len([odd for odd in state.judge(piece) if odd.value > FLOOR[odd.kind]]))
    assert counts[0] == 2
    assert counts[-1] == 0


def test_order_and_splits_change_nothing(learned):
    piece, visits = next(iter(normal(5, 1, first=9 * DAY)))
    one, other = ServiceAccess.of(learned), ServiceAccess.of(learned)
    for each in visits:
        one.take(each)
    for each in reversed(visits):
        for _ in range(each.n):
            other.take(each._replace(n=1))
    assert one.judge(piece) == other.judge(piece)
    assert one.snapshot() == other.snapshot()


def test_a_crowd_is_bounded_and_counted():
    state = ServiceAccess()
    for who in range(3 * MOST_CLIENTS):
        state.take(Visit(0, "shop", f"/{who}", f"u{who}", "", "", "", "ok", 1))
    state.judge(0)
    assert state.left_out == 2 * MOST_CLIENTS
    assert len(state.past) <= MOST_CLIENTS
    assert len(state.endpoints) <= 300


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(30))
def test_thirty_normal_worlds_raise_nothing(seed):
    assert told(ServiceAccess(), normal(100 + seed, 14, users=20 + 4 * seed, night=0.02 * (seed % 10))) == []


@pytest.mark.parametrize("seed", range(1))
def test_normal_worlds_raise_nothing(seed):
    assert told(ServiceAccess(), normal(200 + seed, 6)) == []
