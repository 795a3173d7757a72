"""The reading of YAML: values, places, hostile files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.spec.problem import BadSpec
from tocsin.spec.tree import MAX_NODES, parse


def test_texts_that_yaml_1_1_would_turn_into_something_else():
    text = "[no, on, yes, 12:30, 2026-01-02, 1_000, 0o17, '5', ~, null, .5, -3, 1e3, .inf]"
    assert parse(text, "t").plain() == [
        "no", "on", "yes", "12:30", "2026-01-02", "1_000", 15, "5", None, None, 0.5, -3, 1000.0, float("inf"),
    ]  # fmt: skip


def test_places_count_from_one():
    root = parse("a:\n  b:   c\n", "t")
    node = root.child("a").child("b")
    assert (node.line, node.column, root.child("a").keys["b"]) == (2, 8, (2, 3))


def test_merge_keys_and_aliases():
    text = "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nlist: [*b]\n"
    assert parse(text, "t").plain() == {"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}, "list": [{"x": 1, "y": 2}]}


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(BadSpec, match=f"more than {MAX_NODES} values once aliases are followed"):
        parse("\n".join(lines), "t")


def test_a_chain_of_aliases_can_not_get_deep():
    def nested(core: str) -> str:
        return "[" * 40 + core + "]" * 40

    lines = ["- &a0 " + nested("x")] + [f"- &a{n} " + nested(f"*a{n - 1}") for n in range(1, 60)]
    with pytest.raises(BadSpec, match="nested deeper than 64 levels once aliases are followed"):
        parse("\n".join(lines), "t")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 5_000, "- " * 5_000 + "x"])
def test_depth_is_bounded(text):
    with pytest.raises(BadSpec, match="nested deeper than 64 levels"):
        parse(text, "t")


def test_an_alias_of_what_is_around_it():
    with pytest.raises(BadSpec, match=r"t:1:8: the alias `\*a` contains itself"):
        parse("a: &a [ *a ]".replace("[ ", "["), "t")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab :#-{}[]\"'\\\n\té", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(PLAIN)
def test_every_json_document_reads_as_itself(value):
    assert parse(json.dumps(value), "t").plain() == value


def outcome(text: str) -> list[tuple[int, int]]:
    try:
        return [(node.line, node.column) for _, node in parse(text, "t").walk()]
    except BadSpec as error:
        return [(problem.line, problem.column) for problem in error.problems]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_at_a_place(text):
    places = outcome(text)
    assert places
    assert all(line >= 1 and column >= 1 for line, column in places)
