"""`tocsin score`: one row out for each row in, judged by the rows before it, and plain words about bad files."""

from __future__ import annotations

import csv
import sys
from subprocess import CompletedProcess

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tocsin.cli.main import main

MINUTE = 60
START = 1_760_000_000
ROWS = 260


@pytest.fixture
def tocsin(tmp_path, monkeypatch, capfd):
    def run(*args):
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            command = ["tocsin", *map(str, args)]
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return CompletedProcess(command, int(ended.value.code or 0), said.out, said.err)

    return run


def life(seed, rows=ROWS):
    """Noise about 50, with one spike."""
    values = 50.0 + np.random.default_rng(seed).normal(size=rows)
    values[rows - 20] = 90.0
    return values


def write(path, **columns):
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def stamps(rows=ROWS):
    return [START + MINUTE * k for k in range(rows)]


def scored(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def column(rows, name):
    return np.array([float(row[name] or "nan") for row in rows])


def test_one_row_out_for_each_row_in(tmp_path, tocsin):
    write(tmp_path / "cpu.csv", when=stamps(), load=life(1))
    done = tocsin("score", "cpu.csv", "--time", "when", "--out", "verdicts")
    assert (done.returncode, done.stdout) == (0, "")
    rows = scored(tmp_path / "verdicts/cpu.csv")
    assert list(rows[0]) == ["time", "score", "p_value", "alarm", "lower", "upper"]
    assert [int(row["time"]) for row in rows] == stamps()
    assert np.flatnonzero(column(rows, "alarm")).tolist() == [ROWS - 20]
    assert int(np.argmax(column(rows, "score"))) == ROWS - 20
    assert (rows[0]["score"], rows[0]["p_value"]) == ("0", "1")
    assert rows[0]["lower"] == ""
    late = slice(100, ROWS - 20)
    value = life(1)
    within = (column(rows, "lower") <= value) & (value <= column(rows, "upper"))
    assert within[late].all()
    assert ((column(rows, "p_value") > 0) & (column(rows, "p_value") <= 1)).all()


def test_a_prefix_of_the_rows_gives_a_prefix_of_the_verdicts(tmp_path, tocsin):
    write(tmp_path / "whole.csv", when=stamps(), a=life(1), b=life(2))
    write(tmp_path / "part.csv", when=stamps(150), a=life(1)[:150], b=life(2)[:150])
    assert tocsin("score", "whole.csv", "part.csv", "--time", "when", "--out", "o", "--univariate").returncode == 0
    whole, part = ((tmp_path / "o" / name).read_text().splitlines() for name in ("whole.csv", "part.csv"))
    assert whole[: len(part)] == part


def test_the_order_of_columns_and_series_means_nothing(tmp_path, tocsin):
    write(tmp_path / "ab.csv", when=stamps(), a=life(1), b=life(2))
    write(tmp_path / "ba.csv", b=life(2), when=stamps(), a=life(1))
    names = [f"host-{k % 3}" for k in range(3 * ROWS)]
    values = np.stack([life(k) for k in range(3)], axis=1).ravel()
    write(tmp_path / "long.csv", when=np.repeat(stamps(), 3), host=names, load=values)
    order = np.argsort(names, kind="stable")
    write(
        tmp_path / "sorted.csv",
        when=np.repeat(stamps(), 3)[order],
        host=np.array(names)[order],
        load=values[order],
    )
    assert tocsin("score", "ab.csv", "ba.csv", "--time", "when", "--out", "o", "--univariate").returncode == 0
    ab, ba = (scored(tmp_path / "o" / name) for name in ("ab.csv", "ba.csv"))
    assert [dict(sorted(row.items())) for row in ab] == [dict(sorted(row.items())) for row in ba]
    assert tocsin("score", "long.csv", "sorted.csv", "--time", "when", "--series", "host", "--out", "o").returncode == 0
    key = lambda row: (row["host"], row["time"])  # noqa: E731
    mixed, by_host = (scored(tmp_path / "o" / name) for name in ("long.csv", "sorted.csv"))
    assert sorted(mixed, key=key) == by_host
    assert list(mixed[0]) == ["time", "host", "score", "p_value", "alarm", "lower", "upper"]


def test_a_series_is_scored_alike_alone_and_among_others(tmp_path, tocsin):
    write(tmp_path / "a.csv", when=stamps(), a=life(1))
    write(
        tmp_path / "two.csv",
        when=np.repeat(stamps(), 2),
        name=["a", "b"] * ROWS,
        load=np.stack([life(1), life(2)], axis=1).ravel(),
    )
    assert tocsin("score", "a.csv", "--time", "when", "--out", "o").returncode == 0
    assert tocsin("score", "two.csv", "--time", "when", "--series", "name", "--out", "o").returncode == 0
    mine = [row for row in scored(tmp_path / "o/two.csv") if row.pop("name") == "a"]
    assert mine == scored(tmp_path / "o/a.csv")


def test_parquet_in_and_out_says_the_same(tmp_path, tocsin):
    write(tmp_path / "cpu.csv", when=stamps(), load=life(1))
    table = pa_csv.read_csv(tmp_path / "cpu.csv")
    times = pa.array(np.array(stamps()) * 1000, pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({"when": times, "load": table.column("load")}), tmp_path / "pq.parquet")
    assert tocsin("score", "cpu.csv", "--time", "when", "--out", "o").returncode == 0
    assert tocsin("score", "pq.parquet", "--time", "when", "--out", "o", "--format", "parquet").returncode == 0
    got = pq.read_table(tmp_path / "o/pq.parquet")
    np.testing.assert_array_equal(got["score"].to_numpy(), column(scored(tmp_path / "o/cpu.csv"), "score"))
    assert got["time"].type == pa.timestamp("ms", "UTC")


def test_no_alarm_before_the_training_ends(tmp_path, tocsin):
    write(tmp_path / "cpu.csv", when=stamps(), load=life(1))
    until = START + MINUTE * (ROWS - 10)
    done = tocsin("score", "cpu.csv", "--time", "when", "--train-until", until, "--out", "o", "--json")
    assert '"alarms": 0' in done.stdout
    assert len(scored(tmp_path / "o/cpu.csv")) == ROWS


def test_gaps_are_no_news(tmp_path, tocsin):
    values = [*map(str, life(1))]
    values[100:103] = ["", "NaN", "null"]
    write(tmp_path / "cpu.csv", when=stamps(), load=values)
    assert tocsin("score", "cpu.csv", "--time", "when", "--out", "o").returncode == 0
    rows = scored(tmp_path / "o/cpu.csv")[100:103]
    assert [(row["score"], row["p_value"], row["alarm"]) for row in rows] == [("0", "1", "0")] * 3


BAD = {
    "missing column": ("when,load\n1,2\n", ":1: no column 'tim' for --time: ", ["--time", "tim"]),
    "unsorted": ("when,load\n60,1\n\n180,1\n120,1\n", ":5: the time 1970-01-01T00:02:00", []),
    "twice": ("when,load\n60,1\n60,1\n", ":3: the time 1970-01-01T00:01:00.000000000Z comes twice; drop", []),
    "text": ("when,load\n60,1\n120,broken\n", ":3: column 'load': 'broken' is not a number; write one", []),
    "text named": ("when,load\n60,ok\n", ":2: column 'load': 'ok' is not a number", ["--value", "load"]),
    "no time": ("when,load\n60,1\nsoon,1\n", ":3: column 'when': 'soon' is not a time; write RFC 3339", []),
    "empty time": ("when,load\n60,1\n,1\n", ":3: column 'when': the cell is empty", []),
    "ragged": ("when,load\n60,1\n120,1,7\n", ":3: 3 cells where the first line names 2 columns", []),
    "empty": ("", ":1: is empty; the first line must name the columns", []),
    "no rows": ("when,load\n", ":2: there are no rows", []),
    "no numbers": ("when,load\n60,a\n", ":1: no column holds numbers beside 'when'", []),
    "same names": ("when,a,a\n60,1,1\n", ":1: two columns are called 'a'", []),
    "long with two": ("when,a,b,c\n60,x,1,1\n", ":1: --series means one value a row", ["--series", "a"]),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path, tocsin, name):
    text, message, options = BAD[name]
    (tmp_path / "bad.csv").write_text(text)
    done = tocsin("score", "bad.csv", *(options if "--time" in options else ["--time", "when", *options]), "--out", "o")
    assert done.returncode == 2
    assert f"bad.csv{message}" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


def test_a_clock_set_back_in_a_long_file_is_said_and_lived_with(tmp_path, tocsin):
    times = np.array(stamps(2000))
    times[1500:] -= 10 * MINUTE
    write(tmp_path / "local.csv", when=times, load=life(1, 2000))
    done = tocsin("score", "local.csv", "--time", "when", "--out", "o")
    assert done.returncode == 0
    assert "local.csv:1502: the time " in done.stderr
    assert "1 of 2000 rows" in done.stderr
    assert len(scored(tmp_path / "o/local.csv")) == 2000


def test_two_files_of_one_name_are_refused(tmp_path, tocsin):
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "cpu.csv", when=stamps(3), load=[1, 2, 3])
    done = tocsin("score", "x/cpu.csv", "y/cpu.csv", "--time", "when", "--out", "o")
    assert done.returncode == 2
    assert "would both be written to o/cpu.csv" in done.stderr


def test_the_file_itself_is_not_overwritten(tmp_path, tocsin):
    write(tmp_path / "cpu.csv", when=stamps(3), load=[1, 2, 3])
    assert tocsin("score", "cpu.csv", "--time", "when", "--out", ".").returncode == 2
    assert (tmp_path / "cpu.csv").read_text().startswith("when,load")


def together(seed, rows=ROWS):
    """Three signals that move as one, of which the third leaves the others for a while."""
    rng = np.random.default_rng(seed)
    common = np.cumsum(rng.normal(size=rows)) * 0.2
    found = np.stack([common + rng.normal(size=rows) * 0.1 + k for k in range(3)], axis=1)
    found[rows - 40 : rows - 20, 2] += 8.0
    return found


def test_a_wide_file_is_one_entity_and_says_what_each_signal_gave(tmp_path, tocsin):
    values = together(1)
    write(tmp_path / "host.csv", when=stamps(), cpu=values[:, 0], memory=values[:, 1], disk=values[:, 2])
    assert tocsin("score", "host.csv", "--time", "when", "--out", "o").returncode == 0
    rows = scored(tmp_path / "o/host.csv")
    given = [f"contribution_{name}" for name in ("cpu", "memory", "disk")]
    assert list(rows[0]) == ["time", "score", "p_value", "alarm", *given]
    assert len(rows) == ROWS
    odd = slice(ROWS - 38, ROWS - 20)
    assert column(rows, "score")[odd].mean() > 2.0 * column(rows, "score")[100 : ROWS - 40].mean()
    assert column(rows, given[2])[odd].mean() > column(rows, given[0])[odd].mean()
    write(tmp_path / "part.csv", when=stamps(150), cpu=values[:150, 0], memory=values[:150, 1], disk=values[:150, 2])
    assert tocsin("score", "part.csv", "--time", "when", "--out", "o").returncode == 0
    part = (tmp_path / "o/part.csv").read_text().splitlines()
    assert (tmp_path / "o/host.csv").read_text().splitlines()[: len(part)] == part


def test_entities_of_a_wide_file_are_told_apart(tmp_path, tocsin):
    values = together(2)
    write(tmp_path / "one.csv", when=stamps(), a=values[:, 0], b=values[:, 1], c=values[:, 2])
    both = {name: np.repeat(values[:, k], 2) for k, name in enumerate("abc")}
    write(tmp_path / "two.csv", when=np.repeat(stamps(), 2), host=["x", "y"] * ROWS, **both)
    assert tocsin("score", "one.csv", "--time", "when", "--out", "o").returncode == 0
    assert tocsin("score", "two.csv", "--time", "when", "--entity", "host", "--out", "o").returncode == 0
    mine = [row for row in scored(tmp_path / "o/two.csv") if row.pop("host") == "y"]
    assert mine == scored(tmp_path / "o/one.csv")
