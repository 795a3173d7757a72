"""Model files that a configuration names: read and verified before it takes effect, and kept beside the data."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from tocsin.app.ical_files import with_calendars
from tocsin.app.meaning import meaning_problems
from tocsin.app.reference_files import with_references
from tocsin.detect.model_file import MODEL_BYTES
from tocsin.detect.onnx_model import OnnxModel
from tocsin.model.errors import BadConfig
from tocsin.spec.explain import place
from tocsin.spec.load import Loaded, load_config
from tocsin.spec.monitor import DetectSpec, MonitorSpec, OnnxSpec, WindowSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.problem import BadSpec, Problem
from tocsin.spec.tree import Loc, Node, parse

SLOW_S: Final = 0.010
"""A window that takes longer holds up everything that is judged at the same tick."""
_INDEX: Final = "index.json"
_DRIFT: Final = frozenset({"drift_test", "drift_threshold"})


class KeptModels:
    """Copies of the models in force, in the data directory: a file that is gone takes no server down."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, path: str) -> bytes | None:
        """The bytes that a path had when it was last good, or None."""
        try:
            return (self._path / f"{self._index().get(path, '')}.onnx").read_bytes()
        except OSError:
            return None

    def digest(self, path: str) -> str:
        """The SHA-256 of the model that a path has in force, hex; empty: none was good yet."""
        return self._index().get(path, "")

    def remember(self, models: Mapping[str, bytes]) -> None:
        """Keep these, by path, and no others."""
        if not models and not self._path.exists():
            return
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        index = {path: hashlib.sha256(raw).hexdigest() for path, raw in models.items()}
        for path, raw in models.items():
            _write(self._path / f"{index[path]}.onnx", raw)
        _write(self._path / _INDEX, json.dumps(index).encode())
        for old in self._path.glob("*.onnx"):
            if old.stem not in index.values():
                old.unlink()

    def _index(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self._path / _INDEX).read_bytes())
        except (OSError, ValueError):
            return {}
        return found


@dataclass(frozen=True, slots=True)
class Modelled:
    """A configuration whose models were found, by digest and by path; its monitors name their digests."""

    loaded: Loaded
    models: Mapping[str, bytes]
    paths: Mapping[str, bytes]


def with_models(loaded: Loaded, kept: KeptModels | None = None) -> Modelled:
    """Find and verify the models that the monitors of a configuration name; where a file is gone, its kept copy.

    Other detectors are made once, to see that they can be.

    Raises
    ------
    BadSpec
        A model is missing, not to be trusted, or doesn't fit its monitor, and the monitor has no fallback; or a
        detector can't be made.
    """
    from tocsin.engine.watch import check_detector  # noqa: PLC0415 - compiles kernels, of which a process without the engine runs none

    monitors = list(loaded.config.monitors)
    pipeline = _is_pipeline(parse(loaded.text, loaded.file))
    wrong: list[tuple[int, str]] = []
    odd: list[tuple[int, str]] = []
    models: dict[str, bytes] = {}
    paths: dict[str, bytes] = {}
    for number, monitor in enumerate(monitors):
        onnx = monitor.detect.onnx
        if onnx is None:
            try:
                check_detector(monitor)
            except BadConfig as bad:
                wrong.append((number, str(bad)))
            continue
        try:
            path, raw, cautions = _found(onnx, Path(loaded.file).absolute().parent, kept)
            model = OnnxModel(raw)
            if pipeline and model.features > 1 and model.card.names:  # its language has no word for it
                monitor = monitor.model_copy(update={"together": True})  # noqa: PLW2901 - as it is judged from here on
            _fits(monitor, onnx, model)
        except BadConfig as bad:
            if onnx.fallback is None:
                way_out = "fallback_strategy: statistical_baseline" if pipeline else "fallback: baseline"
                wrong.append((number, f"{bad}; or add `{way_out}`"))
            else:
                odd.append((number, f"{bad}; the statistical baseline is used instead{_unwatched(onnx)}"))
                monitors[number] = _with(monitor, DetectSpec(baseline={}))
            continue
        odd += [(number, text) for text in (*cautions, *_cautions(monitor, model))]
        models[model.sha256], paths[path] = raw, raw
        monitors[number] = _with(monitor, DetectSpec(onnx=onnx.model_copy(update={"sha256": model.sha256})))
    if wrong:
        raise BadSpec(_placed(loaded, wrong, "error"))
    warnings = tuple(sorted((*loaded.warnings, *_placed(loaded, odd, "warning"))))
    config = loaded.config.model_copy(update={"monitors": monitors})
    return Modelled(replace(loaded, config=config, warnings=warnings), models, paths)


def model_problems(path: Path, env: Mapping[str, str], packs: Sequence[PackSpec] = ()) -> tuple[Problem, ...]:
    """Errors and warnings about the models, calendars and references of a configuration that is good otherwise."""
    try:
        loaded = load_config(path, env, packs)
    except BadSpec:  # told by the check of the file itself, or a pack
        return ()
    meant = meaning_problems(loaded)
    try:
        loaded = with_calendars(loaded, None, strict=True)
        found = with_models(with_references(loaded, strict=True)).loaded
        return (*meant, *(problem for problem in found.warnings if problem not in loaded.warnings))
    except BadSpec as error:
        return tuple(sorted((*meant, *error.problems)))


def read_model(path: Path) -> bytes:
    """The bytes of a model file.

    Raises
    ------
    BadConfig
        There is none, it can't be read or is too large.
    """
    if not path.is_file():
        raise BadConfig(f"there is no model file {path}")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MODEL_BYTES + 1)
    except OSError as error:
        raise BadConfig(f"the model file {path} can't be read: {(error.strerror or str(error)).lower()}") from None
    if len(raw) > MODEL_BYTES:
        raise BadConfig(f"the model file {path} has more than the {MODEL_BYTES:,} bytes that are taken")
    return raw


def _found(onnx: OnnxSpec, base: Path, kept: KeptModels | None) -> tuple[str, bytes, list[str]]:
    path = base / onnx.path
    try:
        return str(path), read_model(path), []
    except BadConfig as missing:
        raw = kept.recall(str(path)) if kept is not None else None
        if raw is None:
            raise
        return str(path), raw, [f"{missing}; the copy that was kept when it was last good is used"]


def _fits(monitor: MonitorSpec, onnx: OnnxSpec, model: OnnxModel) -> None:
    if onnx.sha256 and onnx.sha256 != model.sha256:
        raise BadConfig(f"{onnx.path} has the digest {model.sha256}; expected is {onnx.sha256}")
    if not monitor.together and model.features != 1:
        raise BadConfig(
            f"{onnx.path} has {model.features} features; expected is 1 for a monitor of single series, "
            "or say `together: true`"
        )
    if monitor.together and not model.card.names:
        raise BadConfig(f"{onnx.path} doesn't name its features; expected are their names in the metadata of the file")


def _unwatched(onnx: OnnxSpec) -> str:
    """What else is not done without the model, of all that was asked for."""
    if onnx.model_fields_set.isdisjoint(_DRIFT):
        return ""
    return (
        f", and until a good one is there and read (restart, or SIGHUP) no drift of inputs is watched: "
        f"`drift_test: {onnx.drift_test}` and `drift_threshold: {onnx.drift_threshold:g}` have no effect"
    )


def _cautions(monitor: MonitorSpec, model: OnnxModel) -> list[str]:
    step_ns = (monitor.window or WindowSpec()).step
    found = []
    if monitor.together and monitor.detect.onnx is not None and monitor.detect.onnx.model_fields_set & _DRIFT:
        found.append(
            f"the model takes {model.features} signals: drift is watched for models of single series only, "
            "so `drift_test` and `drift_threshold` have no effect"
        )
    if model.card.step_ns not in (0, step_ns):
        found.append(
            f"the model learned steps of {model.card.step_ns / 1e9:g} s, this monitor's are {step_ns / 1e9:g} s"
        )
    took_s = min(_took_s(model) for _ in range(3))
    if took_s > SLOW_S:
        found.append(
            f"a window takes the model {1e3 * took_s:.0f} ms, more than {1e3 * SLOW_S:.0f}; train a smaller one"
        )
    return found


def _took_s(model: OnnxModel) -> float:
    began = time.perf_counter()
    model.error(np.zeros((1, model.length, model.features), np.float32))
    return time.perf_counter() - began


def _is_pipeline(root: Node) -> bool:
    return isinstance(root.items, dict) and "pipeline" in root.items


def _with(monitor: MonitorSpec, detect: DetectSpec) -> MonitorSpec:
    return monitor.model_copy(update={"detect": detect})


def _placed(loaded: Loaded, found: Sequence[tuple[int, str]], level: str) -> list[Problem]:
    root = parse(loaded.text, loaded.file)
    pipeline = _is_pipeline(root)
    placed = []
    for number, message in found:
        loc: Loc = ("pipeline", "model", "path") if pipeline else ("monitors", number, "detect", "onnx", "path")
        problem = Problem(loaded.file, *place(root, loc), message)
        placed.append(problem if level == "error" else replace(problem, level="warning"))
    return placed


def _write(path: Path, raw: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(raw)
    part.replace(path)
