"""Templates grouped by a sentence model where one is configured and works, by words where it is not or does not."""

from __future__ import annotations

import threading

import pytest

from sentence_models import lookup, one_meaning, words, write
from tocsin.app import meaning
from tocsin.app.meaning import AGAIN_S, WAIT_S, Meaning
from tocsin.app.models import model_problems
from tocsin.app.sentence_model import SentenceModel
from tocsin.model.errors import BadConfig
from tocsin.spec.load import load_config
from tocsin.spec.problem import BadSpec
from tocsin.stats.alike import HASHED, by_words

CONFIG = """\
logs:
  meaning:
    model: models/minilm
    near: 0.9
"""
SAID = [
    "peer <*> refused handshake",
    "user <*> signed in",
    "<*>: remote host rejected negotiation",
    "volume <*> exhausted",
    "disk <*> full",
    "<*>",
    "<*>",
]
SAME = [
    ("refused", "rejected"),
    ("handshake", "negotiation"),
    ("peer", "remote", "host"),
    ("volume", "disk"),
    ("exhausted", "full"),
]
BY_MEANING = [0, 1, 0, 3, 3, 5, 6]


@pytest.fixture
def place(tmp_path):
    tokenizer = words(SAID)
    write(tmp_path / "models" / "minilm", lookup(one_meaning(tokenizer, SAME)), tokenizer)
    return tmp_path


class Seconds:
    """A clock that goes on by `step` at each look."""

    def __init__(self, step=0.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def configured(place, text=CONFIG):
    (place / "t.yaml").write_text(text)
    return load_config(place / "t.yaml", {}).config


def groups_by(place, text=CONFIG, seconds=None):
    return Meaning(configured(place, text), place / "t.yaml", seconds=seconds or Seconds())


def test_synonyms_are_grouped_that_words_keep_apart(place):
    assert by_words(SAID).first == [0, 1, 2, 3, 4, 5, 6]
    found = groups_by(place).groups(SAID)
    assert found == (BY_MEANING, "model minilm", "")
    assert groups_by(place).groups(SAID) == found
    assert groups_by(place).groups([]) == ([], "model minilm", "")


def test_how_near_is_near_is_configured(place):
    close = ["disk full", "disk full signed"]
    assert groups_by(place).groups(close).first == [0, 1]
    assert groups_by(place, CONFIG.replace("0.9", "0.7")).groups(close).first == [0, 0]


def test_without_a_model_it_goes_by_words(place):
    assert groups_by(place, "{}\n").groups(SAID) == by_words(SAID)


def test_a_changed_configuration_is_taken_up(place):
    now = groups_by(place)
    assert now.groups(SAID).by == "model minilm"
    now.adopt(configured(place, "{}\n"))
    assert now.groups(SAID) == by_words(SAID)
    write(place / "models" / "other", lookup(one_meaning(words(SAID), SAME)), words(SAID))
    now.adopt(configured(place, CONFIG.replace("minilm", "other")))
    assert now.groups(SAID) == (BY_MEANING, "model other", "")


def test_a_model_that_is_gone_or_damaged_leaves_words_and_comes_back(place):
    now, path = groups_by(place), place / "models" / "minilm" / "model.onnx"
    assert now.groups(SAID).first == BY_MEANING
    good = path.read_bytes()
    path.unlink()
    found = now.groups(SAID)
    assert (found.first, found.by) == (by_words(SAID).first, HASHED)
    assert "there is no model.onnx in models/minilm" in found.fault
    path.write_bytes(good[:100])
    assert "is no ONNX model that can be run" in now.groups(SAID).fault
    path.write_bytes(good)
    assert now.groups(SAID) == (BY_MEANING, "model minilm", "")


def test_a_server_that_starts_without_its_model_goes_by_words(place):
    (place / "models" / "minilm" / "tokenizer.json").unlink()
    found = groups_by(place).groups(SAID)
    assert (found.by, found.first) == (HASHED, by_words(SAID).first)
    assert "there is no tokenizer.json" in found.fault


def test_a_model_that_fails_is_left_alone_for_a_while(place, monkeypatch):
    seconds, tried = Seconds(), []

    def fails(self, texts):
        tried.append(len(texts))
        raise BadConfig("models/minilm/model.onnx can't be run: no memory")

    now = groups_by(place, seconds=seconds)
    with monkeypatch.context() as broken:
        broken.setattr(SentenceModel, "read", fails)
        for _ in range(3):
            assert now.groups(SAID).fault.endswith("no memory")
    assert tried == [len(SAID) - 1]  # <*> stands there twice
    assert now.groups(SAID).by == HASHED
    seconds.now += AGAIN_S
    assert now.groups(SAID) == (BY_MEANING, "model minilm", "")


def test_a_list_that_is_not_read_in_time_goes_by_words_and_is_read_on(place, monkeypatch):
    read = []
    real = SentenceModel.read

    def one_by_one(self, texts):
        for text in texts:
            read.append(text)
            for _, made in real(self, [text]):
                yield [texts.index(text)], made

    monkeypatch.setattr(SentenceModel, "read", one_by_one)
    now = groups_by(place, seconds=Seconds(step=WAIT_S))
    told = [now.groups(SAID) for _ in range(6)]
    assert [found.by for found in told] == [HASHED] * 5 + ["model minilm"]
    assert "read 1 of 6 templates" in told[0].fault
    assert "read 5 of 6 templates" in told[4].fault
    assert told[5].first == BY_MEANING
    assert len(read) == len(set(read)) == 6
    assert now.groups(list(reversed(SAID))).by == "model minilm"
    assert len(read) == 6


def test_a_request_waits_for_no_other_beyond_its_time(place, monkeypatch):
    monkeypatch.setattr(meaning, "WAIT_S", 0.01)
    inside, go_on = threading.Event(), threading.Event()
    real = SentenceModel.read

    def held(self, texts):
        inside.set()
        assert go_on.wait(30)
        yield from real(self, texts)

    monkeypatch.setattr(SentenceModel, "read", held)
    now, found = groups_by(place), []
    first = threading.Thread(target=lambda: found.append(now.groups(SAID)))
    first.start()
    assert inside.wait(30)
    second = now.groups(SAID)
    go_on.set()
    first.join()
    assert (second.by, second.fault) == (HASHED, "the model is still reading other lists")
    assert found[0].first == BY_MEANING


def test_what_is_kept_is_bounded(place, monkeypatch):
    monkeypatch.setattr(meaning, "KEPT", 3)
    now = groups_by(place)
    assert now.groups(SAID).first == BY_MEANING
    assert len(now._kept) == 3
    assert now.groups(SAID).first == BY_MEANING


def test_fallbacks_are_counted(place):
    def counted(reason):
        return meaning._UNREAD.labels(reason)._value.get()

    before = counted("failed")
    (place / "models" / "minilm" / "model.onnx").unlink()
    groups_by(place).groups(SAID)
    assert counted("failed") == before + 1


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        (CONFIG.replace("minilm", "minilmm"), (3, 12), "there is no directory models/minilmm; did you mean `minilm`?"),
        (CONFIG.replace("near", "neer"), (4, 5), "unknown key `neer`; did you mean `near`?"),
        (CONFIG.replace("0.9", "1.5"), (4, 11), "less than or equal to 1"),
        (CONFIG.replace("0.9", "0"), (4, 11), "greater than 0"),
        (CONFIG.replace("meaning", "meanings"), (2, 3), "did you mean `meaning`?"),
        ("logs: {meaning: {near: 0.5}}\n", (1, 17), "the key `model` is missing here"),
    ],
)
def test_a_fault_is_told_at_its_place(place, text, where, expected):
    try:
        configured(place, text)
        (problem,) = model_problems(place / "t.yaml", {})
    except BadSpec as bad:
        (problem,) = bad.problems
    assert (problem.line, problem.column, problem.level) == (*where, "error")
    assert expected in problem.message


def test_a_good_model_has_no_fault(place):
    configured(place)
    assert model_problems(place / "t.yaml", {}) == ()


def test_faults_of_a_model_of_a_monitor_and_of_this_one_are_told_together(place):
    (place / "models" / "minilm" / "tokenizer.json").write_text("{")
    monitor = "monitors: [{name: m, signal: s, detect: {onnx: {path: none.onnx}}}]\n"
    configured(place, CONFIG + monitor)
    told = model_problems(place / "t.yaml", {})
    assert [problem.line for problem in told] == [3, 5]
