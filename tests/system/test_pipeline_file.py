"""The pipeline file as it stands, run by the real commands, its points read from a real broker."""

import json
import time

import pytest

from brokers import PREFIX, KafkaBroker
from pipeline_file import PIPELINE
from system.server import TOCSIN, Server, until

TOPIC = "telemetry.metrics"
SIGNAL, HOSTS = "app.load", 3
JOINED_S = 120
"""The broker of the tests takes 20 s and more to let four members into a group."""


@pytest.fixture
def broker(tmp_path):
    kafka = KafkaBroker(tmp_path)
    yield kafka
    kafka.close()


def send(broker, topic):
    """Points of the signal, one for each host, as the topic carries them."""
    producer = broker.producer()
    for host in range(HOSTS):
        labels = {"service.name": "api", "host": f"h{host}"}
        point = {"timestamp": time.time_ns() // 10**6, "metric": SIGNAL, "value": 1.0 + host, "labels": labels}
        producer.produce(topic, json.dumps(point).encode())
    assert producer.flush(30) == 0


def said_of_the_model(server):
    """What the command wrote of the model that is not there."""
    return [line for line in server.log().splitlines() if "/models/temporal_autoencoder.onnx" in line]


# a broker of its own for each: as second process of one group its members were let in by this broker after more than a minute
@pytest.mark.parametrize("command", [pytest.param("run", marks=pytest.mark.soak), "serve"])
def test_the_command_reads_the_broker_and_says_what_is_not_done(kernels, tmp_path, broker, command):
    topic = broker.topic(f"{PREFIX}{TOPIC}", 4)
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE.replace(TOPIC, topic).replace("anomaly-detector-v1", f"{PREFIX}anomaly-detector-v1"))
    server = Server(tmp_path, kernels, environment={"TOCSIN_KAFKA_BOOTSTRAP": broker.address})
    _, _, *rest = server.command
    # `run` has no option about the host's own metrics, which stands last
    said = ["run", str(file), *rest[:-1]] if command == "run" else ["serve", "--config", str(file), *rest]
    server.command = [TOCSIN, *said]
    try:
        send(broker, topic)
        server.start()
        (warning,) = said_of_the_model(server)
        assert warning.startswith(f"{file}:5:17: warning: there is no model file")
        assert "the statistical baseline is used instead" in warning
        assert "no drift of inputs is watched: `drift_test: psi` and `drift_threshold: 0.2`" in warning
        assert until(lambda: series(server) == HOSTS, JOINED_S, every_s=5), server.log()
        server.stop()  # by SIGTERM, with 0
    finally:
        server.close()


def series(server):
    """How many series of what was sent the page lists."""
    found = {each["name"]: each["series"] for each in server.get("/api/signals", search=SIGNAL)["signals"]}
    return found.get(SIGNAL, 0)
