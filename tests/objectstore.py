"""A real store that speaks S3 for tests: Ceph's Object Gateway, on a monitor and an OSD that keeps everything in memory."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ACCESS, SECRET = "TOCSINTESTS", "a-secret-of-the-tests-alone"
PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_CONF = """
[global]
fsid = {fsid}
mon_host = {mon}
public_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
ms_bind_ipv6 = false
run_dir = {path}
admin_socket =
pid_file =
log_file =
log_to_file = false
mon_cluster_log_to_file = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_data_avail_crit = 0
osd_crush_chooseleaf_type = 0
osd_crush_initial_weight = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_data = {path}/mon
osd_data = {path}/osd
keyring = {path}/keyring
osd_objectstore = memstore
memstore_device_bytes = 1073741824
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_enable_quota_threads = false
rgw_run_sync_thread = false
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ObjectStore:
    """One store; `stop` and `start` are what a gateway does that goes away and comes back."""

    def __init__(self, path: Path) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            pytest.skip(f"{missing[0]} is not installed (ceph-mon, ceph-osd, radosgw and ceph-common)")
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        self._conf = path / "ceph.conf"
        self._log = (path / "log").open("wb")
        self._port = _free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self.credentials = path / "credentials"
        self.credentials.write_text(f"[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
        self._running: list[subprocess.Popen[bytes]] = []
        self._gateway: subprocess.Popen[bytes] | None = None
        self._lay_down()
        self.start()
        self._run("radosgw-admin", "user", "create", "--uid=tests", "--display-name=tests",
                  f"--access-key={ACCESS}", f"--secret-key={SECRET}")  # fmt: skip

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [command[0], *(["-c", str(self._conf)] if command[0] in ("ceph", "ceph-mon", "ceph-osd", "radosgw-admin") else []), *command[1:]],
            check=True, capture_output=True, text=True, timeout=120, cwd=self._path,
        )  # fmt: skip
        return done.stdout

    def _begin(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [command[0], "-c", str(self._conf), *command[1:], "-f"], stdout=self._log, stderr=self._log, cwd=self._path
        )

    def _lay_down(self) -> None:
        fsid, disk = (Path("/proc/sys/kernel/random/uuid").read_text().strip() for _ in range(2))
        mon, keys = f"[v2:127.0.0.1:{_free_port()}/0]", str(self._path / "keyring")
        self._conf.write_text(_CONF.format(fsid=fsid, mon=mon, path=self._path, port=self._port))
        for name in ("mon", "osd"):
            (self._path / name).mkdir()
        self._run("ceph-authtool", "--create-keyring", keys, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        caps = [part for name in ("mon", "osd") for part in ("--cap", name, "allow *")]
        self._run("ceph-authtool", keys, "--gen-key", "-n", "client.admin", *caps)
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", mon, str(self._path / "map"))
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(self._path / "map"), "--keyring", keys)
        self._running.append(self._begin("ceph-mon", "-i", "a"))
        secret = self._run("ceph-authtool", "--gen-print-key").strip()
        (self._path / "osd.json").write_text(json.dumps({"cephx_secret": secret}))
        self._run("ceph", "osd", "new", disk, "-i", str(self._path / "osd.json"))
        self._run("ceph-authtool", keys, "-n", "osd.0", "--add-key", secret)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._running.append(self._begin("ceph-osd", "-i", "0"))

    def start(self) -> None:
        """Start the gateway, and wait until it answers."""
        self._gateway = self._begin("radosgw", "-n", "client.admin")
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.endpoint, timeout=5).close()
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < end, (self._path / "log").read_text()[-3000:]
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Kill the gateway: nobody answers at its address."""
        if self._gateway is not None:
            self._gateway.kill()
            self._gateway.wait(30)
            self._gateway = None

    def client(self, **given: object):
        """A client of its own, which may make buckets."""
        from pyarrow import fs

        os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        keys = {"access_key": ACCESS, "secret_key": SECRET} | given
        address = {"scheme": "http", "endpoint_override": f"127.0.0.1:{self._port}", "region": "us-east-1"}
        return fs.S3FileSystem(**address, **keys, allow_bucket_creation=True)

    def close(self) -> None:
        """End it; it forgets everything."""
        self.stop()
        for each in reversed(self._running):
            each.kill()
            each.wait(30)
        self._log.close()
