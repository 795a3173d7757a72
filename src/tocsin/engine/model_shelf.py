"""`ModelShelf`: models by the digest of their bytes, as `model` records brought them; nothing is read from files here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np

from tocsin.detect.onnx_model import OnnxModel
from tocsin.model.arrays import U1
from tocsin.model.errors import BadConfig
from tocsin.model.log import Control
from tocsin.selfmon.stopwatch import Stopwatch
from tocsin.spec.monitor import MonitorSpec


class ModelShelf:
    """What monitors run: a model is put here by its record, and stays while a spec in force names it.

    `stopwatch` times the runs of models.
    """

    def __init__(self, stopwatch: Stopwatch | None = None) -> None:
        self.stopwatch = stopwatch or Stopwatch()
        self._bytes: dict[str, bytes] = {}
        self._opened: dict[str, OnnxModel] = {}

    def put(self, control: Control) -> None:
        """Take a model's record in."""
        self._bytes[control.sha256] = control.body

    def open(self, monitor: MonitorSpec) -> OnnxModel | None:
        """The model of a monitor, or None if it names none.

        Raises
        ------
        BadConfig
            The log holds no such model, it can't be trusted, or the run-time is missing.
        """
        wanted = monitor.detect.onnx
        if wanted is None:
            return None
        if wanted.sha256 not in self._bytes:
            raise BadConfig(
                f"monitor {monitor.name!r}: the log holds no model {wanted.sha256[:12] or 'of this name'} "
                f"({wanted.path}); a server puts it there when it reads its configuration"
            )
        if wanted.sha256 not in self._opened:
            try:
                self._opened[wanted.sha256] = OnnxModel(self._bytes[wanted.sha256])
            except BadConfig as bad:
                raise BadConfig(f"monitor {monitor.name!r}: {wanted.path}: {bad}") from None
        timer = self.stopwatch.model(monitor.name, PurePath(wanted.path).name)
        return self._opened[wanted.sha256].timed(timer)

    def holds(self, sha256: str) -> bool:
        """Whether a model is here."""
        return sha256 in self._bytes

    def keep(self, monitors: Iterable[MonitorSpec]) -> None:
        """Let go of what none of these monitors names."""
        named = {monitor.detect.onnx.sha256 for monitor in monitors if monitor.detect.onnx is not None}
        self._bytes = {sha256: raw for sha256, raw in self._bytes.items() if sha256 in named}
        self._opened = {sha256: model for sha256, model in self._opened.items() if sha256 in named}

    def snapshot(self) -> dict[str, Any]:
        """All models, as arrays of bytes."""
        return {sha256: np.frombuffer(raw, np.uint8) for sha256, raw in self._bytes.items()}

    def restore(self, state: dict[str, U1]) -> None:
        """Take a snapshot back."""
        self._bytes = {sha256: raw.tobytes() for sha256, raw in state.items()}
        self._opened = {}
