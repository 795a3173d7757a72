"""`tocsin diagnose`: made systems with a known culprit, what the command writes, and what it says of bad tables."""

import json

import pytest
from typer.testing import CliRunner

from causes_world import PAY_FAULTS, Pay, Tables, Video
from tocsin.app.diagnose.run import diagnose_folder
from tocsin.cli.main import app
from tocsin.model.errors import BadInput


def places(world, faults, folder, *names, seed, **more):
    """Rank of each culprit, 0 for none."""
    found = []
    for number, (fault, culprit) in enumerate(faults):
        made = world(fault, culprit, seed + number, **more)
        one = folder / f"{number}"
        one.mkdir()
        ranked = [
            cause.entity for cause in diagnose_folder(made.tables.write(one, *names), str(made.at)).verdict.causes
        ]
        found.append(ranked.index(culprit) + 1 if culprit in ranked else 0)
    return found


def test_requests_lines_and_metrics_name_the_culprit_and_not_who_waits_for_it(tmp_path):
    faults = [("slow", "search"), ("link", "blobs"), ("error", "keys"), ("skip", "manifest")]
    got = places(Video, faults, tmp_path, seed=7000)
    assert got.count(1) >= 3
    assert all(1 <= place <= 3 for place in got)


def test_metrics_alone_name_the_culprit(tmp_path):
    got = places(Pay, PAY_FAULTS[::2], tmp_path, seed=7100, edges=False)
    assert got.count(1) >= 5
    assert all(1 <= place <= 3 for place in got)


def test_metrics_with_edges_tell_who_waits_for_whom(tmp_path):
    waits = [each for each in PAY_FAULTS if each[0] in ("delay", "loss")]
    got = places(Pay, waits, tmp_path, seed=7200)
    assert got == [1] * len(waits)


@pytest.fixture(scope="module")
def slow_keys(tmp_path_factory):
    made = Video("slow", "keys", 31)
    made.tables.events = [
        [made.at - 90, "keys", "deploy", "keys 2.4.1"],
        [made.at - 20, "thumbs", "config", "thumbs cache 64 MB"],
        [made.at + 200, "drm", "deploy", "drm 9 rolled back"],
    ]
    folder = made.tables.write(tmp_path_factory.mktemp("slow"))
    return made, folder


def test_a_change_on_the_culprit_is_the_cause_and_one_elsewhere_or_later_is_not(slow_keys):
    made, folder = slow_keys
    found = diagnose_folder(folder, str(made.at))
    best = found.verdict.causes[0]
    assert (best.entity, best.kind, best.what) == ("keys", "deploy", "keys 2.4.1")
    assert found.verdict.above_bar
    assert any("explained by it" in each for each in best.evidence)
    assert any("1 min 30 s before the onset" in each for each in best.evidence)
    others = {cause.entity: cause for cause in found.verdict.causes[1:]}
    assert others["thumbs"].score < best.score / 2
    [late] = [cause for cause in found.verdict.causes if cause.what == "drm 9 rolled back"]
    assert late.score == 0
    assert late.refuted_by[0] == "it came 3 min 20 s after the onset"


def test_the_command_writes_the_contract(slow_keys):
    made, folder = slow_keys
    ran = CliRunner().invoke(app, ["diagnose", str(folder), "--at", str(made.at), "--top", "2"])
    assert ran.exit_code == 0
    said = json.loads(ran.stdout)
    assert said["symptom"]["given"] is True
    assert said["symptom"]["what"].startswith("requests take ")
    assert len(said["causes"]) == 2
    assert set(said["causes"][0]) == {"entity", "kind", "what", "score", "evidence", "refuted_by"}
    assert all(cause["refuted_by"] for cause in said["causes"])
    assert said["answer"].startswith("keys: keys 2.4.1 (deploy, score 0.9")
    again = CliRunner().invoke(app, ["diagnose", str(folder), "--at", str(made.at), "--top", "2", "--json"])
    assert again.stdout == ran.stdout


def test_the_onset_is_found_where_nobody_names_it(slow_keys):
    made, folder = slow_keys
    found = diagnose_folder(folder)
    assert abs(found.scene.at + found.scene.origin_ns / 1e9 - made.at) < 120
    assert found.symptom["given"] is False
    assert found.verdict.causes[0].entity == "keys"


def test_where_nothing_happened_no_cause_is_above_the_bar(tmp_path):
    made = Pay("cpu", "nobody", 5)
    found = diagnose_folder(made.tables.write(tmp_path), str(made.at))
    assert not found.verdict.above_bar
    assert found.answer.startswith("no cause")


def test_durations_in_another_unit_are_seen_by_how_spans_nest(tmp_path):
    made = Video("slow", "keys", 32)
    for row in made.tables.spans:
        row[6] = f"{float(row[6]) * 1e6:.0f}"
    found = diagnose_folder(made.tables.write(tmp_path, "spans"), str(made.at))
    assert found.verdict.causes[0].entity == "keys"
    assert any("microseconds" in note for note in found.notes)


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        ("metrics", ["yesterday", "a", "cpu", "1"], "metrics.csv:4: column 'time': 'yesterday' is not a time"),
        ("metrics", ["1767225690", "a", "cpu", "lots"], "metrics.csv:4: column 'value': 'lots' is not a number"),
        ("metrics", ["1767225690", "", "cpu", "1"], "metrics.csv:4: column 'entity': the cell is empty"),
        ("spans", ["t", "s", "", "a", "op", "1767225690", "-1", "OK"], "spans.csv:2: column 'duration'"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, table, row, said):
    tables = Tables(metrics=[[1767225600 + k, "a", "cpu", 0.1] for k in range(2)])
    getattr(tables, table).append(row)
    with pytest.raises(BadInput) as told:
        diagnose_folder(tables.write(tmp_path), "1767225601")
    assert said in str(told.value)


def test_folders_that_hold_nothing_to_look_at_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"has no metrics\.csv"):
        diagnose_folder(tmp_path)
    with pytest.raises(BadInput, match="is no directory"):
        diagnose_folder(tmp_path / "nowhere")
    (tmp_path / "metrics.csv").write_text("time,entity,metrik,value\n1767225600,a,cpu,1\n")
    with pytest.raises(BadInput, match=r"metrics\.csv:1: no column 'metric'.*did you mean 'metrik'"):
        diagnose_folder(tmp_path)
    (tmp_path / "metrics.csv").write_text("time,entity,metric,value\n1767225600,a,cpu,1\n")
    with pytest.raises(BadInput, match="lies outside of what was measured"):
        diagnose_folder(tmp_path, "2020-01-01T00:00:00Z")
