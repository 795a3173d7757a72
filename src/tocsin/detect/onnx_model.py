"""`OnnxModel`: a checked ONNX model, run window by window in one thread, so that the same window gives the same bits."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.model_file import outline
from tocsin.model.arrays import F8
from tocsin.model.errors import BadConfig
from tocsin.model.text import one_line
from tocsin.selfmon.stopwatch import Timed, Timer

F4: TypeAlias = NDArray[np.float32]

FORMAT: Final = 1
"""Version of the metadata that `tocsin train` writes."""
ERROR: Final = "reconstruction_error"
CONTRIBUTION: Final = "contribution"
PREFIX: Final = "tocsin."
NEEDED: Final = f"expected are one input float32 [batch, L, features] and an output {ERROR} float32 [batch]"
MEMORY_BYTES: Final = 512 << 20
"""What all models of a process may hold while they run: a small file can ask for any amount."""
LENGTH_MOST: Final = 1024
BATCH: Final = 16
"""Windows that a model whose batch is open is given at once, the last ones padded with zeros."""
FEATURES_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says of itself; zeros and empty texts where it says nothing.

    Attributes
    ----------
    kind : how it was trained, as in `tocsin train --model`
    names : its features, in order
    step_ns : distance of the rows of a window
    usual, unit : mean of the output on held-out windows where nothing happened; a third of what they hardly reach
    more : all other metadata by name without `tocsin.`
    """

    kind: str = ""
    names: tuple[str, ...] = ()
    step_ns: int = 0
    usual: float = 0.0
    unit: float = 0.0
    more: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(metadata: Mapping[str, str]) -> ModelCard:
        """The card in a file's metadata.

        Raises
        ------
        BadConfig
            It is of a newer format, or damaged.
        """
        own = {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}
        if not own:
            return ModelCard()
        try:
            if int(own.pop("format")) > FORMAT:
                raise BadConfig(
                    f"the model's metadata has format {metadata[PREFIX + 'format']}, this tocsin reads up to {FORMAT}; "
                    "update tocsin, or train the model anew"
                )
            names = tuple(str(name) for name in json.loads(own.pop("features")))
            step_ns, usual, unit = int(own.pop("step_ns")), float(own.pop("usual")), float(own.pop("unit"))
            kind = own.pop("model")
        except (KeyError, ValueError, TypeError) as error:
            raise BadConfig(f"the model's metadata is damaged ({error!r}); train the model anew") from None
        if not (step_ns >= 0 and usual >= 0.0 and unit >= 0.0 and math.isfinite(usual + unit)):
            raise BadConfig("the model's metadata is damaged: step, usual and unit must be numbers from 0 up")
        return ModelCard(kind, names, step_ns, usual, unit, own)

    def metadata(self) -> dict[str, str]:
        """The card as metadata of a file."""
        own = {
            "format": str(FORMAT),
            "model": self.kind,
            "features": json.dumps(list(self.names)),
            "step_ns": str(self.step_ns),
            "usual": repr(self.usual),
            "unit": repr(self.unit),
        }
        return {PREFIX + key: text for key, text in (own | dict(self.more)).items()}


class OnnxModel(Timed):
    """A model from the bytes of its file; shapes and metadata are verified here.

    Windows are run in batches of one size, filled up with zeros: a matrix product of many windows may round
    otherwise than that of few. Whether the place in a batch matters is tried here; if it does, they go one by one.

    Attributes
    ----------
    length, features : shape of a window
    card : what the file says of itself
    sha256 : of the bytes, in hex

    Raises
    ------
    BadConfig
        The file can't be trusted or has other shapes (expected and found are told), or ONNX Runtime is missing.
    """

    def __init__(self, raw: bytes) -> None:
        found = outline(raw)
        self.sha256 = hashlib.sha256(raw).hexdigest()
        self.card = ModelCard.of(found.metadata)
        self._session = _session(raw)
        try:
            self._input, self._batch, self.length, self.features = _input_of(self._session)
            self._outputs = _outputs_of(self._session, self.features)
        except UnicodeDecodeError:
            raise BadConfig(
                "the model names something in what is no UTF-8; it is damaged, or not from an exporter"
            ) from None
        if self.card.names and len(self.card.names) != self.features:
            raise BadConfig(
                f"the model's metadata names {len(self.card.names)} features, its input has {self.features}; "
                "train the model anew"
            )
        if self._batch == 0:
            self._batch = BATCH
            if not self._same_in_every_place():
                self._batch = 1
        self.run(np.zeros((1, self.length, self.features), np.float32))

    def timed(self, timer: Timer) -> OnnxModel:
        """The same model, whose runs are timed by `timer`."""
        found = copy(self)
        found.timer = timer
        return found

    def _same_in_every_place(self) -> bool:
        """Whether windows get the same bits wherever in a batch they stand, and whatever stands beside them."""
        count = 2 * BATCH
        waves = np.sin(np.arange(count * self.length * self.features) * 0.7) * 3.0
        windows: F4 = waves.astype(np.float32).reshape(count, self.length, self.features)
        wanted = np.concatenate([self.error(windows[k : k + 1]) for k in range(count)])
        return all(np.array_equal(self.error(np.roll(windows, k, 0)), np.roll(wanted, k)) for k in range(BATCH))

    def run(self, windows: F4) -> tuple[F8, F8]:
        """Errors (n,) >= 0 and contributions (n, features), zeros if the model tells none, of windows (n, L, features).

        Raises
        ------
        BadConfig
            The model fails, or gives another shape than it declares.
        """
        n = len(windows)
        error, parts = np.empty(n), np.zeros((n, self.features))
        with self.timer if n else nullcontext():
            told = [self._run(padded(windows[k : k + self._batch], self._batch)) for k in range(0, n, self._batch)]
        for k, got in zip(range(0, n, self._batch), told, strict=True):
            some = windows[k : k + self._batch]
            error[k : k + len(some)] = np.asarray(got[0]).reshape(self._batch)[: len(some)]
            if len(got) > 1:
                parts[k : k + len(some)] = np.asarray(got[1]).reshape(self._batch, self.features)[: len(some)]
        known = np.isfinite(error)
        # what overflows is as strange as anything can be; a model that knows no answer gives none
        error = np.where(known | np.isnan(error), np.maximum(error, 0.0), 1e9)
        return np.minimum(error, 1e9), np.where(np.isfinite(parts), np.maximum(parts, 0.0), 0.0)

    def error(self, windows: F4) -> F8:
        """Errors (n,) of windows (n, L, features)."""
        return self.run(windows)[0]

    def _run(self, fed: F4) -> list[Any]:
        runtime = _runtime()
        try:
            got: list[Any] = self._session.run(self._outputs, {self._input: fed})
        except runtime_errors(runtime) as failed:
            raise BadConfig(f"the model can't be run: {_first_line(failed)}") from None
        if np.size(got[0]) != self._batch:
            raise BadConfig(f"the model gave {ERROR} of shape {list(np.shape(got[0]))}; {NEEDED}")
        return got


def padded(windows: F4, batch: int) -> F4:
    """Windows filled up with zeros to a whole batch."""
    if len(windows) == batch:
        return np.ascontiguousarray(windows)
    found: F4 = np.zeros((batch, *windows.shape[1:]), np.float32)
    found[: len(windows)] = windows
    return found


def _runtime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        raise BadConfig(
            "running an ONNX model needs ONNX Runtime, which is not installed: pip install 'tocsin[onnx]'"
        ) from None
    return onnxruntime


def runtime_errors(runtime: Any) -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises on a model it can't take or run; they have no common base of their own."""
    state = runtime.capi.onnxruntime_pybind11_state
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, TypeError)


@cache
def _bounded_memory() -> None:
    """Give all models of this process one arena that can't outgrow its bound."""
    runtime = _runtime()
    where = runtime.OrtMemoryInfo("Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT)
    grown_as_asked = 1
    bounds = runtime.OrtArenaCfg({"max_mem": MEMORY_BYTES, "arena_extend_strategy": grown_as_asked})
    runtime.create_and_register_allocator(where, bounds)


def _session(raw: bytes) -> Any:
    runtime = _runtime()
    _bounded_memory()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    # only what gives the same numbers on every processor
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return runtime.InferenceSession(raw, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except runtime_errors(runtime) as failed:
        raise BadConfig(f"this is no ONNX model that can be run: {_first_line(failed)}") from None


def _first_line(error: Exception) -> str:
    return one_line(str(error).strip().partition("\n")[0])[:300]


def _input_of(session: Any) -> tuple[str, int, int, int]:
    """Name, batch (0: any), length and features of the only input."""
    inputs = session.get_inputs()
    said = one_line(", ".join(f"{i.name} {_typed(i)}" for i in inputs) or "no input")[:300]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 3:
        raise BadConfig(f"the model has {said}; {NEEDED}")
    batch, length, features = inputs[0].shape
    if not (isinstance(length, int) and isinstance(features, int)):
        raise BadConfig(f"the model has {said}, of no fixed length or number of features; {NEEDED}")
    if not (2 <= length <= LENGTH_MOST and 1 <= features <= FEATURES_MOST):
        raise BadConfig(
            f"the model has {said}; L must be 2 to {LENGTH_MOST} steps and features 1 to {FEATURES_MOST}; {NEEDED}"
        )
    if isinstance(batch, int) and not 1 <= batch <= LENGTH_MOST:
        raise BadConfig(f"the model has {said}; its batch must be open, or 1 to {LENGTH_MOST}")
    return inputs[0].name, batch if isinstance(batch, int) else 0, length, features


def _outputs_of(session: Any, features: int) -> list[str]:
    """Names of the outputs that are asked for."""
    outputs = {output.name: output for output in session.get_outputs()}
    _check_output(outputs.get(ERROR), sorted(outputs), (1,))
    if CONTRIBUTION not in outputs:
        return [ERROR]
    _check_output(outputs[CONTRIBUTION], sorted(outputs), (features,))
    return [ERROR, CONTRIBUTION]


def _check_output(output: Any, names: list[str], width: tuple[int, ...]) -> None:
    if output is None:
        told = one_line(", ".join(names))[:300]
        raise BadConfig(f"the model has the outputs {told}, and no {ERROR}; {NEEDED}")
    rest = tuple(output.shape[1:])
    fits = rest == width or (width == (1,) and rest == ())
    if output.type != "tensor(float)" or not output.shape or not fits:
        raise BadConfig(f"the model has the output {output.name} {one_line(_typed(output))[:300]}; {NEEDED}")


def _typed(found: Any) -> str:
    kind = {"tensor(float)": "float32", "tensor(double)": "float64"}.get(found.type, found.type)
    return f"{kind} [{', '.join('batch' if k == 0 and not isinstance(d, int) else str(d) for k, d in enumerate(found.shape))}]"
