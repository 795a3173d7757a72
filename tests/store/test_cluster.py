"""Telemetry on a ClickHouse cluster: the statements that make its tables, and the configuration."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tocsin.app.stores import cluster_of
from tocsin.spec.config import Config
from tocsin.store.cluster import Cluster, Tier
from tocsin.store.layout import CUTS, ClusterLayout
from tocsin.store.retention import RETENTION_DAYS
from tocsin.store.schema import TABLES

GOLDEN = Path(__file__).parent / "cluster.sql"
KEPT = {name: days * 86_400 for name, days in RETENTION_DAYS.items()}
TIERS = (Tier(2 * 86_400, "cold"), Tier(300 * 86_400, "cold", ("events",)))
ON_PAPER = Cluster("clickhouse://tocsin@ch:8123", "one", storage_policy="tiered", tiers=TIERS[:1])


def test_the_statements_that_make_a_cluster_are_these():
    made = ";\n\n".join(ClusterLayout(ON_PAPER).made(KEPT)) + ";\n"
    if os.environ.get("TOCSIN_WRITE_GOLDEN"):
        GOLDEN.write_text(made)
    assert made == GOLDEN.read_text()


@pytest.mark.parametrize("table", [*TABLES, CUTS], ids=lambda table: table.name)
def test_all_versions_of_a_row_meet_on_one_shard(table):
    """Deduplication by key works within a shard only: what spreads rows must be said by their key."""
    assert table.shard
    if table.replacing:
        assert set(re.findall(r"\w+", table.shard)) <= set(re.findall(r"\w+", table.order))


def test_the_configuration_says_where_the_cluster_is():
    said = {"url": "clickhouse://ann@ch", "cluster": "main", "storage_policy": "tiered"}
    config = Config.model_validate({"telemetry": {**said, "tiers": [{"after": "3d", "volume": "cold"}]}})
    cluster = cluster_of(config, {})
    assert (cluster.where, cluster.name, cluster.tiers) == ("clickhouse://ch:8123", "main", (Tier(259_200, "cold"),))
    assert cluster_of(config, {"TOCSIN_TELEMETRY_URL": "clickhouses://other"}).where == "clickhouses://other:8443"
    assert cluster_of(Config(), {}) is None
    for bad in (
        {"url": "http://ch", "cluster": "c"},
        {"url": "clickhouse://ch"},
        {**said, "storage_policy": "", "tiers": [{"after": "3d", "volume": "c"}]},
    ):
        with pytest.raises(ValueError, match=r"clickhouse|cluster|storage_policy"):
            Config.model_validate({"telemetry": bad})
