"""Whatever stands in a file: a configuration, or faults at places inside it; never anything else."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.spec.config import Config
from tocsin.spec.load import parse_config
from tocsin.spec.packs import parse_pack
from tocsin.spec.pipeline import PipelineSpec
from tocsin.spec.problem import BadSpec, Problem

KEYS = [
    *Config.model_fields, *PipelineSpec.model_fields, "pipeline", "name", "type", "url", "targets", "path", "rules", "signal",
    "pattern", "detect", "baseline", "threshold", "above", "window", "size", "step", "match", "severity", "to", "escalate",
    "after", "when", "action", "variant", "factor", "fallback", "verify", "else", "for", "from", "version", "entities", "x",
]  # fmt: skip
VALUES = st.sampled_from(
    ["", "a", "prometheus", "file", "webhook", "slack", "email", "traffic_weight", "notify", "5s", "1d", "20MiB", "https://x/y",
     "kafka", "(?P<value>x)", "(", "error", "p95", None, True, 0, -1, 1.5, 10**20, 1e300]
)  # fmt: skip
TREES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)
CONFIGS = st.dictionaries(st.sampled_from([*Config.model_fields, "pipeline"]), TREES, min_size=1, max_size=4)


def faults(read, text: str) -> list[Problem]:
    try:
        read(text)
    except BadSpec as error:
        return list(error.problems)
    return []


@settings(max_examples=300)
@given(CONFIGS)
def test_any_configuration(value):
    text = json.dumps(value, indent=1)
    lines = text.splitlines()
    for problem in faults(lambda t: parse_config(t, "t.json", {}), text):
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert 0 < len(problem.message) < 1000
        assert "\n" not in str(problem)


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(["monitors", "mappings", "span_signals", "changes", "edges", "entities"]), TREES)
)
def test_any_pack(value):
    text = json.dumps({"name": "p", "version": 1, **value})
    for problem in faults(lambda t: parse_pack(t, "p.json"), text):
        assert (problem.line, problem.column >= 1) == (1, True)
