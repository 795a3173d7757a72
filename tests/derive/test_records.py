"""Records as samples: signals, labels, caps, and the laws of the fold."""

import json
from collections import Counter

import numpy as np
import pytest

from engine.worlds import T0, S, fold_all, records, said
from tocsin.derive import records as module
from tocsin.derive.records import RecordSignals
from tocsin.derive.vocabulary import OTHER
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.record_sample import features_of
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.frame import SCHEMAS, Frame, FrameKind, frame_of
from tocsin.model.log import Tick
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.packs import load_packs

EMPTY = {
    "time": T0, "prediction_id": "", "model": "churn", "version": "1", "prediction": "", "score": float("nan"),
    "features": "{}", "tags": [], "truth": "", "feedback": "", "kind": "prediction", "embedding": None,
    "attributions": "", "attention": "",
}  # fmt: skip
PACK = PackSpec(name="p", version=1, segments=["region", "team"])


def frame(*rows):
    full = [{**EMPTY, **row} for row in rows]
    for row in full:
        for name in ("prediction", "features", "truth", "feedback", "attributions", "attention"):
            row[name] = row[name] if isinstance(row[name], str) else json.dumps(row[name])
        row["tags"] = list(dict(row["tags"]).items())
    names = SCHEMAS[FrameKind.RECORDS].names
    return frame_of(FrameKind.RECORDS, "main", "records", {name: [row[name] for row in full] for name in names})


def drawn(*rows, signals=None):
    """{(signal without its prefix, its labels beside model and version): values} of rows."""
    found = (signals or RecordSignals([PACK])).draw([frame(*rows)])
    out = {}
    for key, value in zip(found.key.tolist(), found.value.tolist(), strict=True):
        series = found.series[key]
        labels = {name: text for name, text in series.labels if name not in {"model", "version"}}
        out.setdefault((series.signal.name.removeprefix("tocsin.model."), *labels.items()), []).append(value)
    return out


def test_what_a_prediction_says():
    found = drawn(
        {"prediction": True, "score": 0.2}, {"prediction": '"cat"', "score": 0.3}, {"prediction": 12.5, "score": 3}
    )
    assert found == {
        ("predictions",): [1, 1, 1],
        ("score",): [0.2, 0.3, 3],
        ("confidence",): [0.8, 0.3],
        ("class_ratio", ("class", "true")): [1, 0],
        ("class_ratio", ("class", "cat")): [1],
        ("prediction",): [12.5],
    }


def test_a_text_and_a_list_have_a_length():
    found = drawn({"prediction": json.dumps("a long\nanswer")}, {"prediction": [1, 2, 3]})
    assert found == {("predictions",): [1, 1], ("output_length",): [13, 3]}


def test_what_a_prediction_was_given():
    rows = [{"features": {"a": 1, "b": None}}, {"features": {"a": "", "b": 0}}, {"features": {"c": 1}}, {}]
    found = drawn(
        *rows, {"attributions": {"a": -3, "b": 1}}, {"attributions": {"b": 2}}, {"attention": {"entropy": 0.5}}
    )
    found.pop(("predictions",))
    assert found == {
        ("missing_ratio", ("feature", "a")): [0, 1, 1],
        ("missing_ratio", ("feature", "b")): [1, 0, 1],
        ("missing_ratio", ("feature", "c")): [0],
        ("attribution_share", ("feature", "a")): [0.75, 0],
        ("attribution_share", ("feature", "b")): [0.25, 1],
        ("attention", ("statistic", "entropy")): [0.5],
    }


def test_what_came_of_it():
    rows = [
        {
            "kind": "outcome",
            "prediction": '"a"',
            "truth": '"a"',
            "feedback": {"clicked": True, "stars": 4, "note": "well"},
        },
        {"kind": "outcome", "prediction": 1, "truth": "false"},
        {"kind": "outcome", "prediction": 10, "truth": 12.5},
        {"kind": "outcome", "feedback": '"thumbs_down"'},
        {"kind": "truth", "truth": 1},
        {"kind": "feedback", "feedback": 1},
    ]
    assert drawn(*rows) == {
        ("accuracy_ratio",): [1, 0],
        ("absolute_error",): [2.5],
        ("feedback", ("feedback", "clicked")): [1],
        ("feedback", ("feedback", "stars")): [4],
        ("feedback", ("feedback", "feedback")): [0],
    }


def test_who_tags_refusals_only_means_that_the_rest_is_none():
    rows = [{}, {"tags": {"refusal": "true"}}, {}, {"tags": {"refused": "false"}}]
    assert drawn(*rows)[("refusal_ratio",)] == [1, 0, 0]


def test_segments_stand_beside_the_whole():
    row = {"score": 0.5, "prediction": True, "tags": {"region": "eu", "team": "x", "user": "joe"}}
    found = drawn(row, {"score": 0.25, "tags": {"region": "us", "model": "m"}})
    assert {key for key in found if key[0] == "score"} == {
        ("score",), ("score", ("region", "eu")), ("score", ("team", "x")), ("score", ("region", "us")),
    }  # fmt: skip
    assert [key for key in found if key[0] == "class_ratio"] == [("class_ratio", ("class", "true"))]


def test_caps_hold_and_what_is_beyond_is_counted(monkeypatch):
    signals = RecordSignals([PACK])
    rows = [{"prediction": json.dumps(f"c{n}")} for n in range(30)]
    found = drawn(*rows, signals=signals)
    classes = [dict(key[1:])["class"] for key in found if key[0] == "class_ratio"]
    assert len(classes) == module.CLASSES + 1
    assert sum(found["class_ratio", ("class", OTHER)]) == 10
    assert signals.words.left_out == 10
    monkeypatch.setattr(module, "MODELS", 1)
    assert not drawn({"model": "new", "tags": {"region": "eu"}}, signals=signals).keys() & {"nothing"}
    (last,) = {series.label("model") for series in signals.draw([frame({"model": "other"})]).series}
    assert last == OTHER
    drawn({"features": {f"f{n}": 1 for n in range(300)}}, signals=signals)
    drawn(*[{"tags": {"region": f"r{n}"}} for n in range(60)], signals=signals)
    assert signals.words.left_out > 10 + 100 + 10


@pytest.mark.parametrize(
    "text", ["[", "null", '"x"', "5", "[1]", '{"a":{"b":1}}', '{"a":"x"}', '{"a":true}', "1e999", "-" * 99]
)
def test_no_text_breaks_the_fold(text):
    row = dict.fromkeys(("prediction", "features", "truth", "feedback", "attributions", "attention"), text)
    drawn(row, {**row, "kind": "outcome"}, {**row, "score": float("inf"), "model": "", "version": ""})


def test_records_of_one_time_are_told_apart_and_repeats_are_not():
    signals = RecordSignals([PACK])
    rows = [{"prediction_id": "a"}, {"prediction_id": "b"}, {"prediction_id": "a", "score": 0.5}, {}, {"prediction": 1}]
    found = signals.draw([frame(*rows)])
    uids = found.uid[found.key == 0].tolist()
    assert Counter(uids).most_common(1)[0][1] == 2
    assert len(set(uids)) == 4


def world():
    rng = np.random.default_rng(3)
    spec = EngineSpec(packs=[pack for pack in load_packs() if pack.name in {"models", "families", "any"}])
    entries = [spec.control()]
    for second in range(1, 181):
        now = T0 + second * S
        low = 0.3 if second > 150 else 0.0
        rows = [
            {
                "time": now, "prediction_id": f"{second}-{n}", "prediction": json.dumps("abc"[rng.integers(3)]),
                "score": float(np.clip(rng.normal(0.6 - low, 0.1), 0, 1)), "features": {"x": 1 if rng.random() < 0.9 else None},
                "tags": {"region": "eu" if n % 2 else "us"}, "version": "2" if second > 120 else "1",
            }
            for n in range(4)
        ]  # fmt: skip
        entries += [frame(*rows), Tick(now, {("main", "records"): now})]
    return entries


def test_any_split_of_records_and_any_restart_give_the_same_bits():
    catalog = Catalog()
    whole = world()
    split = []
    for entry in whole:
        if isinstance(entry, Frame):
            split += [Frame(entry.kind, entry.tenant, entry.source, entry.batch.slice(i, 1)) for i in range(len(entry))]
        else:
            split.append(entry)
    expected = said(fold_all(Pipeline(catalog), records(whole)), catalog)
    assert said(fold_all(Pipeline(catalog), records(split)), catalog) == expected
    first, then = Pipeline(catalog), Pipeline(catalog)
    before = fold_all(first, records(whole[:201]))
    then.restore(unpack(pack(first.snapshot())))
    assert said([*before, *fold_all(then, records(whole[201:], 201))], catalog) == expected
    assert {row[0] for row in expected} >= {"panes", "events"}
    assert any("record.version 1 -> 2" in row[2] for row in expected if row[0] == "events")


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 5000])
def test_what_is_nested_too_deep_says_nothing(text):
    found = drawn({"prediction": text, "features": text, "truth": text, "feedback": text, "attributions": text, "attention": text})  # fmt: skip
    assert found == {("predictions",): [1]}
    assert features_of(text) == {}


def test_features_are_read_or_not_however_deep_they_are():
    for depth in range(850, 1000):  # one less than can be read is more than can be written
        assert set(features_of('{"a":' + "[" * depth + "]" * depth + "}")) <= {"a"}
