"""Sentence models for tests, small but real: an ONNX graph and a tokenizer in a directory, as an export leaves them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
INPUTS = ("input_ids", "attention_mask")
OPSET = 17


def words(texts, *, kind="words", around=True):
    """A tokenizer trained on texts: whole words, or pieces by byte pairs."""
    made = Tokenizer(models.WordLevel({}, unk_token="[UNK]") if kind == "words" else models.BPE(unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer if kind == "words" else trainers.BpeTrainer
    made.train_from_iterator(texts, trainer(special_tokens=SPECIAL, vocab_size=400, show_progress=False))
    if around:
        ends = [(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
        made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return made


def one_meaning(tokenizer, synonyms=(), width=64, seed=7):
    """A vector for each token, (tokens, width): nearly orthogonal, one and the same for synonyms."""
    table = np.random.default_rng(seed).normal(size=(tokenizer.get_vocab_size(), width)).astype("f4")
    table[[tokenizer.token_to_id(name) for name in SPECIAL]] *= 0.01
    for same in synonyms:
        table[[tokenizer.token_to_id(word) for word in same]] = table[tokenizer.token_to_id(same[0])]
    return table


def lookup(table, *, inputs=INPUTS, output="last_hidden_state", kind=TensorProto.INT64, sizes=("batch", "sequence")):
    """A graph that gives the vector of each token; pooled by itself where the output is one of sentences."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "ids"], ["of_tokens"]),
    ]
    shape = [*sizes, table.shape[1]]
    if "token_type_ids" in inputs:  # it is used, so that it can't be left out
        nodes += [
            helper.make_node("Cast", ["token_type_ids"], ["kinds"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["kinds", "last"], ["kind"]),
            helper.make_node("Add", ["of_tokens", "kind"], ["plain"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["of_tokens"], ["plain"]))
    if output in ("last_hidden_state", "token_embeddings"):
        nodes.append(helper.make_node("Identity", ["plain"], [output]))
    else:
        shape = [sizes[0], table.shape[1]]
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["inside"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["inside", "last"], ["weight"]),
            helper.make_node("Mul", ["plain", "weight"], ["weighed"]),
            helper.make_node("ReduceSum", ["weighed", "second"], [output], keepdims=0),
        ]
    constants = {"table": table, "last": np.array([-1]), "second": np.array([1])}
    return _model(nodes, dict.fromkeys(inputs, (kind, sizes)), {output: shape}, constants)


def _model(nodes, inputs, outputs, constants):
    graph = helper.make_graph(
        nodes,
        "sentences",
        [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


class Encoder:
    """A transformer encoder of BERT's shape with random weights.

    Devlin et al. 2019 (NAACL): embeddings of words, places and kinds; attention, feed-forward, norms after each.
    """

    def __init__(self, tokens, *, layers=6, width=384, heads=12, inner=1536, places=512, seed=7):
        self.nodes, self.constants, self.width, self.heads = [], {}, width, heads
        self._draw, self._count = np.random.default_rng(seed), 0
        whole = self._summed(tokens, places)
        far = self._far()
        for _ in range(layers):
            whole = self._layer(whole, far, inner)
        self._node("Identity", whole, into="last_hidden_state")

    def model(self):
        """The graph as a model."""
        named = dict.fromkeys((*INPUTS, "token_type_ids"), (TensorProto.INT64, ("batch", "sequence")))
        shape = ("batch", "sequence", self.width)
        return _model(self.nodes, named, {"last_hidden_state": shape}, self.constants)

    def _node(self, kind, *inputs, into="", **attributes):
        self._count += 1
        name = into or f"v{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _constant(self, value):
        self._count += 1
        self.constants[f"c{self._count}"] = np.asarray(value)
        return f"c{self._count}"

    def _weights(self, *shape):
        return self._constant((0.05 * self._draw.normal(size=shape)).astype("f4"))

    def _norm(self, value):
        scale, shift = self._constant(np.ones(self.width, "f4")), self._constant(np.zeros(self.width, "f4"))
        return self._node("LayerNormalization", value, scale, shift, axis=-1)

    def _dense(self, value, given, wanted):
        return self._node("Add", self._node("MatMul", value, self._weights(given, wanted)), self._weights(wanted))

    def _summed(self, tokens, places):
        of_words = self._node("Gather", self._weights(tokens, self.width), "input_ids")
        of_kinds = self._node("Gather", self._weights(2, self.width), "token_type_ids")
        zero, one, two = (self._constant(np.array([k])) for k in range(3))
        length = self._node("Slice", self._node("Shape", "input_ids"), one, two)
        of_places = self._node("Slice", self._weights(places, self.width), zero, length, zero)
        return self._norm(self._node("Add", self._node("Add", of_words, of_kinds), of_places))

    def _far(self):
        """What keeps tokens beyond a text out of attention."""
        inside = self._node("Cast", "attention_mask", to=TensorProto.FLOAT)
        outside = self._node("Sub", self._constant(np.float32(1)), inside)
        wide = self._node("Unsqueeze", outside, self._constant(np.array([1, 2])))
        return self._node("Mul", wide, self._constant(np.float32(-1e9)))

    def _layer(self, value, far, inner):
        size = self.width // self.heads
        apart = self._constant(np.array([0, 0, self.heads, size]))
        query, key, said = (self._node("Reshape", self._dense(value, self.width, self.width), apart) for _ in range(3))
        query, said = (self._node("Transpose", each, perm=[0, 2, 1, 3]) for each in (query, said))
        key = self._node("Transpose", key, perm=[0, 2, 3, 1])
        scores = self._node("Mul", self._node("MatMul", query, key), self._constant(np.float32(size**-0.5)))
        weights = self._node("Softmax", self._node("Add", scores, far), axis=-1)
        heard = self._node("Transpose", self._node("MatMul", weights, said), perm=[0, 2, 1, 3])
        together = self._node("Reshape", heard, self._constant(np.array([0, 0, self.width])))
        value = self._norm(self._node("Add", value, self._dense(together, self.width, self.width)))
        wide = self._dense(value, self.width, inner)
        half = self._node("Mul", wide, self._constant(np.float32(0.5)))
        bent = self._node("Erf", self._node("Mul", wide, self._constant(np.float32(2**-0.5))))
        bent = self._node("Mul", half, self._node("Add", bent, self._constant(np.float32(1))))
        return self._norm(self._node("Add", value, self._dense(bent, inner, self.width)))


def write(place, model, tokenizer, *, inside=""):
    """Leave a model and its tokenizer in a directory; `inside` is one in it where the model goes."""
    (place / inside).mkdir(parents=True, exist_ok=True)
    (place / inside / "model.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    tokenizer.save(str(place / "tokenizer.json"))
    return place
