"""The stack with its telemetry store, for stories of records and what becomes of them."""

import json

import pyarrow as pa

from acceptance.stack import SECOND, Stack
from tocsin.app.handover import outcomes_frame
from tocsin.app.joining import Joining
from tocsin.store.genai import SpanMapper
from tocsin.store.outcomes import Outcomes
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.writer import StoreWriter


class House(Stack):
    """The stack with its telemetry store, in which truth and feedback are joined to the predictions they are of."""

    def __init__(self, path, text):
        super().__init__(path, text)
        kept = dict.fromkeys(
            ("records", "panes", "points", "distributions", "spans", "logs"), 3650 * 86_400 * SECOND
        )  # the engine forgets by its own clock, not by that of the test
        self.telemetry = TelemetryStore(path / "store", retention=kept)
        self.writer = StoreWriter(
            self.telemetry, self.input, self.output, self.catalog, SpanMapper(self.packs), self.clock
        )
        outcomes = Outcomes(self.telemetry.db)
        self.joining = Joining(
            outcomes, self.state, lambda: self.writer.touched("records"), self._hand_over, self.clock
        )

    def _hand_over(self, tenant, batch):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        self.edge.submit([outcomes_frame(tenant, sink.getvalue().to_pybytes())]).result()

    async def records(self, rows):
        body = "\n".join(json.dumps(row) for row in rows).encode()
        answer = await self.http.post("/v1/records", content=body, headers={"content-type": "application/x-ndjson"})
        assert answer.json()["accepted"] == len(rows), answer.text

    def join(self):
        self.writer.drain()
        self.joining.step()

    async def close(self):
        await super().close()
        self.telemetry.close()
