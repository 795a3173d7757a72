"""Templates grouped by what they mean, where a sentence model is configured; else, and where it can't be used, by words.

No request waits long for it: what a model has read is kept, and a list that it has not read in time goes by words this once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import structlog

from tocsin.app.sentence_model import F4, MODEL, TOKENIZER, SentenceModel, words_of
from tocsin.model.errors import BadConfig
from tocsin.model.text import one_line
from tocsin.selfmon.metrics import counter
from tocsin.spec.config import Config
from tocsin.spec.explain import place
from tocsin.spec.load import Loaded
from tocsin.spec.logs import MeaningSpec
from tocsin.spec.problem import Problem
from tocsin.spec.tree import parse
from tocsin.stats.alike import Groups, alike, by_words

KEPT: Final = 5000
"""Texts whose vectors are kept."""
WAIT_S: Final = 2.0
"""So long a list of templates waits for a model."""
AGAIN_S: Final = 60.0
"""A model that failed is tried again after so long, or once its files are others."""
_READ = counter("tocsin_app_embedded_texts_total", "Templates that a sentence model has read")
_UNREAD = counter(
    "tocsin_app_embedding_fallbacks_total",
    "Lists of templates grouped by words though a model is configured",
    ["reason"],
)
_log = structlog.get_logger(__name__)

Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class _Failed(NamedTuple):
    """Why a model can't be used, and since when (s)."""

    reason: str
    at_s: float


class _Late(Exception):
    """A list was not read in time."""


class Meaning:
    """Groups texts, from any thread; the model is loaded when it is first needed.

    Parameters
    ----------
    config : what is in force
    file : the file of configuration, which the model's directory is relative to
    seconds : of a clock that never goes back
    """

    def __init__(self, config: Config, file: Path | None, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._base = file.absolute().parent if file is not None else Path()
        self._spec = config.logs.meaning
        self._seconds = seconds
        self._guard = threading.Lock()
        self._model: SentenceModel | None = None
        self._loaded: tuple[str, Stamp] = ("", ())
        self._failed: _Failed | None = None
        self._told = ""
        self._kept: OrderedDict[str, F4] = OrderedDict()

    def adopt(self, config: Config) -> None:
        """Put a configuration into force; thread-safe: taken in by the next list."""
        self._spec = config.logs.meaning
        if self._spec is None:
            self._model = None  # its memory is given back

    def groups(self, texts: Sequence[str]) -> Groups:
        """Which texts say nearly the same, by what, and why not by the model that is configured."""
        spec = self._spec
        if spec is None:
            return by_words(texts)
        until_s = self._seconds() + WAIT_S
        if not self._guard.acquire(timeout=WAIT_S):
            return self._by_words(texts, "late", "the model is still reading other lists")
        try:
            made, name = self._vectors(spec, [words_of(text) for text in texts], until_s)
        except _Late as late:
            return self._by_words(texts, "late", str(late))
        except BadConfig as bad:
            return self._by_words(texts, "failed", str(bad))
        finally:
            self._guard.release()
        self._tell("")
        return Groups(alike(made.astype(np.float64), spec.near), f"model {name}")

    def _vectors(self, spec: MeaningSpec, said: list[str], until_s: float) -> tuple[F4, str]:
        """Vectors (n, width) of texts, and the model's name; what was read before is not read again."""
        model = self._usable(spec)
        missing = sorted({text for text in said if text not in self._kept})
        wanted = len(set(said))
        found = {text: self._kept[text] for text in said if text in self._kept}
        try:
            for rows, made in model.read(missing):
                some = {missing[row]: vector for row, vector in zip(rows, made, strict=True)}
                found.update(some)
                self._keep(some)
                _READ.inc(len(some))
                if len(found) < wanted and self._seconds() >= until_s:
                    raise _Late(f"the model has read {len(found):,} of {wanted:,} templates by now")
        except BadConfig as bad:
            self._failed = _Failed(str(bad), self._seconds())
            raise
        self._keep(found)
        vectors: F4 = np.array([found[text] for text in said], np.float32).reshape(len(said), model.width)
        return vectors, model.name

    def _keep(self, found: Mapping[str, F4]) -> None:
        """Keep the vectors of texts; those that were asked for longest ago go."""
        for text, vector in found.items():
            self._kept[text] = vector
            self._kept.move_to_end(text)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _usable(self, spec: MeaningSpec) -> SentenceModel:
        """The model of the files that are there now."""
        directory = self._base / spec.model
        wanted = (spec.model, _stamp_of(directory))
        if self._loaded != wanted:
            self._model, self._failed, self._loaded = None, None, wanted
            self._kept.clear()
        if self._failed is not None and self._seconds() < self._failed.at_s + AGAIN_S:
            raise BadConfig(self._failed.reason)
        if self._model is None or self._failed is not None:
            try:
                self._model, self._failed = SentenceModel(directory, spec.model), None
            except BadConfig as bad:
                self._failed = _Failed(str(bad), self._seconds())
                raise
        return self._model

    def _by_words(self, texts: Sequence[str], reason: str, fault: str) -> Groups:
        _UNREAD.labels(reason).inc()
        if reason == "failed":
            self._tell(fault)
        return by_words(texts)._replace(fault=one_line(fault, 400))

    def _tell(self, fault: str) -> None:
        """Log what changed."""
        before, self._told = self._told, fault
        if fault and fault != before:
            _log.warning("templates are grouped by words: the sentence model can't be used", reason=fault)
        elif before and not fault:
            _log.info("templates are grouped by the sentence model again")


def meaning_problems(loaded: Loaded) -> tuple[Problem, ...]:
    """What is wrong with the sentence model that a configuration names, if it names one."""
    spec = loaded.config.logs.meaning
    if spec is None:
        return ()
    try:
        SentenceModel(Path(loaded.file).absolute().parent / spec.model, spec.model)
    except BadConfig as bad:
        root = parse(loaded.text, loaded.file)
        return (Problem(loaded.file, *place(root, ("logs", "meaning", "model")), str(bad)),)
    return ()


def _stamp_of(directory: Path) -> Stamp:
    """What tells that files are others than before."""
    found = []
    for name in (MODEL, f"onnx/{MODEL}", TOKENIZER):
        try:
            stat = (directory / name).stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
    return tuple(found)
