"""Exit codes and streams, as scripts rely on them."""

from __future__ import annotations

import json
import socket
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline_file import PIPELINE

SILENCE = {
    "id": "sil-1",
    "matchers": {"service.name": "web", "severity": "error"},
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2026-01-01T02:00:00Z",
    "by": "ann",
    "note": "load test",
    "over": False,
    "incidents": 2,
}
ENTRY = {
    "seq": 7,
    "time": "2026-01-01T00:00:00Z",
    "actor": "ann",
    "action": "silence",
    "subject": "sil-1",
    "detail": {"b": 1},
}

SOURCE = {"kind": "finding", "ref": "f1", "link": "/signals?signal=x"}
SUMMARY = {
    "id": "i1",
    "title": "bot is slow",
    "sentences": [
        {"part": "what", "text": "It is \x1b[31mslow\x1b[0m.", "sources": [SOURCE]},
        {"part": "next", "text": "Look.", "sources": [{**SOURCE, "kind": "guide"}]},
    ],
    "rephrased": [{"part": "what", "text": "Slow.", "sources": [SOURCE]}],
    "rephrased_at": "2026-01-01T00:00:00Z",
    "model": "tiny",
}


class Api(BaseHTTPRequestHandler):
    """Plays the control API."""

    incidents = {
        "incidents": [
            {
                "id": "i1",
                "severity": "error",
                "state": "open",
                "opened_at": "2026-01-01T00:00:00Z",
                "title": "\x1b[31mred\x1b[0m\nalert",
            }
        ]
    }

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("authorization")))
        if self.path == "/api/incidents/i1/summary":
            self._answer(200, json.dumps(SUMMARY).encode())
        elif self.path.startswith("/api/incidents"):
            self._answer(200, json.dumps(self.incidents).encode())
        elif self.path.startswith("/api/silences"):
            self._answer(200, json.dumps({"silences": [SILENCE]}).encode())
        elif self.path.startswith("/api/audit/verify"):
            self._answer(200, json.dumps(self.server.audit).encode())
        elif self.path.startswith("/api/audit"):
            self._answer(200, json.dumps({"entries": [ENTRY], "next": None, "actions": ["silence"]}).encode())
        elif self.path.startswith("/api/export/points"):
            self._answer(200, b'{"value": 1}\n', "application/jsonl")
        elif self.path.startswith("/api/export/logs"):
            self._answer(503, b'{"detail": "the store starts"}')
        else:
            self._answer(401, b'{"title": "no key"}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((self.path, body.decode()))
        if self.path == "/api/backup":
            self._answer(200, b"tar", "application/x-tar")
        elif self.path == "/api/silences":
            self._answer(201, json.dumps(SILENCE).encode())
        elif self.path.endswith("/nope/ack"):
            self._answer(
                404, b'{"title": "Not Found", "detail": "there is no incident \'nope\' here", "next": "list them"}'
            )
        else:
            self._answer(200, b"{}")

    def do_DELETE(self):
        self.server.asked.append((self.path, "DELETE"))
        if self.path == "/api/silences/sil-1":
            self._answer(200, json.dumps({**SILENCE, "over": True}).encode())
        else:
            self._answer(404, b'{"detail": "there is no silence here", "next": "list them at /api/silences"}')

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked = []
    server.audit = {"sound": True, "entries": 7, "reason": ""}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_check(tocsin, process, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("dry_run: true\n")
    bad.write_text("dry_run: true\nlatenes: 5s\n")
    done = tocsin("check", good)
    assert (done.returncode, done.stdout) == (0, "")
    done = tocsin("check", good, "bad.yaml")
    assert (done.returncode, done.stdout) == (2, "bad.yaml:2:1: unknown key `latenes`; did you mean `lateness`?\n")
    assert done.stderr == "2 checked: 1 error, 0 warnings\n"
    done = tocsin("check", bad, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "ok": False,
        "problems": [
            {
                "file": str(bad),
                "line": 2,
                "column": 1,
                "level": "error",
                "message": "unknown key `latenes`; did you mean `lateness`?",
            }
        ],
    }
    assert tocsin("check", "none.yaml").returncode == 2
    assert process("check", "bad.yaml").returncode == 2


def test_check_tells_what_a_pipeline_file_asks_for_in_vain(tocsin, tmp_path):
    text = PIPELINE.replace("std_multiplier: 3.0", "std_multiplier: 30.0")
    (tmp_path / "p.yaml").write_text(text)
    done = tocsin("check", "p.yaml", TOCSIN_KAFKA_BOOTSTRAP="127.0.0.1:9")
    multiplier, model = done.stdout.splitlines()
    assert multiplier.startswith("p.yaml:5:108: warning: `std_multiplier: 30.0` has no effect")
    assert model.startswith("p.yaml:5:17: warning: there is no model file /models/temporal_autoencoder.onnx")
    assert "no drift of inputs is watched" in model
    assert (done.returncode, done.stderr) == (0, "1 checked: 0 errors, 2 warnings\n")


def test_check_reads_the_environment(tocsin, tmp_path):
    (tmp_path / "t.yaml").write_text("destinations: [{name: a, type: webhook, url: '${HOOK}'}]\nroutes: [{to: a}]\n")
    assert "`HOOK` is not set" in tocsin("check", "t.yaml").stdout
    assert tocsin("check", "t.yaml", HOOK="https://example.org").returncode == 0


@pytest.mark.parametrize(
    "args",
    [[], ["nope"], ["serve", "--port", "x"], ["check"], ["event", "party", "x"], ["key", "create", "--scope", "god"]],
)
def test_a_wrong_command_line_is_2(process, args):
    done = process(*args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_version(process):
    done = process("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "tocsin")


def test_serve_with_a_bad_file_is_2_before_anything_starts(process, tmp_path):
    (tmp_path / "t.yaml").write_text("sources: [{name: a, type: kafk}]")
    done = process("serve", "--config", "t.yaml", "--data", tmp_path / "d")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "t.yaml:1:27: `kafk` is not known here; did you mean `kafka`?\n"
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("url", ["tocsin.example", "javascript:alert(1)", "https://", "https://a b/"])
def test_a_public_address_that_is_none_is_2(tocsin, url):
    done = tocsin("serve", "--public-url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "write it like https://tocsin.example.org" in done.stderr


def test_serve_on_a_taken_port_is_2(process, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = process("serve", "--port", port, "--data", tmp_path / "d", "--otlp-http-port", 0, "--otlp-grpc-port", 0)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken by" in done.stderr


def test_nobody_there_is_3(tocsin, process):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
        for args in (["incidents"], ["ack", "x"], ["event", "deploy", "x"], ["export", "points"], ["backup", "f.tar"]):
            done = tocsin(*args, "--url", nobody)
            assert (done.returncode, done.stdout) == (3, "")
            assert done.stderr.startswith(f"can't reach {nobody}: ")
            assert "tocsin serve" in done.stderr
        assert process("incidents", "--url", nobody).returncode == 3


def test_what_is_no_address_is_2(tocsin):
    done = tocsin("incidents", TOCSIN_URL="nowhere")
    assert (done.returncode, done.stderr[:42]) == (2, "'nowhere' is not the address of a server; ")


def test_incidents(tocsin, api):
    done = tocsin("incidents", "--url", url(api), "--key", "tk_x", "--state", "open")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split("\t") == [
        "i1",
        "error",
        "open",
        "2026-01-01T00:00:00Z",
        "[31mred [0m alert",
    ]
    assert api.asked == [("/api/incidents?state=open&limit=100", "Bearer tk_x")]
    done = tocsin("incidents", "--json", TOCSIN_URL=url(api))
    assert json.loads(done.stdout) == Api.incidents
    assert "\x1b" not in done.stdout


def test_ack_and_event(tocsin, api):
    assert tocsin("ack", "a/b", "--note", "mine", "--url", url(api)).returncode == 0
    assert tocsin("event", "deploy", "v2", "--entity", "api", "--time", "5", "--url", url(api)).returncode == 0
    assert api.asked[0] == ("/api/incidents/a%2Fb/ack", '{"note":"mine"}')
    assert api.asked[1][0] == "/api/events"
    assert json.loads(api.asked[1][1]) == {"kind": "deploy", "what": "v2", "entity": "api", "time": "5"}
    done = tocsin("ack", "nope", "--url", url(api))
    assert (done.returncode, done.stdout) == (2, "")
    assert "refused (404): there is no incident 'nope' here; list them" in done.stderr


def test_silence_silences_and_unsilence(tocsin, api):
    args = ("service.name=web,severity=error", "--for", "2h", "--note", "load test", "--url", url(api))
    done = tocsin("silence", *args)
    assert (done.returncode, done.stdout) == (0, "sil-1\n")
    assert done.stderr == "silenced until 2026-01-01T02:00:00Z; 2 open incidents match\n"
    path, body = api.asked[0]
    assert (path, json.loads(body)) == (
        "/api/silences",
        {"matchers": {"service.name": "web", "severity": "error"}, "for": "2h", "note": "load test"},
    )
    assert json.loads(tocsin("silence", *args, "--json").stdout) == SILENCE
    done = tocsin("silences", "--url", url(api))
    assert done.stdout.splitlines()[1].split("\t") == [
        "sil-1",
        "2026-01-01T02:00:00Z",
        "service.name=web,severity=error",
        "ann",
        "2",
        "load test",
    ]
    assert tocsin("unsilence", "sil-1", "--url", url(api)).returncode == 0
    gone = tocsin("unsilence", "sil/2", "--url", url(api))
    assert (gone.returncode, "list them at /api/silences" in gone.stderr) == (2, True)
    assert api.asked[-1] == ("/api/silences/sil%2F2", "DELETE")


@pytest.mark.parametrize("args", [["web", "--for", "2h"], ["a=1,a=2", "--for", "2h"], ["=x", "--for", "1h"], ["a=b"]])
def test_a_silence_that_matches_nothing_is_2_and_never_sent(tocsin, api, args):
    assert tocsin("silence", *args, "--url", url(api)).returncode == 2
    assert api.asked == []


def test_feedback(tocsin, api):
    assert tocsin("feedback", "inc-1", "false-alarm", "--note", "test", "--url", url(api)).returncode == 0
    assert tocsin("feedback", "inc-1", "real", "--url", url(api)).returncode == 0
    assert tocsin("feedback", "inc-1", "maybe", "--url", url(api)).returncode == 2
    assert [(path, json.loads(body)) for path, body in api.asked] == [
        ("/api/incidents/inc-1/feedback", {"verdict": "false_alarm", "note": "test"}),
        ("/api/incidents/inc-1/feedback", {"verdict": "real_problem", "note": ""}),
    ]


def test_audit(tocsin, api):
    done = tocsin("audit", "list", "--url", url(api))
    assert done.stdout.splitlines()[1].split("\t")[2:] == ["ann", "silence", "sil-1", '{"b": 1}']
    assert tocsin("audit", "verify", "--url", url(api)).returncode == 0
    api.audit = {"sound": False, "entries": None, "reason": "entry 3 was changed"}
    done = tocsin("audit", "verify", "--url", url(api))
    assert (done.returncode, done.stderr) == (1, "entry 3 was changed\n")


def test_reading_a_data_directory_that_is_none(tocsin, tmp_path):
    for command in (["export", "points"], ["incidents"]):
        done = tocsin(*command, "--data", tmp_path / "none")
        assert (done.returncode, done.stdout) == (2, "")
        assert "there is no data directory" in done.stderr
        assert not (tmp_path / "none").exists()


def test_export(tocsin, api, tmp_path):
    done = tocsin(
        "export", "points", "--signal", "s", "--where", "a=b", "--where", "c=d", "--from", "1", "--url", url(api)
    )
    assert (done.returncode, done.stdout) == (0, '{"value": 1}\n')
    assert api.asked[0][0] == "/api/export/points?signal=s&from=1&format=jsonl&where=a%3Db&where=c%3Dd"
    assert tocsin("export", "points", "--out", "o.jsonl", "--url", url(api)).stdout == ""
    assert (tmp_path / "o.jsonl").read_text() == '{"value": 1}\n'
    assert tocsin("export", "points", "--where", "a", "--url", url(api)).returncode == 2
    busy = tocsin("export", "logs", "--out", "l.jsonl", "--url", url(api))
    assert (busy.returncode, "the store starts" in busy.stderr) == (3, True)
    assert not (tmp_path / "l.jsonl").exists()
    keyless = tocsin("export", "spans", "--url", url(api))
    assert (keyless.returncode, "TOCSIN_KEY" in keyless.stderr) == (2, True)


def test_a_file_that_can_not_be_written(tocsin, api):
    done = tocsin("export", "points", "--out", "no/such/o.jsonl", "--url", url(api))
    assert (done.returncode, done.stderr) == (2, "can't write no/such/o.jsonl: no such file or directory\n")


def test_keys(tocsin, tmp_path):
    data = tmp_path / "d"
    made = tocsin("key", "create", "--scope", "ingest", "--tenant", "acme", "--data", data)
    key = made.stdout.split()[-1]
    assert (made.returncode, key[:3], key in made.stderr) == (0, "tk_", False)
    assert stat.S_IMODE((data / "keys.json").stat().st_mode) == 0o600
    (listed,) = json.loads(tocsin("key", "list", "--json", "--data", data).stdout)["keys"]
    assert (listed["scope"], listed["tenant"], listed["id"]) == ("ingest", "acme", key.split("_")[1])
    assert tocsin("key", "revoke", listed["id"], "--data", data).returncode == 0
    assert json.loads(tocsin("key", "list", "--json", "--data", data).stdout) == {"keys": []}
    assert tocsin("key", "revoke", listed["id"], "--data", data).returncode == 2


def test_backup_and_restore(tocsin, api, tmp_path):
    data = tmp_path / "d"
    tocsin("key", "create", "--scope", "admin", "--data", data)
    assert tocsin("backup", "b.tar", "--data", data).returncode == 0
    assert tocsin("restore", "b.tar", "--data", tmp_path / "e").returncode == 0
    assert (tmp_path / "e" / "keys.json").read_text() == (data / "keys.json").read_text()
    assert tocsin("restore", "b.tar", "--data", data).returncode == 2
    assert tocsin("restore", "none.tar", "--data", tmp_path / "f").returncode == 2
    assert tocsin("backup", "online.tar", "--url", url(api)).returncode == 0
    assert (tmp_path / "online.tar").read_bytes() == b"tar"
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in ("b.tar", "online.tar"))


def test_doctor(tocsin, tmp_path):
    done = tocsin("doctor", "--json", "--data", tmp_path / "d")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    assert {"python", "packs", "data directory", "disk", "port"} <= {check["name"] for check in found["checks"]}
    assert any(check["name"] == "not seen" and "credentials" in check["text"] for check in found["checks"])
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = tocsin("doctor", "--json", "--data", blocked / "d")
    assert done.returncode == 1
    assert any(c["name"] == "data directory" and c["state"] == "error" for c in json.loads(done.stdout)["checks"])


def test_explain(tocsin, api):
    done = tocsin("explain", "i1", "--url", url(api))
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "bot is slow"
    assert "In the words of tiny, proven from what is below:" in lines
    assert lines[lines.index("What happened:") + 1 :][:2] == [
        "- It is [31mslow [0m.",
        "    finding f1  /signals?signal=x",
    ]
    done = tocsin("explain", "i1", "--url", url(api), "--json")
    assert json.loads(done.stdout) == SUMMARY
