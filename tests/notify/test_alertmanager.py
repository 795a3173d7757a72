"""Against Debian's real Alertmanager: the alert appears, stays one, and resolves."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from notify_messages import messages
from tocsin.model.clock import SECOND
from tocsin.notify.alertmanager import Alertmanager
from tocsin.notify.base import Context
from tocsin.spec.destination import AlertmanagerDestination

PROGRAM = "prometheus-alertmanager"
CONFIG = """
route: {receiver: none, group_wait: 1s, group_interval: 1s}
receivers: [{name: none}]
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def wait_for(what, seconds=60):
    """Poll a foreign program until it is so far; it has no event to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = what()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            found = None
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not installed")
    folder = tmp_path_factory.mktemp("am")
    (folder / "am.yml").write_text(CONFIG)
    url = f"http://127.0.0.1:{free_port()}"
    command = [PROGRAM, f"--config.file={folder}/am.yml", f"--storage.path={folder}/data", "--cluster.listen-address="]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={url[7:]}"], stdout=log, stderr=log)
    try:
        wait_for(lambda: get(f"{url}/api/v2/status"))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def tell(url, action, now):
    spec = AlertmanagerDestination(name="am", type="alertmanager", url=url, allow=["127.0.0.0/8"])
    message = messages()[action]
    incident = replace(
        message.incident, opened_at=now - 60 * SECOND, resolved_at=now - SECOND if action == "resolve" else None
    )
    destination = Alertmanager(spec, Context("https://tocsin.example"))

    async def scene():
        try:
            await destination.send(replace(message, incident=incident), "", now)
        finally:
            await destination.close()

    asyncio.run(scene())


@pytest.mark.system
def test_the_alert_appears_and_resolves(server):
    now = int(time.time_ns())
    alerts = f"{server}/api/v2/alerts"
    tell(server, "trigger", now)
    [alert] = wait_for(lambda: get(alerts))
    incident = messages()["trigger"].incident
    assert alert["status"]["state"] in ("active", "unprocessed")
    assert alert["labels"]["alertname"] == "TocsinIncident"
    assert alert["labels"]["incident_id"] == incident.id
    assert alert["labels"]["service_name"] == "support-bot"
    assert alert["annotations"]["title"] == incident.title
    assert alert["generatorURL"] == f"https://tocsin.example/incidents/{incident.id}"
    tell(server, "acknowledge", time.time_ns())
    assert [each["fingerprint"] for each in get(alerts)] == [alert["fingerprint"]]
    tell(server, "resolve", time.time_ns())  # an end that is still to come would end nothing
    assert wait_for(lambda: get(alerts) == [])
