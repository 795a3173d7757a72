"""Models in ONNX files: what is run gives the textbook's numbers, and what can't be trusted is not run."""

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from one_series import at, raw, scores
from onnx_files import made, mean_model
from tocsin.detect.model_file import MODEL_BYTES, outline
from tocsin.detect.multi_member import Look
from tocsin.detect.multi_memory import ShingleMemory
from tocsin.detect.multi_model import ModelMember
from tocsin.detect.onnx import Onnx
from tocsin.detect.onnx_model import BATCH, ModelCard, OnnxModel
from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig


def noise(n=200, seed=1):
    return 10.0 + np.random.default_rng(seed).normal(size=n)


def test_the_error_is_that_of_the_window_whatever_stands_beside_it():
    model = OnnxModel(mean_model(8, ("a", "b"), centre=10.0, spread=2.0))
    windows = np.random.default_rng(0).normal(10, 3, (3 * BATCH + 1, 8, 2)).astype("f4")
    z = (windows.astype("f8") - 10.0) / 2.0
    gap = z - z.mean(axis=1, keepdims=True)
    error, parts = model.run(windows)
    np.testing.assert_allclose(error, np.sqrt((gap**2).mean(axis=(1, 2))), rtol=1e-5)
    np.testing.assert_allclose(parts, (gap**2).mean(axis=1), rtol=1e-4)
    alone = np.concatenate([model.error(windows[k : k + 1]) for k in range(len(windows))])
    np.testing.assert_array_equal(error, alone)


def test_a_detector_judges_the_last_values_with_the_newest():
    detector, values = build("onnx", {"model": mean_model(8, centre=10.0)}), noise()
    got = raw(detector, values)
    assert np.isnan(got[:7]).all()
    for t in (20, 63, 199):
        window = np.append(detector_ring(values, t), values[t])
        assert got[t] == pytest.approx(window.std(), rel=1e-4), t


def detector_ring(values, t):
    return values[t - 7 : t]


def test_three_is_what_the_file_says_it_is_unless_the_series_is_noisier():
    card = ModelCard("mean", ("load",), 0, usual=1.0, unit=0.5)
    detector = build("onnx", {"model": mean_model(8, centre=10.0, card=card)})
    got = scores(detector, noise())
    assert got[-1] == pytest.approx(
        raw(build("onnx", {"model": mean_model(8, centre=10.0)}), noise())[-1] / 0.5, rel=0.2
    )
    noisier = build("onnx", {"model": mean_model(8, centre=10.0, card=card)})
    got = scores(noisier, 10.0 + 20.0 * (noise() - 10.0))
    assert np.nanquantile(got, 0.9) < 4.0


def test_a_model_without_metadata_is_measured_by_the_usual_error():
    detector = build("onnx", {"model": mean_model(8, centre=10.0, spread=5.0, card=False)})
    got = scores(detector, noise())
    assert 0.4 < np.nanmedian(got) < 1.2
    assert float(detector.score(at(200, 60.0)).value[0]) > 10.0


def test_a_fixed_batch_is_filled_up():
    model = OnnxModel(made(shape=(4, 8, 1), out_shape=(4,)))
    windows = np.random.default_rng(0).normal(size=(6, 8, 1)).astype("f4")
    np.testing.assert_allclose(model.error(windows), np.abs(windows).mean(axis=(1, 2)), rtol=1e-5)


def test_a_recurrent_model_of_another_maker_runs():
    rng = np.random.default_rng(3)
    weights = [("W", (1, 16, 1)), ("R", (1, 16, 4))]
    constants = [numpy_helper.from_array(rng.normal(size=shape).astype("f4"), name) for name, shape in weights]
    nodes = [
        helper.make_node("Transpose", ["window"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "W", "R"], ["all", "last"], hidden_size=4),
        helper.make_node("Abs", ["last"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["reconstruction_error"], axes=[0, 2], keepdims=0),
    ]
    got = scores(build("onnx", {"model": made(nodes, constants=constants)}), noise())
    assert np.isfinite(got[20:]).all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"shape": ("batch", 8), "axes": [1]},
            r"window float32 \[batch, 8\]; expected are one input float32 \[batch, L, features\]",
        ),
        ({"shape": ("batch", "steps", 1)}, "of no fixed length"),
        ({"shape": ("batch", 1, 1)}, "L must be 2 to 1024"),
        ({"shape": ("batch", 8, 501)}, "features 1 to 500"),
        ({"kind": TensorProto.DOUBLE}, r"window float64 \[batch, 8, 1\]"),
        ({"output": "score"}, "has the outputs score, and no reconstruction_error"),
        (
            {"shape": ("batch", 8, 3), "axes": [1], "out_shape": ("batch", 3)},
            r"reconstruction_error float32 \[batch, 3\]; expected",
        ),
        ({"shape": (5000, 8, 1)}, "its batch must be open"),
    ],
)
def test_other_shapes_are_refused_with_what_was_expected_and_found(change, expected):
    if "kind" in change:
        nodes = [
            helper.make_node("ReduceMean", ["window"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("Cast", ["mean"], ["reconstruction_error"], to=TensorProto.FLOAT),
        ]
        change = change | {"nodes": nodes}
    change = dict(change)
    if "axes" in change:
        axes = change.pop("axes")
        nodes = [helper.make_node("ReduceMean", ["window"], ["reconstruction_error"], axes=axes, keepdims=0)]
        change = change | {"nodes": nodes}
    with pytest.raises(BadConfig, match=expected):
        OnnxModel(made(**change))


def external():
    tensor = numpy_helper.from_array(np.ones(4, "f4"), "far")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def branch():
    empty = helper.make_graph([], "g", [], [])
    return helper.make_node("If", ["window"], ["reconstruction_error"], then_branch=empty, else_branch=empty)


def in_an_attribute():
    return helper.make_node("Constant", [], ["reconstruction_error"], value=external())


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (lambda: made(constants=[external()]), "tensors in another file"),
        (lambda: made([in_an_attribute()]), "tensors in another file"),
        (lambda: made([branch()]), "graph within its graph|control flow"),
        (lambda: made([helper.make_node("Own", ["window"], ["reconstruction_error"], domain="com.evil")]), "Own of 'com.evil'"),
        (lambda: made(domains=("", "com.microsoft")), "'com.microsoft'"),
        (lambda: made([helper.make_node("RandomNormal", [], ["reconstruction_error"], shape=[1])]), "random numbers"),
        (lambda: made([helper.make_node("Nothing", ["window"], ["reconstruction_error"])]), "no ONNX model that can be run"),
        (lambda: b"", "no ONNX model"),
        (lambda: b"PK\x03\x04 a zip", "no ONNX model"),
        (lambda: made([helper.make_node("Abs", ["window"], ["reconstruction_error"])] * 5001), "more than 5,000 nodes"),
        (lambda: bytes(MODEL_BYTES + 1), "more than the 8,388,608 that are taken"),
    ],
)  # fmt: skip
def test_what_reaches_beyond_itself_is_refused(file, expected):
    with pytest.raises(BadConfig, match=expected):
        OnnxModel(file())


def test_a_small_file_that_asks_for_much_memory_is_refused():
    """Ten million numbers for each value of a window: more than all models may hold."""
    counts = [
        numpy_helper.from_array(np.array(10**7, "i8"), "each"),
        numpy_helper.from_array(np.array([1], "i8"), "row"),
    ]
    nodes = [
        helper.make_node("Size", ["window"], ["size"]),
        helper.make_node("Mul", ["size", "each"], ["much"]),
        helper.make_node("Reshape", ["much", "row"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["numbers"]),
        helper.make_node("ReduceMean", ["numbers"], ["reconstruction_error"], axes=[0], keepdims=1),
    ]
    with pytest.raises(BadConfig, match="can't be run"):
        OnnxModel(made(nodes, constants=counts, shape=(1, 16, 1), out_shape=(1,)))
    assert OnnxModel(mean_model()).error(np.ones((1, 8, 1), "f4")) == 0.0


def test_names_in_a_file_are_no_commands_to_a_terminal():
    for file in (made(output="a\x1b[31m\nb"), made(domains=("", "\x1b]0;x\x07"))):
        with pytest.raises(BadConfig) as refused:
            OnnxModel(file)
        assert str(refused.value).isprintable()


def test_every_damage_is_refused_or_harmless():
    """Cut anywhere, or a byte changed: words, not a crash; and what still loads gives numbers."""
    whole = mean_model(4)
    rng, refused = np.random.default_rng(0), 0
    files = [whole[:size] for size in range(0, len(whole), 11)]
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        files.append(bytes(damaged))
    for file in files:
        try:
            OnnxModel(file).error(np.ones((2, 4, 1), "f4"))
        except BadConfig:
            refused += 1
    assert refused > len(files) / 2


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"format": "2"}, "format 2, this tocsin reads up to 1"),
        ({"features": '["a", "b"]'}, "names 2 features, its input has 1"),
        ({"features": "nothing"}, "damaged"),
        ({"unit": "-1.0"}, "from 0 up"),
        ({"usual": "nan"}, "from 0 up"),
    ],
)
def test_metadata_is_verified(metadata, expected):
    card = ModelCard("mean", ("load",), 0, 1.0, 0.5)

    class Damaged(ModelCard):
        def metadata(self):
            return card.metadata() | {f"tocsin.{key}": text for key, text in metadata.items()}

    with pytest.raises(BadConfig, match=expected):
        OnnxModel(mean_model(card=Damaged()))


def test_metadata_comes_back():
    card = ModelCard("mean", ("läuft", "b"), 60, 1.5, 0.25, {"seed": "1"})
    file = mean_model(4, ("läuft", "b"), card=card)
    model = OnnxModel(file)
    assert model.card == card
    assert model.sha256 == hashlib.sha256(file).hexdigest()
    assert "ReduceMean" in outline(file).operators


def test_several_features_are_no_single_series():
    with pytest.raises(BadConfig, match=r"2 features .* `together: true`"):
        build("onnx", {"model": mean_model(4, ("a", "b"))})


def test_a_missing_run_time_is_told_with_what_to_install():
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from tocsin.detect.onnx_model import OnnxModel\n"
        "from tocsin.model.errors import BadConfig\n"
        "try: OnnxModel(sys.stdin.buffer.read())\n"
        "except BadConfig as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=mean_model(), capture_output=True, check=True, timeout=60)
    assert b"pip install 'tocsin[onnx]'" in done.stdout


def test_what_overflows_is_as_strange_as_anything_can_be():
    detector = build("onnx", {"model": mean_model(8, centre=10.0)})
    scores(detector, noise())
    assert float(detector.score(at(200, 1e300)).value[0]) == pytest.approx(
        float(detector.score(at(200, 1e30)).value[0])
    )
    assert isinstance(detector, Onnx)


class Entity:
    """Rows of two signals given to the member as an entity's scorer gives them."""

    def __init__(self, member, signals=2):
        self.member, self.memory = member, ShingleMemory(signals)

    def row(self, *values, missed=0):
        for _ in range(missed):
            self.memory.push(np.full(2, np.nan))
        self.memory.push(np.array(values))
        none = np.zeros(2)
        look = Look(self.memory.latest, none, none, none, self.memory.past[:0], self.memory.when[:0], self.memory.seen)
        score, _ = self.member.score(look)
        self.member.learn(look)
        self.memory.learn()
        return score


def test_missing_values_are_held_for_a_while_and_then_leave_a_hole():
    nan = math.nan
    entity = Entity(ModelMember(OnnxModel(mean_model(4, ("a", "b")))))
    rows = [(1.0, 2.0), (1.5, 2.5), (1.0, 2.0), (1.5, 2.5)]
    assert np.isnan([entity.row(*row) for row in rows[:3]]).all()
    assert entity.row(*rows[3]) > 0
    assert [entity.row(nan, 2.0) >= 0 for _ in range(6)] == [True] * 5 + [False]
    assert np.isnan([entity.row(1.0, 2.0) for _ in range(3)]).all()
    assert entity.row(1.0, 2.0) >= 0
    assert entity.row(1.0, 2.0, missed=2) >= 0, "two rows that never came are held"
    assert entity.member.ring[0].tolist() == [1.0, 2.0]
    assert [entity.row(nan, nan) >= 0 for _ in range(3)] == [True] * 3
    assert entity.row(1.0, 2.0) >= 0
    assert np.isnan(entity.row(1.0, 2.0, missed=7))
