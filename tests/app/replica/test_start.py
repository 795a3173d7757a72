"""What a replica refuses to start with, in words that say what to change."""

from __future__ import annotations

import json

import pytest

from tocsin.app.keys import KeyRing
from tocsin.app.replica.process import control_address, need_a_key, run_replica
from tocsin.app.settings import ServeSettings
from tocsin.model.access import Scope
from tocsin.model.clock import ManualClock
from tocsin.model.errors import BadConfig
from tocsin.spec.cluster import ClusterSpec
from tocsin.spec.config import Config

STATE = {"url": "postgresql://tocsin@127.0.0.1:1/none"}
TELEMETRY = {"url": "clickhouse://tocsin@127.0.0.1:1", "cluster": "one"}
CLUSTER = {"brokers": ["kafka:9092"], "snapshots": "/shared"}
CONTROL = "http://127.0.0.1:8642"


def started(path, config, control=CONTROL, env=None, **settings):
    file = path / "tocsin.yaml"
    file.write_text(json.dumps(config))
    wanted = ServeSettings(data_dir=path / "data", run_dir=path, port=0, config_path=file, **settings)
    return run_replica(wanted, control, env or {}, ManualClock(0))


@pytest.mark.parametrize(
    ("config", "env", "said"),
    [
        ({"telemetry": TELEMETRY}, {}, "keeps it in a file of one machine; name a PostgreSQL"),
        ({"telemetry": TELEMETRY}, {"TOCSIN_STATE_URL": "sqlite:////tmp/x.db"}, "name a PostgreSQL"),
        ({"state": STATE}, {}, "a directory that only one process may open; name a ClickHouse cluster"),
    ],
)
def test_stores_of_one_machine_are_refused(tmp_path, config, env, said):
    with pytest.raises(BadConfig, match=said):
        started(tmp_path, config, env=env)
    assert not (tmp_path / "data").exists(), "nothing is made"


def test_an_address_that_others_reach_needs_a_key_that_control_knows(tmp_path):
    whole = {"state": STATE, "telemetry": TELEMETRY}
    with pytest.raises(BadConfig, match=r"has no key: put control's keys.json there"):
        started(tmp_path, whole, host="0.0.0.0")
    settings = ServeSettings(data_dir=tmp_path / "data", run_dir=tmp_path, host="0.0.0.0")
    KeyRing(settings.keys_path, ManualClock(0)).create(Scope.READ)
    need_a_key(settings, ManualClock(0))
    need_a_key(settings.model_copy(update={"data_dir": tmp_path / "x", "insecure": True}), ManualClock(0))


def test_keys_of_a_cluster_are_those_that_all_machines_share(tmp_path):
    KeyRing(tmp_path / "keys.json", ManualClock(0)).create(Scope.READ)
    whole = {"cluster": {**CLUSTER, "snapshots": str(tmp_path)}, "state": STATE, "telemetry": TELEMETRY}
    with pytest.raises(BadConfig, match="say where it is with --control URL"):
        started(tmp_path, whole, control="", host="0.0.0.0")


def test_control_is_where_one_says_else_where_the_configuration_says(tmp_path):
    cluster = ClusterSpec.model_validate({**CLUSTER, "control": "https://control.example.org:8642/"})
    known = Config(cluster=cluster)
    assert control_address("", known) == "https://control.example.org:8642"
    assert control_address("http://other:1/", known) == "http://other:1"
    with pytest.raises(BadConfig, match="say where it is with --control URL"):
        started(tmp_path, {"state": STATE, "telemetry": TELEMETRY}, control="")


@pytest.mark.parametrize(
    "address",
    ["control:8642", "ftp://control", "http://", "http://user:pw@control", "http://control/api", "http://c?x=1"],
)
def test_what_is_no_address_of_a_server_is_refused(address):
    with pytest.raises(BadConfig, match="no address of control"):
        control_address(address, Config())
    with pytest.raises(ValueError, match="not the address of control"):
        ClusterSpec.model_validate({**CLUSTER, "control": address})
