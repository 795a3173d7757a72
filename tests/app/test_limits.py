"""What tocsin.yaml says of limits and lateness, as the edge keeps it."""

from __future__ import annotations

import pytest

from tocsin.app.hot import edge_limits
from tocsin.ingest.limits import LATENESS_NS, Limits
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

S = 10**9


def limits(text):
    return edge_limits(parse_config(text, "tocsin.yaml", {}).config)


def test_nothing_said_is_the_default():
    assert limits("{}") == Limits()


def test_limits_are_passed_on():
    found = limits("limits: {body_bytes: 1MiB, in_flight_bytes: 64MiB, series_per_source: 10, series_per_tenant: 20}")
    assert (found.body_bytes, found.in_flight_bytes) == (2**20, 64 * 2**20)
    assert (found.series_per_source, found.series_per_tenant) == (10, 20)


def test_a_budget_that_holds_no_body_is_refused():
    with pytest.raises(BadSpec, match=r"tocsin.yaml:1:\d+: `in_flight_bytes` must hold at least one body"):
        limits("limits: {in_flight_bytes: 1MiB}")


def test_a_lateness_for_all_reaches_every_source_and_one_s_own_wins():
    sources = "sources: [{name: node, type: prometheus, targets: ['http://x/metrics'], lateness: 1s}]"
    found = limits(f"lateness: 40s\n{sources}")
    for source in (*LATENESS_NS, "otlp/api", "host/laptop", "scrape/other", "anything"):
        assert found.lateness_of(source) == 40 * S, source
    assert found.lateness_of("scrape/node") == S
    assert limits(sources).lateness_of("otlp/api") == LATENESS_NS["otlp"]
