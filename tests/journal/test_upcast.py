"""Frames of past formats become those of this one."""

import pyarrow as pa

from tocsin.journal.codec import UPCASTS
from tocsin.model.frame import SCHEMAS, FrameKind


def test_records_of_format_1_are_predictions():
    now = SCHEMAS[FrameKind.RECORDS]
    then = pa.schema(
        [now.field(name) for name in now.names if name not in {"kind", "embedding", "attributions", "attention"}]
    )
    row = {"time": 1, "prediction_id": "a", "model": "m", "version": "1", "prediction": "1", "score": 0.5,
           "features": "{}", "tags": [], "truth": "1", "feedback": ""}  # fmt: skip
    batch = UPCASTS[1, FrameKind.RECORDS](pa.RecordBatch.from_pylist([row, row], schema=then))
    assert batch.schema.equals(now)
    (found, _) = batch.to_pylist()
    assert found == {**row, "kind": "prediction", "embedding": None, "attributions": None, "attention": None}
