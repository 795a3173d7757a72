"""What the judge said reaches the hot process as log records, through its private door only."""

from io import BytesIO

import pyarrow as pa
import pytest
from starlette.responses import PlainTextResponse

from ingest_world import call
from tocsin.app.handover import evaluations_frame
from tocsin.app.internal import EVALUATIONS_PATH, SECRET_HEADER, TENANT_HEADER, Internal
from tocsin.app.judging.judge import EVENT, _evaluations
from tocsin.model.errors import BadInput
from tocsin.model.frame import SCHEMAS, FrameKind

ROW = {"trace": "07" * 16, "span": "08" * 8, "service": "docs-bot", "tenant": "acme"}


def body():
    rows = list(_evaluations(ROW, {"faithfulness": 0.5}, 10**18, "judge-1"))
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMAS[FrameKind.LOGS])
    sink = BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def test_an_evaluation_is_taken_from_who_knows_the_secret():
    taken = []

    async def take(tenant, sent):
        taken.append(evaluations_frame(tenant, sent))

    app = Internal(PlainTextResponse("page"), "s3cret", evaluations=take)
    headers = {TENANT_HEADER: "acme"}
    assert call(app, path=EVALUATIONS_PATH, body=body(), headers=headers | {SECRET_HEADER: "guess"}).status == 404
    assert call(app, path=EVALUATIONS_PATH, body=b"junk", headers=headers | {SECRET_HEADER: "s3cret"}).status == 400
    assert call(app, path=EVALUATIONS_PATH, body=body(), headers=headers | {SECRET_HEADER: "s3cret"}).status == 204
    (frame,) = taken
    (row,) = frame.rows()
    assert (frame.kind, frame.tenant, frame.source, row["event_name"]) == (FrameKind.LOGS, "acme", "judge", EVENT)
    assert dict(row["attributes"])["gen_ai.evaluation.score.value"] == "0.5"


def test_other_batches_are_refused():
    with pytest.raises(BadInput):
        evaluations_frame("acme", b"junk")
