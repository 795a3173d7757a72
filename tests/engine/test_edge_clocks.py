"""The time of several edges: the slowest live one's, never going back; who went holds nobody up."""

from hypothesis import given
from hypothesis import strategies as st

from tocsin.engine.edge_clocks import GONE_NS, PATIENCE_NS, SECOND, EdgeClocks
from tocsin.model.log import Tick

KEY = ("main", "otlp/a")
OTHER = ("main", "otlp/b")


def tick(seconds, **marks):
    return Tick(seconds * SECOND, {("main", f"otlp/{name}"): at * SECOND for name, at in marks.items()})


def test_one_edge_alone_is_passed_on_as_it_is():
    clocks = EdgeClocks()
    ticks = [tick(s, a=s - 1) for s in (10, 11, 300)]
    assert [clocks.fold("e", each) for each in ticks] == ticks


def test_a_source_that_two_deliver_is_complete_where_both_say_so():
    clocks = EdgeClocks()
    clocks.fold("e", tick(10, a=10, b=10))
    found = clocks.fold("f", tick(11, a=5))
    assert found is None  # the slower edge still stands at 10, which was told
    assert clocks.fold("e", tick(12, a=12, b=12)) == tick(11, a=5, b=12)


def test_history_is_judged_while_the_clock_stands():
    clocks = EdgeClocks()
    clocks.fold("e", tick(100, a=10))
    clocks.fold("f", tick(100))
    assert clocks.fold("e", tick(100, a=50)) == tick(100, a=50)
    assert clocks.fold("f", tick(100)) is None  # nothing has moved


def test_an_edge_that_went_is_waited_for_and_then_its_sources_go_on():
    clocks = EdgeClocks()
    clocks.fold("gone", tick(10, a=9))
    seen = {}
    for second in range(10, 90):
        merged = clocks.fold("here", tick(second, b=second))
        if merged is not None:
            seen[merged.received // SECOND] = merged.watermarks[KEY] // SECOND
    # time stood still until it was taken to be gone
    assert min(at for at in seen if at > 10) == 10 + GONE_NS // SECOND + 1
    assert seen[10 + PATIENCE_NS // SECOND] == 9
    assert seen[60] == 9 + 50


def test_time_goes_on_when_the_edge_that_fetches_is_back_under_another_name():
    clocks = EdgeClocks()
    clocks.fold("old", tick(10, a=10))
    clocks.fold("here", tick(10, b=10))
    clocks.fold("here", tick(30, b=30))
    merged = clocks.fold("new", tick(30, a=30))
    assert clocks.fold("here", tick(31, b=31)) is None
    assert merged.watermarks[KEY] == 30 * SECOND
    assert clocks.fold("new", tick(32, a=32)).watermarks[KEY] == 32 * SECOND


def test_an_edge_that_says_goodbye_holds_nobody_up():
    clocks = EdgeClocks()
    clocks.fold("a", tick(10, a=9))
    clocks.fold("b", tick(10, b=9))
    assert clocks.fold("b", tick(11, b=10)) is None  # the other one still stands at 10
    assert clocks.leave("a") == tick(11, a=9, b=10)
    assert clocks.leave("a") is None
    assert clocks.fold("b", tick(12, b=11)) == tick(12, a=9, b=11)
    # its sources may be somewhere else in a moment, and are waited for as if it had fallen silent
    later = clocks.fold("b", tick(60, b=59))
    assert later.watermarks[KEY] == (9 + 50) * SECOND
    assert clocks.leave("b") is None
    assert clocks.fold("c", tick(61, a=60)) == tick(61, a=60, b=59)


TICKS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 100), st.integers(0, 100), st.sampled_from([KEY, OTHER])),
    max_size=40,
)


@given(TICKS, st.sets(st.integers(0, 40)))
def test_whoever_says_goodbye_time_is_that_of_those_who_stayed(rows, goodbyes):
    """At any place: never back, never ahead of the foremost, and never behind the slowest who has not left."""
    clocks, told, alive = EdgeClocks(), 0, {}
    for number, (edge, received, mark, key) in enumerate(rows):
        at = received * SECOND
        if number in goodbyes:
            found = clocks.leave(edge)
            alive.pop(edge, None)
        else:
            found = clocks.fold(edge, Tick(at, {key: mark * SECOND}))
            alive[edge] = max(at, alive.get(edge, 0))
            alive = {name: last for name, last in alive.items() if max(alive.values()) - last <= GONE_NS}
        if found is not None:
            assert told <= found.received <= max(alive.values())
            told = found.received
        if alive:
            assert told >= min(alive.values())


@given(TICKS, st.integers(0, 40))
def test_time_never_goes_back_and_a_restart_changes_nothing(rows, cut):
    whole, parts = EdgeClocks(), EdgeClocks()
    told = []
    for number, (edge, received, mark, key) in enumerate(rows):
        if number == cut:
            again = EdgeClocks()
            again.restore(parts.snapshot())
            parts = again
        each = Tick(received * SECOND, {key: mark * SECOND})
        found = whole.fold(edge, each)
        assert parts.fold(edge, each) == found
        told += [] if found is None else [found.received]
    assert told == sorted(told)
