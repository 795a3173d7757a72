"""Truth and feedback meet their predictions in the store, and come back as outcomes: once, whenever they come."""

import threading

import pyarrow as pa
import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from store.world import SECOND, T0, World
from tocsin.app.handover import outcomes_frame, sender
from tocsin.app.internal import Internal
from tocsin.app.joining import Joining
from tocsin.ingest.records import record_row, rows_frame
from tocsin.model.errors import BadInput, Overloaded, Unreachable
from tocsin.model.frame import SCHEMAS, FrameKind
from tocsin.model.record import OUTCOMES_SOURCE
from tocsin.selfmon.metrics import exposition
from tocsin.store.outcomes import Outcomes
from tocsin.store.state import StateStore


class House:
    """A store, its writer and the join behind it."""

    def __init__(self, path):
        self.world = World(path / "store")
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.sent = []
        self.full = False
        self.start()

    def start(self):
        outcomes = Outcomes(self.world.store.db)
        touched = self.world.writer.touched
        self.joining = Joining(outcomes, self.state, lambda: touched("records"), self._send, self.world.clock)

    def _send(self, tenant, batch):
        if self.full:
            raise Unreachable("not now")
        self.sent += [(tenant, row) for row in batch.to_pylist()]

    def store(self, *rows, tenant="main", at=T0 / 1e9):
        made = [record_row({"time": at, **row}, T0 + 400 * 86_400 * SECOND, 0) for row in rows]
        self.world.clock.advance(SECOND)
        self.world.input.append([rows_frame(FrameKind.RECORDS, tenant, "records", made)])
        self.world.writer.drain()
        return self.world.clock.now() // 1_000_000 * 1_000_000

    def step(self):
        self.sent.clear()
        self.joining.step()
        return [(row["prediction_id"], row["truth"], row["feedback"]) for _, row in self.sent]

    def close(self):
        self.world.close()
        self.state.close()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.close()


def counted(name):
    return sum(float(line.rpartition(" ")[2]) for line in exposition().decode().splitlines() if line.startswith(name))


PREDICTION = {
    "prediction_id": "a",
    "model": "churn",
    "version": "3",
    "prediction": "yes",
    "score": 0.7,
    "tags": {"region": "eu"},
}


def test_truth_of_months_later_comes_back_with_its_prediction(house):
    house.store(PREDICTION, {"prediction_id": "b", "score": None})
    assert house.step() == []
    stored_at = house.store(
        {"prediction_id": "a", "truth": "no"}, {"prediction_id": "b", "feedback": 1}, at=T0 / 1e9 + 90 * 86_400
    )
    assert house.step() == [("a", '"no"', ""), ("b", "", "1")]
    tenant, row = house.sent[0]
    assert (tenant, row["kind"], row["model"], row["version"], row["prediction"]) == (
        "main",
        "outcome",
        "churn",
        "3",
        '"yes"',
    )
    assert (row["score"], row["tags"], row["time"]) == (0.7, [("region", "eu")], stored_at)
    assert house.step() == [], "once"


def test_truth_before_its_prediction_waits_also_over_a_restart(house):
    house.store(
        {"prediction_id": "a", "truth": 1},
        {"prediction_id": "a", "feedback": {"x": 1}},
        {"prediction_id": "z", "truth": 0},
    )
    unknown, early = (
        counted("tocsin_cold_records_without_prediction_total"),
        counted('tocsin_cold_records_joined_total{when="early"}'),
    )
    assert house.step() == []
    assert counted("tocsin_cold_records_without_prediction_total") == unknown + 3
    assert counted("tocsin_cold_waiting_records ") == 2
    house.world.reopen()
    house.start()
    house.store(PREDICTION)
    assert sorted(house.step()) == [("a", "", '{"x":1}'), ("a", "1", "")]
    assert counted('tocsin_cold_records_joined_total{when="early"}') == early + 2
    assert counted("tocsin_cold_waiting_records ") == 1
    house.store({"prediction_id": "a", "truth": 0})
    assert house.step() == [("a", "0", "")]


def test_truth_and_prediction_of_one_batch_are_joined_once(house):
    house.store({"prediction_id": "a", "truth": 1}, PREDICTION)
    assert house.step() == [("a", "1", "")]
    house.store({"prediction_id": "c", "truth": 1})
    house.step()
    house.store({"prediction_id": "c", "prediction": 1}, {"prediction_id": "c", "truth": 0})
    assert sorted(house.step()) == [("c", "0", ""), ("c", "1", "")]


def test_repeats_and_corrections_are_counted(house):
    repeated = counted('tocsin_cold_records_repeated_total{kind="prediction"}')
    corrected = counted('tocsin_cold_records_repeated_total{kind="truth"}')
    house.store(PREDICTION, PREDICTION)
    house.step()
    house.store({**PREDICTION, "version": "4"}, {"prediction_id": "q"}, {}, {})
    house.store({"prediction_id": "a", "truth": 1})
    assert len(house.step()) == 1
    assert house.sent[0][1]["version"] == "3", "the first prediction counts"
    house.store({"prediction_id": "a", "truth": 0})
    house.step()
    assert counted('tocsin_cold_records_repeated_total{kind="prediction"}') == repeated + 2
    assert counted('tocsin_cold_records_repeated_total{kind="truth"}') == corrected + 1


def test_tenants_are_kept_apart(house):
    house.store(PREDICTION)
    house.store({"prediction_id": "a", "truth": 1}, tenant="other")
    assert house.step() == []
    house.store(PREDICTION, tenant="other")
    assert house.step() == [("a", "1", "")]
    assert house.sent[0][0] == "other"


def test_what_could_not_be_handed_over_is_handed_over_later_the_same(house):
    house.store(PREDICTION)
    house.store({"prediction_id": "a", "truth": 1})
    house.full = True
    with pytest.raises(Unreachable):
        house.step()
    house.full = False
    house.world.clock.advance(60 * SECOND)
    assert house.step() == [("a", "1", "")]
    first = list(house.sent)
    house.state.close()
    (house.world.path.parent / "state.db").unlink()
    house.state = StateStore(f"sqlite:///{house.world.path.parent / 'state.db'}")
    house.start()
    assert house.step() == [("a", "1", "")]
    assert house.sent == first, "the same times, so that repeats can be told"


def test_over_the_socket_of_the_hot_process(tmp_path):
    taken, fault = [], []

    async def take(tenant, body):
        if fault:
            raise fault[0]
        taken.append(outcomes_frame(tenant, body))

    socket = tmp_path / "hot.sock"
    app = Internal(PlainTextResponse("page"), "s3cret", outcomes=take)
    server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    schema = SCHEMAS[FrameKind.RECORDS]
    batch = pa.RecordBatch.from_pylist([record_row({"prediction_id": "a"}, T0, 0)], schema=schema)
    try:
        sender(socket, "s3cret")("acme", batch)
        with pytest.raises(Unreachable, match="404"):
            sender(socket, "wrong")("acme", batch)
        fault.append(Overloaded("full"))
        with pytest.raises(Unreachable, match="full"):
            sender(socket, "s3cret")("acme", batch)
    finally:
        server.should_exit = True
        thread.join()
    (frame,) = taken
    assert (frame.tenant, frame.source, frame.rows()[0]["prediction_id"]) == ("acme", OUTCOMES_SOURCE, "a")
    with pytest.raises(Unreachable):
        sender(socket, "s3cret")("acme", batch)
    with pytest.raises(BadInput):
        outcomes_frame("acme", b"junk")
