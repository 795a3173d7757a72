"""Promises of a person about features of live records: from the first record on, the same after a restart."""

import json

import numpy as np
import pytest

from engine.test_drift_watch import HOUR, KEY, T0, frame, policy
from tocsin.engine.drift_watch import DriftWatch
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

LIMITS = {"age": {"low": 0, "high": 120, "missing_ratio": 0.05}, "plan": {"categories": ["basic", "pro"]}}


def rows(hour, *, broken=False, n=200):
    rng = np.random.default_rng(hour)
    return [
        {
            "time": T0 + hour * HOUR + (k + 1) * (HOUR // (n + 1)), "prediction_id": f"{hour}-{k}",
            "features": json.dumps(
                {"age": 130.0 if broken and k % 100 == 7 else float(rng.integers(18, 90)), "plan": ["basic", "pro"][k % 2]}
            ),
        }
        for k in range(n)
    ]  # fmt: skip


def followed(hours, *, restart=False, **changes):
    watch = DriftWatch()
    watch.adopt([policy(reference="first 3h", limits=LIMITS, **changes)])
    found = []
    for hour, given in enumerate(hours):
        watch.hold(KEY, T0 + hour * HOUR, frame(given))
        for minute in range(15, 61, 15):
            mark = T0 + hour * HOUR + minute * HOUR // 60
            watch.release(KEY, mark)
            found += watch.close({KEY: mark}, mark)
            if restart:
                state = unpack(pack(watch.snapshot()))
                watch = DriftWatch()
                watch.adopt([policy(reference="first 3h", limits=LIMITS, **changes)])
                watch.restore(state)
    return [each for each in found if each.monitor == "model-data-quality"]


@pytest.mark.parametrize("hour", [1, 6])
def test_a_broken_promise_is_told_within_the_hour_with_and_without_a_reference(hour):
    # two rows in two hundred: too rare for what a reference would let expect
    found = followed([rows(each, broken=each == hour) for each in range(9)])
    opened = found[0]
    assert opened.phase is Phase.OPEN
    assert T0 + hour * HOUR < opened.time <= T0 + (hour + 1) * HOUR
    assert opened.evidence["violation.1"] == "out_of_range"
    assert opened.evidence["violation.1.feature"] == "age"
    assert opened.evidence["violation.1.example"] == "130"
    assert "not within 0 to 120" in opened.evidence["violation.1.reason"]
    assert found[-1].phase is Phase.CLOSE
    assert {each.id for each in found} == {opened.id}


def test_what_is_kept_is_told_by_nobody_and_a_restart_changes_nothing():
    assert followed([rows(hour) for hour in range(6)]) == []
    broken = [rows(hour, broken=hour == 4) for hour in range(7)]
    assert followed(broken, restart=True) == followed(broken)


def test_missing_values_and_categories_are_promised_too():
    odd = [
        {**row, "features": json.dumps({"plan": "trial"} if k % 8 == 0 else {"age": 30.0, "plan": "pro"})}
        for k, row in enumerate(rows(1))
    ]
    (opened, *_) = followed([rows(0), odd])
    told = {opened.evidence[f"violation.{place}"] for place in (1, 2)}
    assert told == {"missing", "unseen"}


@pytest.mark.parametrize(
    ("limits", "said"), [("{}", "promise something"), ("{low: 3, high: 2}", "above"), ("{lo: 3}", "low")]
)
def test_faults_of_limits_are_told_at_their_place(limits, said):
    text = f"drift:\n  - model: m\n    reference: first 7d\n    limits:\n      age: {limits}\n"
    with pytest.raises(BadSpec, match=r"^tocsin\.yaml:5:") as raised:
        parse_config(text, "tocsin.yaml", {})
    assert said in str(raised.value)
