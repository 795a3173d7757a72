"""B20: a vector store that answers slowly or not at all is found, by its own page and by the spans of who asks it."""

import numpy as np
import pytest

from llm_world import MINUTE, MONDAY, S, folded, spans_frame
from tocsin.engine.pipeline import Pipeline
from tocsin.ingest.prometheus_text import parse_exposition
from tocsin.model.codec import findings_of
from tocsin.model.frame import SCHEMAS, FrameKind, frame_of, points_frame
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog, Series
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

NAMES = {"vector_stores", "db", "resources", "families"}
CALM, BAD = 60, 12
BEATS = 2
PER_BEAT = 60
STORES = {
    # name of the histogram, its labels, bounds, median when calm, all in its own unit; counters of good and of failed calls
    "qdrant": (
        "rest_responses_duration_seconds", 'method="POST",endpoint="/collections/{collection_name}/points/query",status="200"',
        (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5), 0.006,
        'rest_responses_total{method="POST",endpoint="/collections/{collection_name}/points/query",status="200"}',
        'rest_responses_total{method="POST",endpoint="/collections/{collection_name}/points/query",status="500"}',
    ),
    "milvus": (
        "milvus_proxy_sq_latency", 'collection_name="handbook",node_id="1",query_type="search"',
        (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), 9.0,
        'milvus_proxy_req_count{function_name="Search",node_id="1",status="success"}',
        'milvus_proxy_req_count{function_name="Search",node_id="1",status="fail"}',
    ),
    "weaviate": (
        "queries_durations_ms", 'class_name="Handbook",query_type="get_graphql"',
        (10, 50, 100, 500, 1000, 5000, 10000), 30.0, "", "",
    ),
}  # fmt: skip


def packs():
    return [pack for pack in load_packs() if pack.name in NAMES]


class Store:
    """What a store's page says, beat by beat: cumulative counts, as its exporter writes them."""

    def __init__(self, name, seed):
        self.histogram, self.labels, self.bounds, self.median, self.good, self.failed = STORES[name]
        self.rng = np.random.default_rng(seed)
        self.counts = np.zeros(len(self.bounds) + 1)
        self.sum = self.ok = self.bad = 0

    def page(self, *, slow=False, failing=False):
        n = int(self.rng.poisson(PER_BEAT))
        bad = int(self.rng.binomial(n, 0.3 if failing else 0.002))
        took = self.median * (8 if slow else 1) * self.rng.lognormal(0, 0.5, n - bad)
        self.counts += np.bincount(np.searchsorted(self.bounds, took), minlength=len(self.counts))
        self.sum, self.ok, self.bad = self.sum + took.sum(), self.ok + n - bad, self.bad + bad
        told = np.cumsum(self.counts)
        lines = [f"# TYPE {self.histogram} histogram"]
        lines += [
            f'{self.histogram}_bucket{{{self.labels},le="{bound}"}} {count:.0f}'
            for bound, count in zip((*self.bounds, "+Inf"), told, strict=True)
        ]
        lines += [
            f"{self.histogram}_sum{{{self.labels}}} {self.sum}",
            f"{self.histogram}_count{{{self.labels}}} {told[-1]:.0f}",
        ]
        if self.good:
            lines += [
                f"# TYPE {self.good.partition('{')[0]} counter",
                f"{self.good} {self.ok}",
                f"{self.failed} {self.bad}",
            ]
        return "\n".join(lines) + "\n"


def frames_of(text, catalog, now):
    """A page as the scraper takes it in."""
    page = parse_exposition(text, "text/plain", {"instance": "10.0.0.8:6333", "job": "store"})
    ref = {
        id(row): catalog.intern(Series.of("main", row.signal, row.labels))
        for row in (*page.points, *page.distributions)
    }
    refs = np.array([ref[id(row)] for row in page.points], "i4")
    found = [
        points_frame(
            "main", "scrape/store", refs, np.full(len(refs), now), np.array([row.value for row in page.points], "f8")
        )
    ]
    empty = dict.fromkeys(SCHEMAS[FrameKind.DISTRIBUTIONS].names)
    rows = [
        empty | {
            "series": ref[id(row)], "time": now, "start": 0, "flags": 0, "count": row.count, "sum": row.sum,
            "min": float("nan"), "max": float("nan"), "bounds": row.bounds, "counts": row.counts, "zero_count": 0.0,
            "negative_counts": [],
        }
        for row in page.distributions
    ]  # fmt: skip
    columns = {name: [row[name] for row in rows] for name in SCHEMAS[FrameKind.DISTRIBUTIONS].names}
    return [each for each in (*found, frame_of(FrameKind.DISTRIBUTIONS, "main", "scrape/store", columns)) if len(each)]


def watched(name, seed=1, calm=CALM, **wrong):
    """Monitors that found something, of `calm` minutes and of twelve of what is wrong, if anything is.

    Four failures within five minutes of an hour that has hardly any are a finding, as in the world of seed 20; of
    fourteen worlds of Milvus and of Qdrant, four hours each (seeds 1 to 14), none has any (2026-11-23).
    """
    catalog, store = Catalog(), Store(name, seed)
    pipeline, offset, found = Pipeline(catalog), 0, []
    pipeline.fold(LogRecord(0, EngineSpec(packs=packs()).control()))
    for beat in range((calm + BAD) * BEATS):
        now = MONDAY + (beat + 1) * MINUTE // BEATS
        entries = frames_of(store.page(**(wrong if beat >= calm * BEATS else {})), catalog, now)
        for entry in (*entries, Tick(now + S, {("main", "scrape/store"): now})):
            offset += 1
            said = pipeline.fold(LogRecord(offset, entry))
            for frame in said.frames if said else ():
                if frame.kind is FrameKind.FINDINGS:
                    found += [(now, each) for each in findings_of(frame, catalog)]
    assert all(now > MONDAY + calm * MINUTE for now, _ in found)
    return {each.monitor for _, each in found}


@pytest.mark.parametrize(
    ("name", "wrong", "monitor"),
    [
        ("qdrant", {"slow": True}, "qdrant-rest-duration-p95"),
        ("qdrant", {"failing": True}, "vector-store-server-errors"),
        ("milvus", {"slow": True}, "milvus-search-latency-p95"),
        ("milvus", {"failing": True}, "milvus-failures"),
        ("weaviate", {"slow": True}, "weaviate-query-duration-p95"),
    ],
)
def test_b20_by_the_page_of_a_store(name, wrong, monitor):
    assert watched(name, **wrong) == {monitor}


def test_b20_by_the_spans_of_who_asks():
    rng, rows = np.random.default_rng(3), []
    for k in range((CALM + BAD) * 8):
        bad = k >= CALM * 8
        said = {
            "db.system.name": "qdrant", "db.operation.name": "query", "db.collection.name": "handbook",
            "db.response.returned_rows": 1 if bad else int(rng.integers(3, 6)),
        }  # fmt: skip
        rows.append((MONDAY + k * MINUTE // 8, said, {"trace": k + 1, "status": "error" if bad and k % 3 else "ok"}))
    frames = [spans_frame(rows[at : at + 8]) for at in range(0, len(rows), 8)]
    found, _ = folded(frames, packs(), every=MINUTE)
    assert {each.monitor for _, each in found} == {"vector-store-errors", "vector-store-results", "db-errors"}
    assert all(now > MONDAY + CALM * MINUTE for now, _ in found)
    (labels,) = {each.series.labels for _, each in found if each.monitor.startswith("vector")}
    assert dict(labels)["db.collection.name"] == "handbook"
