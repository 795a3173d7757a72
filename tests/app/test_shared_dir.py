"""What all machines of a cluster share beside the log: the key of redaction, and the keys of callers."""

import threading

import pytest
from typer.testing import CliRunner

from tocsin.app.cluster.moving import share_keys
from tocsin.app.keys import KeyRing
from tocsin.app.logs import redaction_key, share_redaction_key
from tocsin.app.serve import ready_key
from tocsin.app.settings import ServeSettings
from tocsin.cli.main import app
from tocsin.model.access import Scope
from tocsin.model.errors import BadConfig
from tocsin.selfmon.clock import SystemClock
from tocsin.spec.cluster import ClusterSpec


def test_machines_that_start_together_redact_with_one_key(tmp_path):
    homes = [tmp_path / f"machine-{number}" for number in range(8)]
    for home in homes:
        home.mkdir()
    starting = [threading.Thread(target=share_redaction_key, args=(home, tmp_path / "shared")) for home in homes]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    (key,) = {redaction_key(home) for home in homes}
    assert (tmp_path / "shared" / "redaction.key").read_bytes() == key
    modes = [path.stat().st_mode & 0o077 for path in tmp_path.rglob("redaction.key")]
    assert modes == [0] * 9
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["redaction.key"]


def test_a_key_of_one_machine_opens_all(tmp_path):
    here, there = (
        ServeSettings(data_dir=tmp_path / name, run_dir=tmp_path, shared_dir=tmp_path / "shared") for name in "ab"
    )
    (tmp_path / "shared").mkdir()
    key = KeyRing(here.keys_path, SystemClock()).create(Scope.INGEST)
    assert KeyRing(there.keys_path, SystemClock()).authorise(f"Bearer {key}") is not None


def test_a_machine_that_was_given_keys_of_its_own_keeps_to_them(tmp_path):
    pod = ServeSettings(data_dir=tmp_path / "pod", run_dir=tmp_path, shared_dir=tmp_path / "shared")
    (tmp_path / "pod").mkdir()
    assert pod.keys_path == tmp_path / "shared" / "keys.json"
    (tmp_path / "pod" / "keys.json").write_text("{}")
    assert pod.keys_path == tmp_path / "pod" / "keys.json"


def test_a_key_that_is_mounted_is_taken_over_and_nothing_is_written_there(tmp_path):
    secret, home = tmp_path / "secret", tmp_path / "home"
    home.mkdir()
    done = CliRunner().invoke(app, ["key", "redaction", "--data", str(secret)])
    assert done.exit_code == 0, done.output
    there = sorted(secret.iterdir())
    assert [path.name for path in there] == ["redaction.key"]
    assert there[0].stat().st_mode & 0o077 == 0
    redaction_key(home)  # of its own, before it joins the others
    for _ in range(2):
        share_redaction_key(home, secret)
        assert redaction_key(home) == there[0].read_bytes()
    assert sorted(secret.iterdir()) == there
    again = CliRunner().invoke(app, ["key", "redaction", "--data", str(secret)])
    assert "is there already" in again.output
    assert redaction_key(home) == there[0].read_bytes()


def test_where_no_key_is_and_none_can_be_put_the_next_step_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadConfig, match="`tocsin key redaction --data keys` makes"):
        share_redaction_key(tmp_path, tmp_path / "file" / "shared")
    locked = tmp_path / "locked"
    (locked / ".keys.lock").mkdir(parents=True)  # nobody may write here, not even root
    settings = ServeSettings(data_dir=tmp_path / "data", run_dir=tmp_path, host="0.0.0.0", shared_dir=locked)
    with pytest.raises(BadConfig, match="`tocsin key create --scope admin --data keys` makes"):
        ready_key(settings, SystemClock(), print)


def test_what_is_no_key_is_refused(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "redaction.key").write_bytes(b"short")
    with pytest.raises(BadConfig, match="has 5 bytes and is no key of redaction"):
        share_redaction_key(tmp_path, tmp_path / "shared")


def test_a_machine_moves_only_to_where_its_own_key_is(tmp_path):
    home, shared = tmp_path / "home", tmp_path / "shared"
    home.mkdir()
    spec = ClusterSpec(snapshots="s3://bucket/tocsin", shared=str(shared))
    (home / "keys.json").write_text("{}")
    share_keys(home, spec)
    assert (shared / "redaction.key").read_bytes() == redaction_key(home)
    assert (shared / "keys.json").read_text() == "{}"
    share_keys(home, spec)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(BadConfig, match=r"is not the key of .*/other"):
        share_keys(other, spec)
