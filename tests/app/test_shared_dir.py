"""What all machines of a cluster share beside the log: the key of redaction, and the keys of callers."""

import threading

from tocsin.app.keys import KeyRing
from tocsin.app.logs import redaction_key, share_redaction_key
from tocsin.app.settings import ServeSettings
from tocsin.model.access import Scope
from tocsin.selfmon.clock import SystemClock


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
