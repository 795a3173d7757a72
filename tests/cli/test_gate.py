"""The gate as a pipeline sees it: exit codes, the table, and one JSON document."""

from __future__ import annotations

import json


def test_gate(tocsin, tmp_path):
    (tmp_path / "records.jsonl").write_text('{"prediction": 1, "truth": 1, "tags": {"region": "eu"}}\n' * 300)
    (tmp_path / "policy.yaml").write_text("rules: [{type: performance, measure: accuracy, at_least: 0.9}]")
    done = tocsin("gate", "--policy", "policy.yaml", "records.jsonl")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("pass\taccuracy at least 0.9\tall\tpass\taccuracy is 1 (")
    assert "passed: 0 of 1 verdicts on 300 rows failed" in done.stderr
    (tmp_path / "policy.yaml").write_text("rules: [{type: performance, measure: accuracy, at_most: 0.9}]")
    failed = tocsin("gate", "--policy", "policy.yaml", "records.jsonl", "--json")
    found = json.loads(failed.stdout)
    assert (failed.returncode, found["passed"], found["rows"]) == (1, False, 300)
    assert found["rules"][0]["verdict"] == "fail"
    (tmp_path / "policy.yaml").write_text("rulez: []")
    bad = tocsin("gate", "--policy", "policy.yaml", "records.jsonl")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "policy.yaml:1:1: unknown key `rulez`; did you mean `rules`?" in bad.stderr
    assert tocsin("gate", "--policy", "none.yaml", "records.jsonl").returncode == 2
