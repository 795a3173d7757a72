"""Templates: words that vary are found, words that tell good from bad stay; bounded, and the same after a restart."""

import itertools
import json
import random

import pytest

from tocsin.derive import templates
from tocsin.derive.templates import OTHER, Template, Templates

NAMES = [f"{a}{b}" for a, b in itertools.product(("al", "bo", "cy", "di"), ("fa", "go", "hi"))]


def learned(lines, known=None):
    found = Templates() if known is None else known
    for at, line in enumerate(lines, 1):
        found.learn(hash_of(line), line, at)
    return found


def hash_of(line):
    return int(Template.of(line).id, 16) >> 1


def texts(found, lines):
    return {found.of(hash_of(line)).text for line in lines}


def test_a_word_of_which_many_were_seen_is_a_variable():
    lines = [f"user {name} logged in" for name in NAMES]
    assert texts(learned(lines[:8]), lines[:8]) == set(lines[:8])
    assert texts(learned(lines), lines) == {"user <*> logged in"}


def test_two_words_that_vary_are_both_found():
    lines = [f"copy from {a} to {b} done" for a in NAMES for b in NAMES]
    assert texts(learned(lines), lines) == {"copy from <*> to <*> done"}


def test_good_and_bad_are_never_one():
    lines = ["order <*> saved", "order <*> failed", "order <*> refused"]
    found = learned(lines + [f"user {name} logged in" for name in NAMES])
    assert texts(found, lines) == set(lines)


def test_lines_of_one_word_are_themselves():
    assert len(texts(learned(NAMES), NAMES)) == len(NAMES)


def test_ids_are_the_hash_of_the_text_and_the_same_in_any_order():
    lines = [f"user {name} logged in" for name in NAMES] + [f"gone from {name}" for name in NAMES] + ["all well"]
    for seed in range(5):
        mixed = random.Random(seed).sample(lines, len(lines))
        found = learned(mixed)
        assert {found.of(hash_of(line)) for line in lines} == {
            Template.of(text) for text in ("user <*> logged in", "gone from <*>", "all well")
        }


def test_news_are_told_once_and_again_when_a_template_widens():
    found = learned([f"user {name} logged in" for name in NAMES[:8]])
    assert len(found.news()) == 8
    assert found.news() == []
    learned([f"user {NAMES[8]} logged in"], found)
    assert {template.text for _, template in found.news()} == {"user <*> logged in"}


def test_a_variation_of_what_is_known_is_not_alone():
    lines = [f"user {name} logged in" for name in NAMES] + ["disk is full"]
    found = learned(lines)
    assert [found.alone(hash_of(line)) for line in lines] == [*[True] * 3, *[False] * (len(NAMES) - 3), True]


def test_room_is_bounded_and_what_was_left_out_is_counted(monkeypatch):
    monkeypatch.setattr(templates, "MOST", 40)
    found = Templates()
    for k in range(60):
        found.learn(k, f"a{k} b{k} c{k}", 1)
    assert (len(found), found.left_out, found.of(59)) == (40, 20, OTHER)
    for k in range(100, 160):
        found.learn(k, f"a{k} b{k} c{k}", k)
    assert len(found) <= 40
    assert found.left_out == 20
    assert found.of(159).text == "a159 b159 c159"
    assert len(found._variants) <= 3 * 40


@pytest.mark.parametrize("cut", [0, 3, 9, 14])
def test_a_restart_changes_nothing(cut):
    lines = [f"copy from {a} to {b} done" for a, b in zip(NAMES, reversed(NAMES), strict=True)]
    lines += [f"user {name} logged in" for name in NAMES]
    whole = learned(lines)
    half = learned(lines[:cut])
    again = Templates.restored(json.loads(json.dumps(half.snapshot())))
    for at, line in enumerate(lines[cut:], cut + 1):
        again.learn(hash_of(line), line, at)
    assert again.snapshot() == whole.snapshot()
    assert again._variants == whole._variants
