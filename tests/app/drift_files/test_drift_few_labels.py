"""Truth of some rows only: what is realised is that of all rows, with intervals that hold it, and coverage is shown."""

import numpy as np
import pytest

from drift_world import model_rows, write


def _some(rows, share, seed=7):
    """Truth by id of rows drawn at random."""
    chosen = np.random.default_rng(seed).random(len(rows["id"])) < share
    return {"id": rows["id"][chosen], "target": rows["target"][chosen]}


def _without_truth(rows):
    return {name: values for name, values in rows.items() if name != "target"}


@pytest.fixture
def pair(tmp_path):
    rows = model_rows(2, 20_000)
    return write(tmp_path / "r.parquet", model_rows(1, 6000)), write(tmp_path / "c.parquet", _without_truth(rows)), rows


def test_intervals_hold_what_all_rows_would_show(pair, drift, tmp_path):
    reference, current, rows = pair
    truth = write(tmp_path / "t.parquet", _some(rows, 0.1))
    everything = write(tmp_path / "all.parquet", _some(rows, 2.0))
    few, whole = (
        drift(reference, current, "--truth", each, "--id", "id", "--chunk", "1000")[1]["chunks"]
        for each in (truth, everything)
    )
    held, narrower = 0, 0
    for one, other in zip(few, whole, strict=True):
        low, high = one["realised"]["interval"]["accuracy"]
        held += low <= other["realised"]["accuracy"] <= high
        worth = one["realised"]["few_labels"]["worth_labels"]["accuracy"]
        assert worth >= one["realised"]["n"]
        narrower += worth > 1.02 * one["realised"]["n"]
        assert one["realised"]["coverage"] == pytest.approx(0.1, abs=0.04)
        assert "few_labels" not in other["realised"]
    assert held >= 18
    assert narrower >= 10, "a score that tells something is worth labels"
    assert [chunk["alarm"] for chunk in few] == [False] * 20


def test_coverage_is_seen_in_the_terminal_and_on_the_page(pair, drift, tmp_path):
    reference, current, rows = pair
    truth, page = write(tmp_path / "t.parquet", _some(rows, 0.1)), tmp_path / "page.html"
    asked = ("--truth", truth, "--id", "id", "--chunk", "5000", "--html", page)
    result, _, said = drift(reference, current, *asked, as_json=False)
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][5:8] == ["realised", "its interval", "truth of"]
    shares = [float(line[7].removesuffix(" %")) for line in lines[1:5]]
    assert all(8 < share < 12 for share in shares)
    text = page.read_text(encoding="utf-8")
    assert text.count("truth of ") >= 4
    assert text.count('class="whisker"') == 4
    assert "unlike" not in said


def test_a_fall_is_found_with_a_seventh_of_the_truth(pair, drift, tmp_path):
    reference, current, rows = pair
    turned = (np.arange(20_000) % 4 == 0) & (np.arange(20_000) >= 10_000)
    truth = _some({**rows, "target": np.where(turned, 1 - rows["target"], rows["target"])}, 0.15)
    asked = ("--truth", write(tmp_path / "t.parquet", truth), "--id", "id", "--chunk", "2000")
    _, shown, _ = drift(reference, current, *asked)
    assert [chunk["performance_alarm"] for chunk in shown["chunks"]] == [False] * 5 + [True] * 5
    assert shown["chunks"][9]["reasons"][0].startswith("realised ")


def test_truth_of_the_sure_rows_only_is_said(pair, drift, tmp_path):
    reference, current, rows = pair
    sure = np.abs(rows["score"] - 0.5) > 0.4
    truth = write(tmp_path / "t.parquet", {"id": rows["id"][sure], "target": rows["target"][sure]})
    _, shown, said = drift(reference, current, "--truth", truth, "--id", "id")
    realised = shown["chunks"][0]["realised"]
    assert realised["few_labels"]["unlike"].startswith("rows with truth have an expected accuracy of 0.9")
    assert "truth came for rows unlike the others in 1 chunks, first of all in chunk 0" in said
    everything = float((rows["prediction"] == rows["target"]).mean())
    plain = float((rows["prediction"] == rows["target"])[sure].mean())
    assert abs(realised["accuracy"] - everything) < abs(plain - everything) / 3, "the score makes up for most of it"


def test_numbers_have_few_labels_too(tmp_path, drift):
    def rows(seed, n):
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 3, n)
        return {"id": np.arange(n), "x": x, "prediction": 10 * x, "target": 10 * x + rng.normal(0, 0.5 + x, n)}

    reference, current = rows(1, 6000), rows(2, 4000)
    one, other = write(tmp_path / "r.parquet", reference), write(tmp_path / "c.parquet", _without_truth(current))
    truth = write(tmp_path / "t.parquet", _some(current, 0.1))
    _, shown, _ = drift(one, other, "--truth", truth, "--id", "id")
    realised = shown["chunks"][0]["realised"]
    gap = np.abs(current["target"] - current["prediction"])
    low, high = realised["interval"]["mae"]
    assert low < gap.mean() < high
    low, high = realised["interval"]["rmse"]
    assert low < np.sqrt((gap**2).mean()) < high
    assert realised["few_labels"]["worth_labels"]["mae"] > 1.1 * realised["n"]


def test_one_label_corrects_no_estimate(pair, drift, tmp_path):
    reference, current, rows = pair
    truth = write(tmp_path / "t.parquet", {"id": rows["id"][:1], "target": 1 - rows["prediction"][:1]})
    _, shown, _ = drift(reference, current, "--truth", truth, "--id", "id", "--chunk", "5000")
    assert shown["chunks"][0]["realised"]["accuracy"] == 0.0
    assert shown["chunks"][0]["realised"]["n"] == 1
    assert shown["estimate_error"] == {}
    assert not any(chunk["alarm"] for chunk in shown["chunks"])
