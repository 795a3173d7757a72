"""H4: a target that vanishes, an XID gauge that keeps its code, a feed of zeros and a late feed: each named for what it is."""

import json

import numpy as np
import pytest

from serving_world import START, S, gauge
from tocsin.correlate.reducer import Reducer
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.incident.severity import grader
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.incident import IncidentState
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog, Series
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

BEAT = 30 * S
GPU = {"UUID": "GPU-1", "gpu": "0", "Hostname": "n1", "instance": "n1:9400", "job": "dcgm"}
NAMES = {"blind", "gpu", "dcgm", "serving", "guide", "resources", "prometheus"}
CONFIG = Config.model_validate(
    {"monitors": [{"name": "queue", "signal": "queue.depth", "detect": {"threshold": {"above": 90}}}]}
)


class Fleet:
    """Targets, each a source of its own, of whom every one sends five series twice a minute."""

    def __init__(self):
        packs = [each for each in load_packs() if each.name in NAMES]
        self.spec = CONFIG.engine_spec(packs)
        self.catalog, self.pipeline = Catalog(), Pipeline(Catalog())
        self.now, self.offset = START, 0
        self.findings, self.incidents = [], {}
        self.muted, self.zeroed, self.late, self.told = set(), set(), set(), {}
        self.jobs = {"shop": ["a"], "cart": ["a"], "feed": ["a"], "pool": ["a", "b", "c"]}
        self.begin()

    def begin(self):
        self.pipeline = Pipeline(self.catalog)
        self.reducer = Reducer(self.spec, grader())
        self.feed(self.spec.control())

    def feed(self, entry):
        self.offset += 1
        output = self.pipeline.fold(LogRecord(self.offset, entry))
        for frame in () if output is None else output.frames:
            if frame.kind is FrameKind.FINDINGS:
                self.findings += frame.rows()
        if output is not None:
            for step in self.reducer.fold(output, self.catalog):
                self.incidents[step.incident.id] = step.incident

    def pages(self):
        rng = np.random.default_rng([self.now // S])
        for job, instances in self.jobs.items():
            for instance in instances:
                labels = {"job": job, "instance": f"{job}-{instance}"}
                rows = [gauge(f"m{k}", labels, 5.0 + rng.random()) for k in range(4)]
                yield job, instance, [*rows, gauge("queue.depth", labels, self.told.get(job, 40 + rng.random()))]
        xid = gauge("DCGM_FI_DEV_XID_ERRORS", GPU, self.told.get("xid", 0))
        yield "dcgm", "n1", [xid, gauge("DCGM_FI_DEV_POWER_USAGE", GPU, 200 + rng.random())]

    def beat(self):
        self.now += BEAT
        marks = {}
        for job, instance, rows in self.pages():
            source = f"scrape/{job}-{instance}"
            marks["main", source] = self.now - 5 * S  # a source that falls silent is waited for no longer
            if job in self.muted or f"{job}-{instance}" in self.muted:
                continue
            time = self.now - (600 * S if job in self.late else 0)
            values = np.array([0.0 if job in self.zeroed else value for *_, value in rows])
            refs = [self.catalog.intern(Series.of("main", signal, labels)) for signal, labels, _ in rows]
            self.feed(points_frame("main", source, np.array(refs, "i4"), np.full(len(refs), time), values))
        self.feed(Tick(self.now + S // 2, marks))

    def live(self, seconds):
        for _ in range(seconds * S // BEAT):
            self.beat()

    def of(self, phase="open"):
        return [each for each in self.findings if each["phase"] == phase]

    def named(self):
        found = [(each, self.catalog[each["series"]]) for each in self.of()]
        return [(each["monitor"], series.label("job") or series.label("Hostname")) for each, series in found]


@pytest.fixture(scope="module")
def grown():
    """Seventy minutes in which all is well: they are frozen, and each test goes on from there."""
    fleet = Fleet()
    fleet.live(4200)
    assert fleet.findings == []
    return fleet.catalog, fleet.now, pack(fleet.pipeline.snapshot())


@pytest.fixture
def fleet(grown):
    catalog, now, frozen = grown
    found = Fleet()
    found.catalog, found.now = catalog, now
    found.begin()
    found.pipeline.restore(unpack(frozen))
    return found


def test_each_of_the_four_is_named_rightly(fleet):
    fleet.told["shop"] = 99.0
    fleet.live(120)
    assert fleet.named() == [("queue", "shop")]
    fleet.told["xid"] = 79
    fleet.muted.add("shop")
    fleet.zeroed.add("cart")
    fleet.late.add("feed")
    fleet.live(900)
    blind = [each for each in fleet.of() if json.loads(each["evidence"]).get("kind") == "blind"]
    states = {fleet.catalog[each["series"]].label("job"): json.loads(each["evidence"]) for each in blind}
    assert {job: told["state"] for job, told in states.items()} == {"shop": "absent", "cart": "zero", "feed": "late"}
    assert states["shop"]["deviation"].startswith("vanished: instance=shop-a, job=shop told its last at ")
    assert states["cart"]["deviation"].startswith("zeroed: 5 series of instance=cart-a, job=cart became zero together")
    assert states["feed"]["deviation"].startswith("late: 5 series of instance=feed-a, job=feed come far later")
    [xid] = [each for each in fleet.of() if each["monitor"] == "gpu-xid"]
    said = json.loads(xid["evidence"])
    assert said["code"] == 79
    assert said["recovery"].startswith("inferred: the gauge keeps its last code")

    # absence resolves nothing: neither what was wrong before, nor the blindness
    assert not [each for each in fleet.of("close") if each["monitor"] == "queue"]
    mine = [each for each in fleet.incidents.values() if any(f.monitor == "queue" for f in each.findings)]
    assert [each.state for each in mine] == [IncidentState.OPEN]
    fleet.live(600)
    closed = {each["monitor"] for each in fleet.of("close")}
    assert closed == {"gpu-xid"}, "the gauge still says 79, and its recovery was inferred"

    fleet.muted, fleet.zeroed, fleet.late, fleet.told = set(), set(), set(), {"xid": 79}
    fleet.live(900)
    closed = {each["monitor"] for each in fleet.of("close")}
    assert closed >= {"queue", "feed-vanished", "feed-zero", "feed-late"}


def test_a_copy_that_is_replaced_or_let_go_is_no_blindness(fleet):
    fleet.jobs["pool"] = ["a", "b", "c", "d"]
    fleet.muted.add("pool-c")  # replaced by d
    fleet.live(900)
    fleet.muted |= {"pool-b", "pool-d"}
    fleet.live(900)
    assert fleet.named() == []
    fleet.muted.add("pool-a")
    fleet.live(900)
    assert fleet.named() == [("feed-vanished", "pool")], "the last one; the others were let go long before"


def test_a_job_that_comes_and_goes_is_waited_for_as_long_as_it_was_ever_away(fleet):
    fleet.muted.add("shop")
    fleet.live(900)
    assert fleet.named() == [("feed-vanished", "shop")]
    fleet.muted.clear()
    fleet.live(900)
    fleet.muted.add("shop")
    fleet.live(1500)
    assert len(fleet.named()) == 1, "it was away for a quarter of an hour before"
    fleet.live(900)
    assert len(fleet.named()) == 2


def test_after_a_restart_the_same_is_said(fleet):
    fleet.muted.add("shop")
    fleet.live(150)
    frozen = pack(fleet.pipeline.snapshot())
    other = Fleet()
    other.catalog, other.now = fleet.catalog, fleet.now
    other.begin()
    other.pipeline.restore(unpack(frozen))
    other.muted.add("shop")
    fleet.live(600)
    other.live(600)
    assert [each["id"] for each in fleet.of()] == [each["id"] for each in other.of()]
    assert len(fleet.of()) == 1
