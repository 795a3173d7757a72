"""The image is built from the Dockerfile and runs without rights on a read-only file system."""

import json
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from brokers import free_port
from images import Image
from system.server import until

pytestmark = [pytest.mark.soak, pytest.mark.system]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    made = Image(tmp_path_factory.mktemp("image"))
    yield made
    made.close()


def said(image, folder, *command):
    process = image.started(folder, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = process.communicate(timeout=300)
    return process.returncode, out


def test_the_image_says_how_it_is_to_be_run(image):
    config = json.loads(image.inspected())["Docker"]["config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["tocsin"]
    assert config["Volumes"] == {"/data": {}}
    assert "readyz" in " ".join(config["Healthcheck"]["Test"])
    parts = sum(path.stat().st_size for path in (image.root / "opt" / "tocsin").rglob("*") if path.is_file())
    assert parts < 1.1e9


def test_nothing_but_data_and_tmp_can_be_written(image, tmp_path):
    asked = "id -u; for at in / /opt/tocsin /etc /usr/bin; do touch $at/x 2>/dev/null && echo wrote $at; done; touch /data/x /tmp/x && cat /proc/self/status"
    code, out = said(image, tmp_path / "data", "sh", "-c", asked)
    assert code == 0, out
    assert out.splitlines()[0] == "10001"
    assert "wrote" not in out
    status = dict(line.split(":\t") for line in out.splitlines() if ":\t" in line)
    assert {status[name].strip() for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"].strip() == "1"


def test_every_role_and_extra_is_in_it(image, tmp_path):
    code, out = said(
        image,
        tmp_path / "data",
        "python",
        "-c",
        "import confluent_kafka, redis, psycopg, onnxruntime, tokenizers, tocsin",
    )
    assert code == 0, out
    for role in ("serve", "worker", "control"):
        code, out = said(image, tmp_path / "data", "tocsin", role, "--help")
        assert code == 0, out


def test_it_serves_and_ends_in_good_order(image, tmp_path):
    port = free_port()
    ports = ["--port", str(port), "--otlp-http-port", "0", "--otlp-grpc-port", "0"]
    log = (tmp_path / "log").open("w+")
    process = image.started(
        tmp_path / "data", "tocsin", "serve", "--host", "0.0.0.0", *ports, stdout=log, stderr=subprocess.STDOUT
    )

    def answers():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    try:
        assert until(answers, 300, 0.5), (tmp_path / "log").read_text()[-3000:]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=5)
        inside = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", *inside.split()], check=True)
        assert process.wait(120) == 0
    finally:
        process.kill()
        log.close()
    assert list((tmp_path / "data").iterdir())
