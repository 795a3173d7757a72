"""What stays the same in a line: numbers, ids and values go, words and keys stay, whatever the bytes are."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.stats.log_mask import HEAD_BYTES, masked, shapes


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("took 12.5 ms", "took <*> ms"),
        ("id 4516be97-7fbe-4f03-9612-a08c05b60e61 of deadbeefdeadbeef", "id <*> of <*>"),
        ("hosts 10.0.0.1, 10.0.0.2, 10.0.0.3 down", "hosts <*> down"),
        ("1 2 3 4 5", "<*>"),
        ("", ""),
        ("user=bob ok", "user=<*> ok"),
        ("a==b x= y=[1 2]", "a=<*> x= y=[<*>]"),
        ("path='/a b/c' done", "path=<*> done"),
        ("at Sat May 04 08:15:00 CST 2013", "at <*>:<*>:<*> CST <*>"),
        ('{"level":"error","msg":"no route to 10.1.1.1","peer":"db","n":4}',
         '{"level":"error","msg":"no route to <*>","peer":"<*>","n":<*>}'),
        ('{"msg":"said \\"no\\" to 7","who":"x"}', '{"msg":"said "no" to <*>","who":"<*>"}'),
        ("\x1b[31mERROR\x1b[0m it can't be", "ERROR it can't be"),
        ("\x1b[1;32", ""),
        ("bytes \ufffd\ufffdabc and na\u00efve \u6771\u4eac", "bytes <*> and na\u00efve \u6771\u4eac"),
        ('an open " quote of 5', 'an open " quote of <*>'),
        ("said \\", "said \\"),
        ("java.lang.Error: 12 left\n\tat shop.Pay(Pay.java:31)\n\tat b.C(D.java:9)\n\tat never.Read(Me.java:1)",
         "java.lang.Error: <*> left at shop.Pay(Pay.java:<*>) at b.C(D.java:<*>)"),
        ("x" * 41, "<*>"),
        ("order saved", "order saved"),
    ],
)  # fmt: skip
def test_what_varies_is_masked(line, template):
    assert masked(line) == template


def test_a_line_of_a_megabyte_is_known_by_its_head():
    head = "payload " + "abc " * 400
    assert masked(head + "x" * 2**20) == masked(head)
    assert len(masked("1/" * 2**19)) <= 3 * HEAD_BYTES


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=60) | st.from_regex(r"[a-z0-9 =\"\\{}:\x1b\[\n]{0,60}"), min_size=1, max_size=6))
def test_lines_have_one_shape_exactly_if_their_masked_texts_are_one(lines):
    texts = [masked(line.encode("utf-8", "replace").decode()) for line in lines]
    found = shapes(pa.array([line.encode("utf-8", "replace").decode() for line in lines])).tolist()
    assert [[a == b for b in texts] for a in texts] == [[a == b for b in found] for a in found]
    assert min(found) >= 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_no_bytes_break_it(raw):
    text = raw.decode("utf-8", "replace")
    assert masked(text) == masked(text)
    array = pa.array([text, "after", text])
    first, after, last = shapes(array).tolist()
    assert (first, after) == (last, shapes(pa.array(["after"])).tolist()[0])
    assert shapes(array.slice(1, 1)).tolist() == [after]


def test_nothing_is_the_empty_line():
    assert len(set(shapes(pa.array([None, ""])).tolist())) == 1
    assert shapes(pa.array([], pa.string())).tolist() == []


def test_values_of_json_go_and_keys_stay():
    lines = [json.dumps({"msg": "user signed in", "user": name, "took_ms": n}) for n, name in enumerate(["al", "b o"])]
    assert len(set(shapes(pa.array(lines)).tolist())) == 1
    other = json.dumps({"msg": "user signed out", "user": "al", "took_ms": 1})
    assert shapes(pa.array([other])).tolist() != shapes(pa.array(lines[:1])).tolist()
