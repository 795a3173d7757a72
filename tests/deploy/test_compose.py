"""The compose files: without rights, limited, on loopback alone, and what they tell Tocsin is understood."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
import yaml
from jsonschema_rs import validator_for
from typer.main import get_command
from typer.testing import CliRunner

from tocsin.app.keys import KeyRing
from tocsin.cli.main import app
from tocsin.model.access import Scope
from tocsin.model.clock import ManualClock
from tocsin.spec.load import load_config

ROOT = Path(__file__).parents[2]
FILES = ("compose.yaml", "compose.cluster.yaml")
ALL = {name: yaml.safe_load((ROOT / name).read_text()) for name in FILES}
SERVICES = [(file, name, spec) for file, whole in ALL.items() for name, spec in whole["services"].items()]
IDS = [f"{file}:{name}" for file, name, _ in SERVICES]
CLUSTER = ALL["compose.cluster.yaml"]["services"]


@pytest.mark.parametrize(("file", "name", "spec"), SERVICES, ids=IDS)
def test_every_service_is_limited_and_gains_no_rights(file, name, spec):
    assert spec["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus"} <= set(spec)
    assert all(port.startswith("127.0.0.1:") for port in spec.get("ports", ()))
    assert "privileged" not in spec
    if spec.get("image", "tocsin") == "tocsin":
        assert spec["read_only"] is True
        assert spec["user"] == "10001:10001"
        assert spec["cap_drop"] == ["ALL"]
        assert "pids_limit" in spec


@pytest.mark.parametrize("name", ["worker-1", "worker-2", "control", "replica-1", "replica-2"])
def test_members_are_commands_with_one_configuration_and_one_set_of_keys(name):
    member = CLUSTER[name]
    command, *options = member["command"]
    get_command(app).commands[command].make_context(command, options)
    assert {"./deploy/compose/tocsin.yaml:/etc/tocsin/tocsin.yaml:ro", "shared:/shared", "keys:/keys:ro"} <= set(
        member["volumes"]
    )
    assert f"{name}:/data" in member["volumes"]
    assert member["depends_on"]["keys"] == {"condition": "service_completed_successfully"}
    assert member["depends_on"]["broker"] == {"condition": "service_healthy"}


def test_volumes_and_files_are_there():
    named = set(ALL["compose.cluster.yaml"]["volumes"])
    for spec in CLUSTER.values():
        for volume in spec.get("volumes", ()):
            place = volume.partition(":")[0]
            assert (ROOT / place).is_file() if place.startswith(".") else place in named


def test_the_configuration_names_what_the_file_starts():
    config = load_config(ROOT / "deploy" / "compose" / "tocsin.yaml", {}).config
    assert {address.partition(":")[0] for address in config.cluster.brokers} <= set(CLUSTER)
    assert config.cluster.snapshots.startswith("/shared/")
    for name in ("replica-1", "replica-2"):
        control = urlsplit(dict(pairwise(CLUSTER[name]["command"]))["--control"])
        assert (control.hostname in CLUSTER, control.port) == (True, 8642)
    servers = ET.fromstring((ROOT / "deploy" / "compose" / "clickhouse.xml").read_text())
    assert servers.find(f"remote_servers/{config.telemetry.cluster}/shard/replica/host").text in CLUSTER


def test_keys_made_in_a_folder_hold_where_they_are_copied_to_and_can_not_be_written(tmp_path):
    made, member = tmp_path / "keys", tmp_path / "data"
    member.mkdir()
    done = CliRunner().invoke(app, ["key", "create", "--scope", "ingest", "--data", str(made)])
    assert done.exit_code == 0, done.output
    copied = Path(shutil.copy(made / "keys.json", member))
    copied.chmod(0o440)
    access = KeyRing(copied, ManualClock(0)).authorise(f"Bearer {done.stdout.split()[-1]}")
    assert access.allows(Scope.INGEST)


@pytest.mark.soak
@pytest.mark.parametrize("name", FILES)
def test_the_compose_specification_takes_it(name):
    check = pytest.importorskip("check_jsonschema", reason="uv sync --group deploy")
    folder = Path(check.__file__).parent / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    validator_for(schema).validate(ALL[name])
