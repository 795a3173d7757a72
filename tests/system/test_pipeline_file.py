"""The pipeline file as it stands, run by the real commands, its points read from a real broker."""

import json
import time

import pytest

from brokers import PREFIX, KafkaBroker
from pipeline_file import PIPELINE
from system.server import TOCSIN, Server, until

TOPIC = "telemetry.metrics"
HOSTS = 3
JOINED_S = 90
"""The broker of the tests takes some 20 s to let four members into a group."""


@pytest.fixture
def broker(tmp_path):
    kafka = KafkaBroker(tmp_path)
    yield kafka
    kafka.close()


def send(broker, topic, signal):
    """Points of a signal, one for each host, as the topic carries them."""
    producer = broker.producer()
    for host in range(HOSTS):
        labels = {"service.name": "api", "host": f"h{host}"}
        point = {"timestamp": time.time_ns() // 10**6, "metric": signal, "value": 1.0 + host, "labels": labels}
        producer.produce(topic, json.dumps(point).encode())
    assert producer.flush(30) == 0


def said_of_the_model(server):
    """What the command wrote of the model that is not there."""
    return [line for line in server.log().splitlines() if "/models/temporal_autoencoder.onnx" in line]


def test_run_and_serve_read_the_broker_and_say_what_is_not_done(kernels, tmp_path, broker):
    topic = broker.topic(f"{PREFIX}{TOPIC}", 4)
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE.replace(TOPIC, topic).replace("anomaly-detector-v1", f"{PREFIX}anomaly-detector-v1"))
    server = Server(tmp_path, kernels, environment={"TOCSIN_KAFKA_BOOTSTRAP": broker.address})
    places = server.command[2:-1]  # where data and ports are
    runs = (
        (["run", str(file), *places], "app.load"),
        (["serve", "--config", str(file), *server.command[2:]], "app.latency"),
    )
    try:
        for command, signal in runs:
            server.command = [TOCSIN, *command]
            (tmp_path / "serve.log").unlink(missing_ok=True)
            send(broker, topic, signal)
            server.start()
            (warning,) = said_of_the_model(server)
            assert warning.startswith(f"{file}:5:17: warning: there is no model file")
            assert "the statistical baseline is used instead" in warning
            assert "no drift of inputs is watched: `drift_test: psi` and `drift_threshold: 0.2`" in warning
            assert until(lambda: series(server, signal) == HOSTS, JOINED_S, every_s=5), server.log()  # noqa: B023
            server.stop()  # by SIGTERM, with 0
    finally:
        server.close()


def series(server, signal):
    """How many series of a signal the page lists."""
    found = {each["name"]: each["series"] for each in server.get("/api/signals", search=signal)["signals"]}
    return found.get(signal, 0)
