"""Models that a configuration names: faults at their place, fallbacks, pins, kept copies, and a server's own reading."""

from __future__ import annotations

import pytest

from onnx_files import made, mean_model
from tocsin.app.models import KeptModels, model_problems, with_models
from tocsin.app.reload import ConfigFile
from tocsin.app.settings import ServeSettings
from tocsin.detect.onnx_model import ModelCard, OnnxModel
from tocsin.spec.load import load_config
from tocsin.spec.problem import BadSpec

CONFIG = """\
monitors:
  - name: load
    signal: load
    window: {size: 60s, step: 60s}
    detect:
      onnx: {path: models/load.onnx}
"""
PIPELINE = """\
pipeline:
  ingestion: {source: kafka, topic: telemetry.metrics, group_id: anomaly-detector-v1, concurrency: 4}
  windowing: {size_ms: 60000, step_ms: 10000, min_samples: 15}
  model: {path: load.onnx, batch_size: 1, calibration_window: 500, std_multiplier: 3.0, fallback_strategy: statistical_baseline}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/load.onnx").write_bytes(mean_model())
    return tmp_path


def written(place, text=CONFIG):
    (place / "t.yaml").write_text(text)
    return place / "t.yaml"


def found(path, kept=None):
    return with_models(load_config(path, {}), kept)


def test_a_model_is_found_beside_the_configuration_and_named_by_its_digest(place):
    modelled = found(written(place))
    (monitor,) = modelled.loaded.config.monitors
    digest = OnnxModel(mean_model()).sha256
    assert monitor.detect.onnx.sha256 == digest
    assert modelled.models == {digest: mean_model()}
    assert modelled.loaded.warnings == ()


@pytest.mark.parametrize(
    ("change", "file", "expected"),
    [
        ("", None, "there is no model file"),
        ("", b"nothing", "this is no ONNX model"),
        ("", made(shape=("batch", "L", 1)), "of no fixed length"),
        ("", bytes(9 << 20), "more than the 8,388,608 bytes"),
        ("", mean_model(4, ("a", "b")), "has 2 features; expected is 1"),
        (f", sha256: {'ab' * 32}", mean_model(), f"expected is {'ab' * 32}"),
    ],
)
def test_a_fault_is_told_at_its_place(place, change, file, expected):
    path = place / "models/load.onnx"
    path.unlink() if file is None else path.write_bytes(file)
    config = written(place, CONFIG.replace("load.onnx", f"load.onnx{change}"))
    with pytest.raises(BadSpec) as caught:
        found(config)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (6, 20)
    assert expected in problem.message
    assert problem.message.endswith("or add `fallback: baseline`")
    assert model_problems(config, {}) == (problem,)


def test_with_a_fallback_the_baseline_watches_and_says_so(place):
    (place / "models/load.onnx").unlink()
    modelled = found(written(place, CONFIG.replace("load.onnx", "load.onnx, fallback: baseline")))
    assert modelled.loaded.config.monitors[0].detect.name == "baseline"
    (warning,) = modelled.loaded.warnings
    assert str(warning).endswith("load.onnx; the statistical baseline is used instead")
    assert ":6:20: warning: there is no model file" in str(warning)


def test_a_pipeline_file_runs_its_model_or_the_baseline(place):
    config = written(place, PIPELINE)
    modelled = found(config)
    assert modelled.loaded.config.monitors[0].detect.name == "baseline"
    assert ":4:17: warning: there is no model file" in str(modelled.loaded.warnings[-1])
    (place / "load.onnx").write_bytes(mean_model(card=False))
    assert found(config).loaded.config.monitors[0].detect.name == "onnx"
    (place / "load.onnx").write_bytes(mean_model(4, ("load", "heat")))
    (monitor,) = found(config).loaded.config.monitors
    assert (monitor.together, monitor.detect.name) == (True, "onnx")
    (place / "load.onnx").unlink()
    with pytest.raises(BadSpec, match="add `fallback_strategy: statistical_baseline`"):
        found(written(place, PIPELINE.replace(", fallback_strategy: statistical_baseline", "")))


def test_a_pipeline_file_without_its_model_says_that_no_input_is_watched(place):
    config = written(place, PIPELINE)
    warning = str(found(config).loaded.warnings[-1])
    assert ":4:17: warning: there is no model file" in warning
    assert "the statistical baseline is used instead, and until a good one is there and read" in warning
    assert "no drift of inputs is watched: `drift_test: psi` and `drift_threshold: 0.2` have no effect" in warning
    assert [str(each) for each in model_problems(config, {})] == [warning]
    (place / "load.onnx").write_bytes(mean_model(4, ("load", "heat")))
    assert "the model takes 2 signals: drift is watched for models of single" in str(found(config).loaded.warnings[-1])


def test_other_steps_than_those_learned_are_a_warning(place):
    card = ModelCard("mean", ("load",), 300 * 10**9, 1.0, 0.5)
    (place / "models/load.onnx").write_bytes(mean_model(card=card))
    (warning,) = found(written(place)).loaded.warnings
    assert "the model learned steps of 300 s, this monitor's are 60 s" in str(warning)


def test_an_entity_needs_the_names_of_features(place):
    text = CONFIG.replace("signal: load", 'signal: "*"\n    by: [host]\n    together: true')
    (place / "models/load.onnx").write_bytes(mean_model(4, ("a", "b")))
    assert found(written(place, text)).models
    (place / "models/load.onnx").write_bytes(mean_model(4, ("a", "b"), card=False))
    with pytest.raises(BadSpec, match="doesn't name its features"):
        found(written(place, text))


def test_a_file_that_is_gone_takes_no_server_down(place):
    kept = KeptModels(place / "kept")
    config = written(place)
    kept.remember(found(config, kept).paths)
    (place / "models/load.onnx").unlink()
    modelled = found(config, KeptModels(place / "kept"))
    assert modelled.models
    assert "the copy that was kept when it was last good is used" in str(modelled.loaded.warnings[0])
    kept.remember(found(written(place, "monitors: []\n"), kept).paths)
    assert list((place / "kept").glob("*.onnx")) == []


def test_a_replaced_file_is_a_changed_configuration_and_a_bad_one_changes_nothing(place):
    settings = ServeSettings(data_dir=place / "data", run_dir=place, config_path=written(place))
    file = ConfigFile(settings, {}, models=True)
    file.start()
    first = dict(file.models)
    assert not file.check()
    (place / "models/load.onnx").write_bytes(mean_model(5))
    assert file.check()
    second = dict(file.models)
    assert first.keys() != second.keys()
    (place / "models/load.onnx").write_bytes(b"damaged")
    with pytest.raises(BadSpec):
        file.check()
    assert file.models == second
    assert file.config.monitors[0].detect.onnx.sha256 in second


def test_a_slow_model_is_a_warning(place, monkeypatch):
    monkeypatch.setattr("tocsin.app.models._took_s", lambda _: 0.0123)
    (warning,) = found(written(place)).loaded.warnings
    assert "a window takes the model 12 ms, more than 10" in str(warning)


@pytest.mark.parametrize(
    ("detect", "told"),
    [
        ('{"pyod:IFrest": {}}', "did you mean 'IForest'"),
        ("{ensemble: {members: baseline basline}}", "did you mean 'baseline'"),
        ("{baseline: {season: year}}", "season must be one of"),
        ("{knn: {windw: 3}}", "did you mean 'window'"),
    ],
)
def test_a_detector_that_cannot_be_made_is_refused_at_its_place(place, detect, told):
    path = written(place, f"monitors:\n  - name: load\n    signal: load\n    detect: {detect}\n")
    (problem,) = model_problems(path, {})
    assert (problem.level, problem.line) == ("error", 4)
    assert told in problem.message
    with pytest.raises(BadSpec):
        with_models(load_config(path, {}))
