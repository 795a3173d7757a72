"""`logs:`: by what templates of log lines that say nearly the same are found."""

from __future__ import annotations

from pydantic import Field

from tocsin.spec.monitor import Spec


class MeaningSpec(Spec):
    """A sentence-embedding model of one's own.

    `model` is a directory, relative to the file of configuration, with `model.onnx` (or `onnx/model.onnx`) and
    `tokenizer.json`; `near` is the cosine from which two templates say nearly the same.
    """

    model: str = Field(min_length=1)
    near: float = Field(default=0.65, gt=0, le=1)


class LogsSpec(Spec):
    """Templates are grouped by their words; with `meaning`, by what they mean."""

    meaning: MeaningSpec | None = None
