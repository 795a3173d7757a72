"""When a model is due to be trained again: by verdicts that prove it wrong more often than right, or by what it is given."""

from dataclasses import replace
from random import Random

import pytest

from api.world import NOW, NS, story
from tocsin.incident.retraining import NEEDED, e_value, standing, tally
from tocsin.model.decision import Feedback

DAY = 86_400 * NS
MINE = story().findings[0].monitor


def verdicts(words, *, of_model=True, first=0):
    """Incidents one after another, each with the last word on it; those without the model have another finding on its series."""
    found = []
    for number, word in enumerate(words):
        mine, other = story().findings[0], replace(story().findings[0], monitor="limit")
        opened = NOW + (first + number) * DAY
        incident = replace(story(), id=f"inc-{number}", opened_at=opened, findings=(mine if of_model else other,))
        found.append((incident, Feedback(incident.id, opened + NS, word, "ann")))
    return found


def stand(judged, foreign=(), since=0, watched=lambda _: True):
    return standing(MINE, watched, judged, foreign, since)


def test_seven_false_alarms_in_a_row_are_enough_and_six_are_not():
    assert stand(verdicts(["false_alarm"] * 6)).due_at is None
    found = stand(verdicts(["false_alarm"] * 7))
    assert found.due_at == NOW + 6 * DAY + NS
    [reason] = found.reasons()
    assert reason.text.startswith("7 of 7 incidents it had a part in were called false alarms")
    assert (found.missed.wrong, found.missed.of) == (0, 0)


def test_what_is_found_true_later_takes_it_down_again():
    due = stand(verdicts(["false_alarm"] * 7))
    assert due.due_at is not None
    assert stand(verdicts(["false_alarm"] * 7 + ["real_problem"])).due_at is None


def test_a_verdict_that_is_changed_counts_as_it_stands():
    judged = verdicts(["false_alarm"] * 7)
    judged[0] = (judged[0][0], replace(judged[0][1], verdict="real_problem"))
    assert stand(judged).due_at is None


def test_real_ones_on_its_series_without_a_word_of_it_are_missed():
    missed = verdicts(["real_problem"] * 7, of_model=False)
    [reason] = stand(missed).reasons()
    assert reason.text.startswith("7 of 7 real incidents on what it watches went without a word of it")
    assert stand(missed, watched=lambda _: False).due_at is None
    assert stand(verdicts(["false_alarm"] * 7, of_model=False)).due_at is None  # another's false alarms are not its own


def test_what_the_baseline_said_in_its_place_is_held_against_nobody():
    judged = []
    for word in ("false_alarm", "real_problem"):
        for incident, said in verdicts([word] * 9):
            finding = replace(incident.findings[0], evidence={"state.judged_by_baseline": 1.0})
            judged.append((replace(incident, findings=(finding,)), said))
    found = stand(judged)
    assert (found.false.of, found.missed.of, found.due_at) == (0, 0, None)


def test_what_was_before_the_version_counts_nothing():
    judged = verdicts(["false_alarm"] * 9)
    assert stand(judged, since=NOW + 3 * DAY).false.of == 6
    assert stand(judged, since=NOW + 3 * DAY).due_at is None


@pytest.mark.parametrize(("shares", "since"), [
    ([0.5, 0.5, 0.5], None),
    ([0.2, 0.6, 0.9], 1),
    ([0.9, 0.2, 0.6], 2),
    ([0.9, 0.9, 0.4], None),
])  # fmt: skip
def test_most_series_given_what_it_was_not_made_for_raise_it_from_the_day_on(shares, since):
    foreign = [(NOW + day * DAY, share) for day, share in enumerate(shares)]
    found = stand([], foreign)
    assert found.due_at == (None if since is None else NOW + since * DAY)
    assert found.foreign == shares[-1]


def test_a_drift_that_was_known_when_it_was_put_off_stays_put_off_and_a_new_one_does_not():
    foreign = [(NOW, 0.9), (NOW + DAY, 0.9)]
    assert stand([], foreign, since=NOW + NS).due_at is None
    again = [*foreign, (NOW + 2 * DAY, 0.1), (NOW + 3 * DAY, 0.8)]
    assert stand([], again, since=NOW + NS).due_at == NOW + 3 * DAY


def test_a_model_that_is_right_as_often_as_wrong_is_flagged_in_one_life_of_twenty_at_most():
    random, flagged, lives = Random(7), 0, 2000
    for _ in range(lives):
        wrong = 0
        for n in range(1, 201):
            wrong += random.random() < 0.5
            if e_value(wrong, n - wrong) >= NEEDED:
                flagged += 1
                break
    assert 0 < flagged / lives <= 0.05


def test_the_e_value_is_that_of_the_integral():
    for wrong, right in ((0, 0), (1, 0), (3, 4), (14, 3), (60, 20)):
        n, steps = wrong + right, 20_000
        points = (0.5 + (k + 0.5) / (2 * steps) for k in range(steps))
        integral = sum((2 * p) ** wrong * (2 * (1 - p)) ** right for p in points) / steps
        assert e_value(wrong, right) == pytest.approx(integral, rel=1e-4), n
    assert e_value(5000, 0) == 1e12


def test_a_tally_is_the_same_in_any_order():
    judged = [(n, n % 5 > 0) for n in range(30)]
    assert tally(judged) == tally(reversed(judged))
