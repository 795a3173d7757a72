"""Rows as SQL: loaded into a real database they are what they were, whatever the texts in them."""

from __future__ import annotations

import sqlite3

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tocsin.store.sql_text import ROWS_A_STATEMENT, literal, sql_chunks

SCHEMA = pa.schema(
    [("time", pa.string()), ("text", pa.string()), ("n", pa.int64()), ("x", pa.float64()), ("ok", pa.bool_())]
)


@given(st.lists(st.fixed_dictionaries({
    "time": st.just("2026-11-22T00:00:00.000000001Z"),
    "text": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    "n": st.integers(-(2**63), 2**63 - 1), "x": st.floats(allow_nan=False, allow_infinity=False), "ok": st.booleans(),
}), max_size=20))  # fmt: skip
def test_what_goes_in_comes_out(rows):
    with sqlite3.connect(":memory:") as base:
        base.executescript(b"".join(sql_chunks("t", SCHEMA, rows)).decode())
        found = base.execute('SELECT "time", "text", "n", "x", "ok" FROM t').fetchall()
    assert found == [(row["time"], row["text"], row["n"], row["x"], int(row["ok"])) for row in rows]


def test_a_name_or_text_ends_no_statement():
    evil = "x'); DROP TABLE t; --"
    schema = pa.schema([('we"ird', pa.string())])
    with sqlite3.connect(":memory:") as base:
        base.executescript(b"".join(sql_chunks('t"; DROP', schema, [{'we"ird': evil}])).decode())
        assert base.execute('SELECT * FROM "t""; DROP"').fetchall() == [(evil,)]


def test_many_rows_are_several_statements_and_odd_values_are_null():
    rows = [{"n": n, "x": float("nan") if n % 2 else float("inf")} for n in range(2 * ROWS_A_STATEMENT + 1)]
    text = b"".join(sql_chunks("t", SCHEMA, rows)).decode()
    assert text.count("INSERT INTO") == 3
    with sqlite3.connect(":memory:") as base:
        base.executescript(text)
        assert base.execute("SELECT count(*), count(x), max(n) FROM t").fetchone() == (len(rows), 0, len(rows) - 1)
    assert literal("a\x00b") == "'ab'"
