"""A bundle gives the same verdict in another place; what was changed, is older or hostile is refused in words."""

import io
import json
import shutil
import tarfile

import pytest

from acceptance.replays import spiked
from tocsin.app.replays import bundle as bundles
from tocsin.app.replays.bundle import export_incident, opened
from tocsin.app.replays.captures import Captures
from tocsin.app.replays.verdict import replay
from tocsin.model.errors import BadInput, Corrupt


@pytest.fixture(scope="module")
def spike(tmp_path_factory):
    data = tmp_path_factory.mktemp("server")
    (incident,) = spiked(data)
    path = data / "out" / "bundle.tar"
    path.parent.mkdir()
    path.write_bytes(b"".join(export_incident(data, incident)))
    return data, incident, path


def rebuilt(path, into, **changed):
    """The bundle with members changed, its manifest telling the truth about them unless that is changed."""
    members = {}
    with tarfile.open(path) as archive:
        for member in archive:
            members[member.name] = archive.extractfile(member).read()
    manifest = json.loads(members.pop("manifest.json"))
    for name, change in changed.items():
        if name == "manifest":
            change(manifest)
        else:
            change(members, manifest)
    with tarfile.open(into, "w") as archive:
        for name, raw in [*members.items(), ("manifest.json", json.dumps(manifest).encode())]:
            head = tarfile.TarInfo(name)
            head.size = len(raw)
            archive.addfile(head, io.BytesIO(raw))
    return into


def test_the_same_verdict_bit_for_bit_from_the_snapshot_on(spike):
    _, incident, path = spike
    verdict = replay(path)
    assert verdict.same
    assert {each.outcome for each in verdict.checks} == {"same"}
    assert {each.told.id for each in verdict.checks} == {each.id for each in incident.findings}
    # the capture began at a snapshot: not all of the log was folded
    with opened(path) as bundle:
        assert bundle.snapshot is not None
        assert bundle.manifest["first"] > 0
    assert path.stat().st_size < 4 << 20


def test_the_counterfactual_is_a_bound_between_normal_and_what_came(spike):
    _, _, path = spike
    found = replay(path).counterfactual
    assert found.finding.direction == "up"
    assert 105 < found.bound < found.reached
    assert found.change < found.moved
    assert found.reached > 350
    said = " ".join(found.words)
    assert "would not have opened if app.latency" in said
    assert "level had moved by less than" in said


def test_a_bundle_is_made_without_a_capture_while_the_log_reaches_back(spike, tmp_path):
    data, incident, _ = spike
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    shutil.rmtree(copy / "replays")
    shutil.rmtree(copy / "snapshots")
    path = tmp_path / "bundle.tar"
    path.write_bytes(b"".join(export_incident(copy, incident)))
    verdict = replay(path)
    assert verdict.same
    with opened(path) as bundle:
        assert bundle.snapshot is None


def test_what_is_gone_is_said(spike, tmp_path):
    data, incident, _ = spike
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    shutil.rmtree(copy / "replays")
    shutil.rmtree(copy / "input")
    with pytest.raises(BadInput, match="no longer reaches back"):
        b"".join(export_incident(copy, incident))


def test_a_capture_outlives_log_and_snapshots(spike, tmp_path):
    data, incident, _ = spike
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    shutil.rmtree(copy / "snapshots")
    shutil.rmtree(copy / "input")
    path = tmp_path / "bundle.tar"
    path.write_bytes(b"".join(export_incident(copy, incident)))
    assert replay(path).same


def test_another_verdict_than_was_told_is_seen(spike, tmp_path):
    def lie(members, manifest):
        told = json.loads(members["incident.json"])
        for which in ("told", "now"):
            told[which]["findings"][0]["log10_p"] -= 1
        members["incident.json"] = json.dumps(told).encode()
        manifest["sha256"]["incident.json"] = bundles.hashlib.sha256(members["incident.json"]).hexdigest()

    verdict = replay(rebuilt(spike[2], tmp_path / "lie.tar", lie=lie))
    assert not verdict.same
    assert "different" in {each.outcome for each in verdict.checks}


def _flip(members, _):
    name = next(name for name in members if name.startswith("log/"))
    raw = bytearray(members[name])
    raw[len(raw) // 2] ^= 1
    members[name] = bytes(raw)


def _outside(members, manifest):
    members["../evil"] = b"x"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flip": _flip}, "changed or damaged"),
        ({"manifest": lambda m: m.update(format=99, version="9.9")}, "format 99.*use tocsin 9.9"),
        ({"outside": _outside}, "does not belong"),
        ({"less": lambda members, _: members.pop("snapshot")}, "changed or damaged"),
        ({"manifest": lambda m: m.pop("sha256")}, "manifest can't be read"),
    ],
)
def test_a_bundle_that_is_not_what_it_was_is_refused(spike, tmp_path, change, words):
    with pytest.raises(Corrupt, match=words):
        replay(rebuilt(spike[2], tmp_path / "bad.tar", **change))
    assert not (tmp_path.parent / "evil").exists()


def test_links_and_other_files_are_refused(tmp_path):
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        head = tarfile.TarInfo("snapshot")
        head.type = tarfile.SYMTYPE
        head.linkname = "/etc/passwd"
        archive.addfile(head)
    with pytest.raises(Corrupt, match="does not belong"):
        replay(path)
    text = tmp_path / "text.tar"
    text.write_text("no tar at all")
    with pytest.raises(Corrupt, match="no bundle"):
        replay(text)
    with pytest.raises(BadInput, match="can't read"):
        replay(tmp_path / "none.tar")


def test_a_snapshot_that_unpacks_to_too_much_is_refused(spike, tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.app.replays.refold.MOST_UNPACKED_BYTES", 1000)
    with pytest.raises(Corrupt, match="unpacks to more"):
        replay(spike[2])


def test_a_state_of_another_version_is_named(spike, tmp_path):
    def older(members, manifest):
        members["snapshot"] = b"TOCSNAP1" + members["snapshot"][8:]
        manifest["sha256"]["snapshot"] = bundles.hashlib.sha256(members["snapshot"]).hexdigest()
        manifest["version"] = "0.0.1"

    with pytest.raises(Corrupt, match=r"older format.*made by tocsin 0\.0\.1"):
        replay(rebuilt(spike[2], tmp_path / "older.tar", older=older))


def test_the_oldest_captures_go(spike, tmp_path):
    data, incident, _ = spike
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    captures = Captures(copy, most=1)
    other = incident.__class__(**{**{f: getattr(incident, f) for f in incident.__slots__}, "id": "inc-" + "0" * 20})
    captures.keep(other, captures.told(incident.id)["cause"])
    assert captures.told(other.id) is not None
    assert captures.told(incident.id) is None
    assert captures.place("../x") is None
