"""`SpanMapper`: columns of the table of spans that tell of model calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tocsin.llm.calls import COUNT_FIELDS, NUMBER_FIELDS, TEXT_FIELDS, CallReader
from tocsin.llm.doubles import Doubles
from tocsin.model.arrays import F8
from tocsin.spec.llm import ModelSpec
from tocsin.spec.pack import PackSpec

TEXTS: Final[Mapping[str, str]] = {
    **{field: field for field in TEXT_FIELDS},
    "error_class": "error_class",
    "conversation_id": "session",
    "tenant": "customer",
}
"""Column of each canonical field that is a text; `tenant` is whose row it is."""
COUNTS: Final = (*COUNT_FIELDS, "context_limit_tokens")
NUMBERS: Final = (*NUMBER_FIELDS, "context_utilization_ratio")
FLAGS: Final = ("context_limit_warning", "prompt_truncation_risk")


class SpanMapper:
    """Columns `model_call`, `counted`, `estimated` and the canonical fields of spans; the batches come in the order of the log."""

    def __init__(self, packs: Sequence[PackSpec], models: Sequence[ModelSpec] = ()) -> None:
        self._packs = packs
        self._doubles = Doubles()
        self.adopt(models)

    def adopt(self, models: Sequence[ModelSpec]) -> None:
        """Take other prices and limits of the user's; what is stored stays."""
        self._reader = CallReader(self._packs, models, self._doubles)

    def columns(self, spans: Mapping[str, Any]) -> dict[str, pa.Array]:
        """Canonical columns, shape (n,), of n spans, given by the columns of their frame."""
        calls = self._reader.read("", spans)
        columns: dict[str, pa.Array] = {
            "model_call": pa.array(calls.call),
            "counted": pa.array(calls.counted),
            "estimated": pa.array(calls.estimated),
        }
        for field, column in TEXTS.items():
            texts = calls.texts[field]
            columns[column] = texts.kept(calls.call).dictionary()
        for field in COUNTS:
            columns[field] = _whole(calls.numbers[field])
        for field in NUMBERS:
            values = calls.numbers[field]
            columns[field] = pa.array(values, mask=np.isnan(values))
        for field in FLAGS:
            values = calls.numbers[field]
            columns[field] = pa.array(values == 1.0, mask=np.isnan(values))
        return columns


def _whole(values: F8) -> pa.Array:
    none = np.isnan(values)
    return pa.array(np.where(none, 0, values).astype("i8"), mask=none)
