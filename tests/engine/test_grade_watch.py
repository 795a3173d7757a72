"""Grades that can't be: no scale, name or number of them stops the fold, and each is counted."""

import pytest

from tocsin.assess.votes import Tally
from tocsin.derive.grades import rounded
from tocsin.derive.votes import Vote
from tocsin.engine.call_episodes import Episodes
from tocsin.engine.segment_tallies import MOST_TALLIES, WHOLE, SegmentTallies
from tocsin.engine.vote_watch import EVERY_NS, VoteWatch

S = 10**9
NOON = 1_791_201_600 * S


def told(watch, *votes):
    """Take votes in, and judge."""
    for at, (name, fields) in enumerate(votes):
        watch.take("main", Vote(NOON + at * S, "", str(at), name, False, "bot", "m", "", "", graded=True, **fields))
    watch.judge(NOON + len(votes) * S + EVERY_NS)
    return watch


@pytest.mark.parametrize(
    "vote",
    [
        {"grade": 7.0, "low": 1.0, "high": 5.0},
        {"grade": -1e308, "low": 1.0, "high": 5.0},
        {"grade": 1e308, "low": -1e308, "high": 1e308},
        {"grade": 1e300},
    ],
)
def test_a_grade_beyond_any_scale_is_counted_and_stops_nothing(vote):
    scale = {"grade": 4.0, "low": 1.0, "high": 5.0}
    for before in ([], [("stars", scale)]):
        watch = told(VoteWatch(Episodes()), *before, ("stars", vote))
        assert watch.left_out == 1
    assert watch.grades.graded(("main", "bot", "stars"))  # what was known of it is still


def test_of_more_names_than_there_is_room_for_the_rest_is_counted():
    scale = {"grade": 4.0, "low": 1.0, "high": 5.0}
    watch = told(VoteWatch(Episodes()), *((f"stars {n}", scale) for n in range(MOST_TALLIES)))
    assert watch.left_out == MOST_TALLIES  # of each name there are the whole and what its model is
    assert len(watch.snapshot()["grades"]["tallies"]) == MOST_TALLIES
    assert len(watch.snapshot()["grades"]["told"]) <= MOST_TALLIES // 2 + 1
    watch.restore(watch.snapshot())
    told(watch, ("stars 0", scale), (f"stars {MOST_TALLIES}", scale))


def test_no_number_is_of_no_scale():
    assert rounded(float("nan")) is rounded(float("inf")) is None


def test_tallies_are_let_go_and_there_is_room_again():
    tallies = SegmentTallies(Tally)
    for n in range(MOST_TALLIES):
        assert tallies.at(("main", "bot", str(n)), WHOLE) is not None
    assert tallies.at(("main", "bot", "new"), WHOLE) is None
    assert (tallies.left_out, dict(tallies.of(("main", "bot", "new")))) == (1, {})
    tallies.forget(("main", "bot", "0"))
    assert tallies.at(("main", "bot", "new"), WHOLE) is not None
    again = SegmentTallies(Tally)
    again.restore(tallies.snapshot(), Tally.of)
    assert again.snapshot() == tallies.snapshot()
    assert again.at(("main", "bot", "0"), WHOLE) is None
