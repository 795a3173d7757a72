"""Sentence models of one's own: what they give, hostile texts, and what is refused in words."""

from __future__ import annotations

import socket
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sentence_models import INPUTS, Encoder, lookup, one_meaning, words, write
from tocsin.app.sentence_model import BATCH, BATCH_TOKENS, SentenceModel
from tocsin.model.errors import BadConfig

SAID = [
    "connection to <*> refused",
    "connection to <*> rejected",
    "user <*> signed in",
    "disk <*> is full",
    "no space left on volume <*>",
]
SAME = [("refused", "rejected"), ("full", "space")]
TOKENIZER = words(SAID)
TABLE = one_meaning(TOKENIZER, SAME)
HOSTILE = ["", " ", "\x00\x1b[0m\u202e", "\udcff\udcff", "<*> <*>", "12 34", "zebra quagga", "漢字", "-" * 9]


@pytest.fixture
def place(tmp_path):
    return write(tmp_path / "minilm", lookup(TABLE), TOKENIZER)


def cosine(model, one, other):
    a, b = model.vectors([one, other])
    return float(a @ b)


def test_synonyms_are_near_and_other_things_are_not(place):
    model = SentenceModel(place)
    assert (model.name, model.width) == ("minilm", 64)
    assert cosine(model, SAID[0], SAID[1]) > 0.999
    assert cosine(model, SAID[0], SAID[2]) < 0.5


def test_a_vector_is_the_mean_of_the_tokens_of_its_text_alone_and_a_unit(place):
    model = SentenceModel(place)
    texts = ["connection refused", *SAID, "disk full"]
    for text, made in zip(texts, model.vectors(texts), strict=True):
        mean = TABLE[TOKENIZER.encode(text.replace("<*>", "")).ids].astype("f8").mean(axis=0)
        assert np.allclose(made, mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("output", ["last_hidden_state", "token_embeddings", "sentence_embedding", "text_embeds"])
@pytest.mark.parametrize("inputs", [INPUTS, (*INPUTS, "token_type_ids")])
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_each_usual_form_of_export_gives_the_same(tmp_path, place, output, inputs, kind):
    other = write(tmp_path / "other", lookup(TABLE, inputs=inputs, output=output, kind=kind), TOKENIZER)
    assert np.allclose(SentenceModel(other).vectors(SAID), SentenceModel(place).vectors(SAID), atol=1e-6)


def test_the_model_may_lie_in_a_directory_of_its_own_as_libraries_save_it(tmp_path, place):
    other = write(tmp_path / "other", lookup(TABLE), TOKENIZER, inside="onnx")
    assert np.array_equal(SentenceModel(other).vectors(SAID), SentenceModel(place).vectors(SAID))


def test_a_transformer_gives_a_text_the_same_whatever_is_read_with_it(tmp_path):
    tokenizer = words(SAID, kind="pairs")
    encoder = Encoder(tokenizer.get_vocab_size(), layers=2, width=32, heads=4, inner=64, places=256)
    model = SentenceModel(write(tmp_path / "small", encoder.model(), tokenizer))
    texts = [f"{text} {'user ' * k}" for k, text in enumerate(SAID * 8)]
    together = model.vectors(texts)
    alone = np.concatenate([model.vectors([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.array_equal(together, model.vectors(texts))
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    assert len({row.tobytes() for row in together}) > len(SAID)


def test_texts_are_read_in_batches_of_bounded_size(place):
    model = SentenceModel(place)
    texts = ["disk full"] * (BATCH + 3) + ["user " * 300] * 9
    read = [rows for rows, _ in model.read(texts)]
    assert sorted(row for rows in read for row in rows) == list(range(len(texts)))
    assert [len(rows) for rows in read] == [BATCH, 4, 4, 4]  # a text of 256 tokens with three of two would be over
    assert BATCH_TOKENS == 4 * 256


def test_hostile_texts_have_zeros_and_disturb_no_other(place):
    model = SentenceModel(place)
    made = model.vectors([*HOSTILE, SAID[0]])
    assert np.isfinite(made).all()
    assert not made[:-1].any()
    assert np.array_equal(made[-1], model.vectors([SAID[0]])[0])
    assert model.vectors([]).shape == (0, 64)


def test_a_long_text_is_cut(place):
    model = SentenceModel(place)
    long = "refused " * 12_500
    assert len(long) == 100_000
    assert cosine(model, long, "rejected " * 300) > 0.99


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_texts_have_units_or_zeros(made_once, texts):
    norms = np.linalg.norm(made_once.vectors(texts), axis=1)
    assert np.all((norms == 0) | (np.abs(norms - 1) < 1e-5))


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    tokenizer = words(SAID, kind="pairs")
    table = one_meaning(tokenizer)
    return SentenceModel(write(tmp_path_factory.mktemp("model"), lookup(table), tokenizer))


def test_what_is_no_number_is_zeros(tmp_path):
    table = TABLE.copy()
    table[TOKENIZER.token_to_id("disk")] = np.nan
    table[TOKENIZER.token_to_id("user")] = np.inf
    table[TOKENIZER.token_to_id("volume")] = 3e38
    model = SentenceModel(write(tmp_path / "m", lookup(table), TOKENIZER))
    made = model.vectors(["disk full", "user signed in", "volume volume volume", "connection refused"])
    assert made.any(axis=1).tolist() == [False, False, True, True]
    assert np.isfinite(made).all()


def refused(place):
    with pytest.raises(BadConfig) as caught:
        SentenceModel(place, "models/minilm")
    return str(caught.value)


def test_a_wrong_place_is_told_with_the_nearest_right_one(tmp_path, place):
    assert "there is no directory models/minilm; did you mean `minilm`?" in refused(tmp_path / "minilm2")
    assert "is a file; name the directory that holds model.onnx" in refused(place / "model.onnx")
    (place / "model.onnx").rename(place / "model_quantized.onnx")
    assert "there is model_quantized.onnx: give one the name model.onnx" in refused(place)
    (place / "model_quantized.onnx").unlink()
    assert "there is no model.onnx in models/minilm" in refused(place)
    assert "optimum-cli export onnx" in refused(place)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, "there is no tokenizer.json in models/minilm; save it with the class PreTrainedTokenizerFast"),
        (b"", "models/minilm/tokenizer.json is no tokenizer"),
        (b"{}", "is no tokenizer"),
        (b"[1]", "is no tokenizer"),
        (b"\xff\xfe", "is no tokenizer"),
        (b'{"version": "1.0", "model": {"type": "Magic", "vocab": {}}}', "is no tokenizer"),
        (b'{"model": null}', "is no tokenizer"),
    ],
)
def test_a_missing_or_broken_tokenizer_is_refused(place, body, expected):
    path = place / "tokenizer.json"
    path.unlink() if body is None else path.write_bytes(body)
    assert expected in refused(place)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (b"nothing", "models/minilm/model.onnx is no ONNX model that can be run"),
        (b"", "is no ONNX model"),
        (lookup(TABLE, inputs=("input_ids",)), "has the inputs input_ids tensor(int64) [batch, sequence]; expected"),
        (lookup(TABLE, inputs=(*INPUTS, "position_ids")), "has the inputs input_ids"),
        (lookup(TABLE, kind=TensorProto.FLOAT), "has the inputs input_ids tensor(float) [batch, sequence]"),
        (lookup(TABLE, kind=TensorProto.INT16), "has the inputs input_ids tensor(int16) [batch, sequence]"),
        (lookup(TABLE, sizes=(1, 128)), "has inputs of fixed size"),
        (lookup(TABLE, output="logits"), "has the outputs logits tensor(float) [batch, 64]; expected"),
        (lookup(TABLE, output="pooler_output"), "has the outputs pooler_output"),
        (lookup(TABLE[:3]), "tokenizer.json has tokens up to"),
        (lookup(TABLE * np.nan), "gives nothing but zeros, or what is no number"),
    ],
)
def test_a_wrong_model_is_refused_in_words(place, model, expected):
    (place / "model.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    told = refused(place)
    assert expected in told
    assert str(place) not in told


def test_a_model_of_fewer_places_than_tokens_says_what_to_set(tmp_path):
    encoder = Encoder(TOKENIZER.get_vocab_size(), layers=1, width=32, heads=4, inner=64, places=64)
    short = words(SAID)
    place = write(tmp_path / "m", encoder.model(), short)
    assert "it was given 256 tokens: set a `truncation` in tokenizer.json" in refused(place)
    short.enable_truncation(64)
    short.enable_padding(length=64)
    short.save(str(place / "tokenizer.json"))
    made = SentenceModel(place).vectors(["user " * 200, "user"])
    assert np.allclose(np.linalg.norm(made, axis=1), 1.0, atol=1e-6)


def test_tensors_in_a_file_beside_it_are_read_and_none_from_elsewhere(tmp_path, place):
    model = lookup(TABLE)
    raw = TABLE.tobytes()

    def kept_in(location):
        tensor = model.graph.initializer[0]
        tensor.CopyFrom(numpy_helper.from_array(TABLE, "table"))
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in {"location": location, "offset": "0", "length": str(len(raw))}.items():
            tensor.external_data.add(key=key, value=value)
        return write(tmp_path / "m", model, TOKENIZER)

    beside = kept_in("model.onnx_data")
    (beside / "model.onnx_data").write_bytes(raw)
    assert np.array_equal(SentenceModel(beside).vectors(SAID), SentenceModel(place).vectors(SAID))
    (tmp_path / "elsewhere").write_bytes(raw)
    assert "is no ONNX model that can be run" in refused(kept_in("../elsewhere"))


def test_operators_of_others_are_refused(place):
    graph = helper.make_graph(
        [helper.make_node("Magic", ["input_ids"], ["last_hidden_state"], domain="of.somebody")],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in INPUTS],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "s", 8])],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("of.somebody", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=8)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    assert "is no ONNX model that can be run" in refused(place)


@pytest.mark.parametrize(("library", "called"), [("tokenizers", "tokenizers"), ("onnxruntime", "ONNX Runtime")])
def test_without_the_extra_it_says_what_to_install(monkeypatch, place, library, called):
    monkeypatch.setitem(sys.modules, library, None)
    assert f"needs {called}, which is not installed: pip install 'tocsin[embed]'" in refused(place)


def test_nothing_is_asked_of_the_network(place, monkeypatch):
    def nothing(*_, **__):
        raise AssertionError("a model of one's own needs no network")

    monkeypatch.setattr(socket, "socket", nothing)
    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    assert SentenceModel(place).vectors(SAID).any()
