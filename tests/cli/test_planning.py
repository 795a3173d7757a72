"""`plan`, `apply`, `rollback` and `drill` as scripts and CI rely on them."""

import json

import pytest

from tocsin.cli.client import Server

INCIDENT = {
    "id": "inc-1",
    "title": "web | <b>slow</b>\x1b[31m",
    "severity": "error",
    "opened_at": "2026-01-01T00:00:00Z",
}
FOUND = {
    "changed": True,
    "days": 7.0,
    "parts": ["monitors"],
    "monitors": [{"monitor": "lat|ency", "change": "changed", "judged_by": "panes", "reason": ""}],
    "notes": ["what is unknown is left out of the figures"],
    "difference": {
        "weeks": 1.0,
        "incidents": {"before": 2, "after": 1, "lost": [INCIDENT], "added": [], "kept": 1},
        "delay_s": {"median": 120.0, "least": 60.0, "most": 180.0},
        "pages_per_week": {"before": 2.0, "after": 1.0, "added": -1.0},
    },
}
SAME = {"changed": False, "days": 7.0, "parts": [], "monitors": [], "notes": [], "difference": None}
DRILL = {
    "planted": 4,
    "found": 3,
    "recall": 0.75,
    "delay_s": {"median": 60.0, "most": 90.0},
    "by_shape": {},
    "by_monitor": {},
}


@pytest.fixture
def server(monkeypatch):
    """What is posted, and what is answered to it."""
    said = {
        "/api/plan": FOUND,
        "/api/config": {"sha256": "f" * 64},
        "/api/config/rollback": {"sha256": "e" * 64},
        "/api/drill": DRILL,
    }
    posted = []

    def post(_, path, body=None):
        posted.append((path, body))
        return said[path]

    monkeypatch.setattr(Server, "post", post)
    post.said, post.posted = said, posted
    return post


@pytest.fixture
def files(tmp_path):
    one, two = tmp_path / "a.yaml", tmp_path / "b.yaml"
    one.write_text("dry_run: true")
    two.write_text("monitors: []\n")
    return one, two


def test_a_plan_ends_with_1_when_something_would_change_and_0_when_not(tocsin, server, files):
    done = tocsin("plan", *files)
    assert done.returncode == 1
    assert server.posted == [("/api/plan", {"text": "dry_run: true\nmonitors: []\n", "days": 7.0})]
    for words in ("pages a week: 2.00 before, 1.00 after (-1.00)", "1 lost, 0 added, 1 kept", "later by 120 s"):
        assert words in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    done = tocsin("plan", files[0], "--json")
    assert json.loads(done.stdout) == FOUND
    server.said["/api/plan"] = SAME
    assert tocsin("plan", files[0]).returncode == 0


def test_markdown_for_a_pull_request_is_inert(tocsin, server, files):
    done = tocsin("plan", files[0], "--markdown")
    assert done.returncode == 1
    assert "| lat\\|ency | changed | panes |  |" in done.stdout
    assert "\\<b\\>slow\\</b\\>" in done.stdout
    assert "- pages a week: 2.00 before" in done.stdout
    server.said["/api/plan"] = SAME
    assert "nothing would change" in tocsin("plan", files[0], "--markdown").stdout


def test_files_that_cannot_be_read_end_with_2_and_their_place(tocsin, server, files, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("monitors: [\n")
    done = tocsin("plan", bad)
    assert done.returncode == 2
    assert "bad.yaml:" in done.stderr
    assert tocsin("plan", tmp_path / "none.yaml").returncode == 2
    twice = tocsin("apply", files[0], files[0])
    assert twice.returncode == 2
    assert server.posted == []


def test_apply_and_rollback_say_how_to_go_back(tocsin, server, files):
    assert "tocsin rollback" in tocsin("apply", files[0]).stderr
    assert json.loads(tocsin("rollback", "--json").stdout) == {"sha256": "e" * 64}
    assert [path for path, _ in server.posted] == ["/api/config", "/api/config/rollback"]


def test_a_drill_below_the_recall_that_is_wanted_ends_with_1(tocsin, server):
    assert tocsin("drill", "--min-recall", "0.7").returncode == 0
    done = tocsin("drill", "--min-recall", "0.8", "--monitor", "latency")
    assert done.returncode == 1
    assert "0.75" in done.stdout
    assert server.posted[-1][1]["monitors"] == ["latency"]
