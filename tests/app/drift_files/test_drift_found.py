"""What is broken, and which laws moved, as `tocsin drift` tells it of files."""

import numpy as np
import pytest

from drift_world import model_rows, without, write


@pytest.fixture
def broken(tmp_path):
    """Four chunks: calm, text in a number, values gone and a sensor that is stuck, calm."""
    current = model_rows(2, 4000)
    age = current["age"].astype("U8")
    age[1000:1150] = "abc"
    age[2000:2200] = ""
    age[2500:2600] = "33.0"
    plan = current["plan"].astype("U8")
    plan[2000:2900:3] = "gold"
    return (
        write(tmp_path / "r.csv", model_rows(1, 6000)),
        write(tmp_path / "c.csv", {**current, "age": age, "plan": plan}),
    )


def _alarms(chunk):
    return {(each["fault"], each["feature"]): each for each in chunk["quality"] if each["alarm"]}


def test_each_fault_has_its_chunk_count_example_and_words(broken, drift):
    result, shown, said = drift(*broken, "--chunk", "1000")
    assert result.exit_code == 0, said
    chunks = shown["chunks"]
    assert [chunk["quality_alarm"] for chunk in chunks] == [False, True, True, False]
    assert set(_alarms(chunks[1])) == {("corrupted", "age")}
    assert set(_alarms(chunks[2])) == {("missing", "age"), ("stuck", "age"), ("unseen", "plan")}
    found = _alarms(chunks[1])["corrupted", "age"]
    assert (found["count"], found["rows"], found["expected"], found["example"]) == (150, 1000, 0.0, "abc")
    assert found["said"] == "150 of 1,000 rows hold no usable value, such as 'abc'; 0 would be usual"
    assert _alarms(chunks[2])["unseen", "plan"]["count"] == 300
    assert [chunk["alarm"] for chunk in chunks] == [False, True, True, False], "broken input asks for a look"
    assert f"age: {found['said']}" in chunks[1]["reasons"]


def test_people_read_what_is_broken_once_with_its_chunks(broken, drift):
    result, _, _ = drift(*broken, "--chunk", "1000", as_json=False)
    lines = result.stdout.splitlines()
    start = lines.index("broken\tcolumn\tchunks\twhat")
    assert "corrupted\tage\t1\t150 of 1,000 rows hold no usable value, such as 'abc'; 0 would be usual" in lines[start:]
    assert any(line.startswith("unseen\tplan\t2\t300 of 1,000 rows") for line in lines[start:])


def test_a_column_sorted_by_its_value_is_not_stuck_where_rows_have_no_time(tmp_path, drift):
    reference, rows = (without(model_rows(seed, 3000), "time") for seed in (1, 2))
    order = np.argsort(rows["plan"], kind="stable")
    current = write(tmp_path / "c.csv", {name: values[order] for name, values in rows.items()})
    _, shown, _ = drift(write(tmp_path / "r.csv", reference), current)
    assert not shown["chunks"][0]["quality_alarm"]


def test_a_reference_out_of_order_is_no_excuse_for_a_stuck_column(tmp_path, drift):
    reference, current = model_rows(1, 3000), model_rows(2, 2000)
    order = np.argsort(reference["age"], kind="stable")
    current["age"][500:700] = current["age"][500]
    one = write(tmp_path / "r.parquet", {name: values[order] for name, values in reference.items()})
    _, shown, _ = drift(one, write(tmp_path / "c.parquet", current))
    assert set(_alarms(shown["chunks"][0])) == {("stuck", "age")}


def test_types_are_compared_where_files_have_some(tmp_path, drift):
    reference, current = model_rows(1, 3000), model_rows(2, 1000)
    texts = {**current, "age": current["age"].astype("U8")}
    _, shown, _ = drift(write(tmp_path / "r.parquet", reference), write(tmp_path / "c.parquet", texts))
    assert "holds texts, numbers in the reference" in [each["said"] for each in shown["chunks"][0]["quality"]]
    _, shown, _ = drift(tmp_path / "r.parquet", write(tmp_path / "c.csv", current))
    assert [each for each in shown["chunks"][0]["quality"] if each["fault"] == "type_changed"] == []


def test_what_follows_from_the_same_inputs_is_told_by_groups_of_like_predictions(tmp_path, drift):
    reference, current = model_rows(1, 6000), model_rows(2, 3000)
    current["target"] = np.where(np.arange(3000) % 4 == 0, 1 - current["target"], current["target"])
    result, shown, _ = drift(write(tmp_path / "r.csv", reference), write(tmp_path / "c.csv", current))
    chunk = shown["chunks"][0]
    assert chunk["moved"] == ["concept"]
    assert chunk["moved_said"][0].startswith("concept drift: of ")
    assert "turned out '1'" in chunk["moved_said"][0]
    low, high = chunk["groups"][0], chunk["groups"][-1]
    assert low["share"] - low["reference_share"] > 0.1, "a quarter of the calm ones turned"
    assert high["share"] - high["reference_share"] < -0.1
    result, _, _ = drift(tmp_path / "r.csv", tmp_path / "c.csv", as_json=False)
    assert any(line.startswith("concept drift\t0\tof ") for line in result.stdout.splitlines())


def test_data_drift_that_explains_the_fall_is_no_concept_drift(files, drift):
    """Trial plans, of which the score says less, became frequent: the reference is weighted by them first."""
    _, shown, _ = drift(*files[:2], "--truth", files[2], "--id", "id", "--chunk", "2000")
    assert [chunk["moved"] for chunk in shown["chunks"]] == [[], [], ["data"]]


def test_classes_and_numbers_have_groups_of_their_own(tmp_path, drift):
    def rows(seed, n, right, bias):
        rng = np.random.default_rng(seed)
        said = rng.choice(["cat", "dog", "owl"], n)
        x = rng.normal(0, 1, n)
        return (
            {"x": x, "prediction": said, "label": np.where(rng.random(n) < right, said, "cow")},
            {"x": x, "prediction": 3 * x, "target": 3 * x + bias + rng.normal(0, 1, n)},
        )

    before, after = rows(1, 4000, 0.9, 0.0), rows(2, 2000, 0.7, 0.4)
    told = []
    for k in range(2):
        one, other = write(tmp_path / f"r{k}.csv", before[k]), write(tmp_path / f"c{k}.csv", after[k])
        told.append(drift(one, other)[1]["chunks"][0])
    assert {each["what"] for each in told[0]["groups"]} == {"were predicted rightly"}
    assert "concept" in told[0]["moved"]
    assert "concept" in told[1]["moved"]
    assert "turned out above what was predicted" in told[1]["moved_said"][-1]
