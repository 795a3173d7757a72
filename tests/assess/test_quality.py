"""Promises of a reference, and rows that break them."""

import numpy as np
import pyarrow as pa
import pytest

from tocsin.assess.quality import SECOND, Fault, Limits, check, freshness
from tocsin.assess.reference import learn_table
from tocsin.model.errors import BadInput


@pytest.fixture(scope="module")
def references():
    rng = np.random.default_rng(0)
    return learn_table(
        {
            "age": rng.normal(40, 10, 5_000),
            "plan": pa.array(rng.choice(["free", "team", "pro"], 5_000)),
            "note": np.where(rng.random(5_000) < 0.1, None, "x"),
            "flag": rng.random(5_000) < 0.2,
        }
    )


def batch(n=500, **columns):
    rng = np.random.default_rng(1)
    made = {
        "age": rng.normal(40, 10, n),
        "plan": pa.array(rng.choice(["free", "team", "pro"], n)),
        "note": np.where(rng.random(n) < 0.1, None, "x"),
        "flag": rng.random(n) < 0.2,
    }
    return {**made, **columns}


def alarms(references, columns, **more):
    return {(each.fault, each.feature): each for each in check(references, columns, **more) if each.alarm}


def test_rows_like_the_reference_break_nothing(references):
    assert not alarms(references, batch())


def test_text_in_numbers_is_corrupted_and_shown(references):
    found = alarms(references, batch(age=["41", "38", "about forty"] + ["40.5"] * 497))
    fault = found[Fault.CORRUPTED, "age"]
    assert (fault.count, fault.rows, fault.example) == (1, 500, "about forty")
    assert "hold no usable value, such as 'about forty'" in fault.said


def test_numbers_that_come_as_text_are_a_changed_type_and_still_read(references):
    columns = batch()
    columns["age"] = [str(value) for value in columns["age"]]
    found = check(references, columns)
    assert [(each.fault, each.alarm) for each in found if each.feature == "age"] == [(Fault.TYPE_CHANGED, False)]
    assert "holds texts, numbers in the reference" in found[0].said


def test_missing_values_beyond_what_is_usual(references):
    columns = batch(note=[None] * 200 + ["x"] * 300)
    assert alarms(references, columns)[Fault.MISSING, "note"].count == 200
    usual = next(each for each in check(references, batch()) if each.fault is Fault.MISSING)
    assert not usual.alarm
    assert usual.expected == pytest.approx(50, rel=0.2)


def test_an_all_missing_column_is_one_violation(references):
    found = alarms(references, batch(age=pa.nulls(500)))
    assert set(found) == {(Fault.MISSING, "age")}


def test_values_beyond_the_range_are_counted_and_alarm_when_no_chance(references):
    one = check(references, batch(age=np.append(np.random.default_rng(2).normal(40, 10, 499), 200.0)))
    listed = next(each for each in one if each.fault is Fault.OUT_OF_RANGE)
    assert (listed.count, listed.alarm, listed.example) == (1, False, "200")
    many = np.append(np.random.default_rng(2).normal(40, 10, 480), np.full(20, 200.0))
    assert alarms(references, batch(age=many))[Fault.OUT_OF_RANGE, "age"].count == 20


def test_unseen_categories_are_named(references):
    columns = batch(plan=["free"] * 300 + ["team"] * 170 + ["enterprise"] * 30)
    found = alarms(references, columns)[Fault.UNSEEN, "plan"]
    assert (found.count, found.example) == (30, "enterprise")


def test_constant_and_stuck_columns(references):
    assert alarms(references, batch(age=np.full(500, 40.0)))[Fault.CONSTANT, "age"].example == "40"
    values = np.random.default_rng(3).normal(40, 10, 500)
    values[100:180] = 55.5
    stuck = alarms(references, batch(age=values))[Fault.STUCK, "age"]
    assert (stuck.count, stuck.example) == (80, "55.5")
    # a flag that is mostly false may well be false a while
    flags = np.random.default_rng(3).random(500) < 0.2
    flags[:25] = False
    assert (Fault.STUCK, "flag") not in alarms(references, batch(flag=flags))


def test_columns_gone_and_new(references):
    columns = batch(extra=np.ones(500))
    del columns["plan"]
    found = {(each.fault, each.feature): each.alarm for each in check(references, columns)}
    assert found[Fault.COLUMN_GONE, "plan"] is True
    assert found[Fault.COLUMN_NEW, "extra"] is False


def test_what_a_person_promises_stands_instead_of_what_was_seen(references):
    limits = {
        "age": Limits(low=0, high=120),
        "plan": Limits(categories=frozenset({"free", "team"})),
        "note": Limits(missing_share=0.0),
    }
    columns = batch(age=np.append(np.random.default_rng(2).normal(40, 8, 499), 121.0))
    found = alarms(references, columns, limits=limits)
    assert found[Fault.OUT_OF_RANGE, "age"].said == "1 of 500 rows are not within 0 to 120, such as 121"
    assert found[Fault.UNSEEN, "plan"].example == "pro"
    assert found[Fault.MISSING, "note"].count > 0


def test_vectors_of_another_length_are_corrupted():
    rng = np.random.default_rng(0)
    references = learn_table({"e": rng.normal(size=(200, 8))})
    found = alarms(references, {"e": [row.tolist() for row in rng.normal(size=(40, 8))] + [[1.0] * 7] * 10})
    assert found[Fault.CORRUPTED, "e"].example == "7 numbers instead of 8"


def test_ragged_tables_are_refused(references):
    with pytest.raises(BadInput, match="same length"):
        check(references, batch(age=[1.0]))


def test_freshness_order_and_future():
    now = 10_000 * SECOND
    good = [now - 3 * SECOND, now - 2 * SECOND, now - SECOND]
    assert freshness(good, now, within_ns=60 * SECOND) == []
    stale = freshness([now - 3_600 * SECOND], now, within_ns=60 * SECOND)
    assert [each.fault for each in stale] == [Fault.STALE]
    assert "3,600 s ago" in stale[0].said
    assert [each.fault for each in freshness([], now, within_ns=SECOND)] == [Fault.STALE]
    mixed = freshness([now, now - SECOND, now + 7_200 * SECOND], now, within_ns=60 * SECOND)
    assert [each.fault for each in mixed] == [Fault.OUT_OF_ORDER, Fault.IN_FUTURE]
