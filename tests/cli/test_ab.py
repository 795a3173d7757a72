"""A/B as a script sees it."""

from __future__ import annotations

import json


def test_ab(tocsin, tmp_path):
    lines = [f"v{1 + k % 2},{int(k % 4 == 1 or k % 8 == 0)}" for k in range(8000)]
    (tmp_path / "r.csv").write_text("version,good\n" + "\n".join(lines) + "\n")
    done = tocsin("ab", "r.csv", "--arm", "version", "--metric", "good")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("v2\tbetter\t4000\t4000\t")
    assert "note: v1 is taken as the control" in done.stderr
    worse = tocsin("ab", "r.csv", "--arm", "version", "--metric", "good", "--control", "v2", "--json")
    found = json.loads(worse.stdout)
    assert (worse.returncode, found["treatments"][0]["outcome"]) == (1, "worse")
    assert found["ratio"]["mismatch"] is False
    for option, text in (("--ratio", "50"), ("--ratio", "1:x"), ("--ratio", "0:1"), ("--bounds", "1:0")):
        bad = tocsin("ab", "r.csv", "--arm", "version", "--metric", "good", option, text)
        assert (bad.returncode, bad.stdout) == (2, "")
        assert option in bad.stderr
