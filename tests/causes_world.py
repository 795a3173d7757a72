"""Made systems with a known culprit, as folders for `tocsin diagnose`; they share no name or number with the product."""

import csv
import math
import random
from dataclasses import dataclass, field

T0 = 1_767_225_600.0
CALM_S = 1500
FAULT_S = 280


@dataclass
class Tables:
    """Rows of a folder, by table."""

    metrics: list = field(default_factory=list)
    logs: list = field(default_factory=list)
    spans: list = field(default_factory=list)
    edges: list = field(default_factory=list)
    events: list = field(default_factory=list)

    def write(self, folder, *names):
        heads = {
            "metrics": "time entity metric value",
            "logs": "time entity severity body",
            "spans": "trace_id span_id parent_id entity operation start duration status",
            "edges": "caller callee",
            "events": "time entity kind what",
        }
        for name in names or heads:
            rows = getattr(self, name)
            if rows:
                with (folder / f"{name}.csv").open("w", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(heads[name].split())
                    writer.writerows(rows)
        return folder


# a video site: a few deep services, one of them called by all; calls go through client spans in half of the services
VIDEO = {
    "edge": [("catalog", 0.9), ("player", 0.6)],
    "catalog": [("search", 0.7), ("thumbs", 1.0), ("session", 1.0)],
    "player": [("drm", 1.0), ("manifest", 1.0), ("session", 1.0)],
    "search": [("vectors", 1.0)],
    "manifest": [("blobs", 1.0), ("thumbs", 0.3)],
    "drm": [("keys", 1.0)],
    "thumbs": [("blobs", 0.5)],
    "session": [], "vectors": [], "blobs": [], "keys": [],
}  # fmt: skip
WORK_MS = {
    "edge": 2, "catalog": 7, "player": 5, "search": 11, "manifest": 9, "drm": 4,
    "thumbs": 3, "session": 1.5, "vectors": 21, "blobs": 14, "keys": 6,
}  # fmt: skip
VIDEO_FAULTS = [
    ("slow", "search"), ("slow", "session"), ("link", "blobs"), ("link", "drm"), ("error", "keys"), ("error", "vectors"),
    ("skip", "manifest"), ("cpu", "thumbs"), ("cpu", "catalog"), ("slow", "keys"), ("link", "session"), ("error", "drm"),
]  # fmt: skip


class Video:
    """Requests through `VIDEO` with one fault from `at` on."""

    def __init__(self, fault, culprit, seed):
        self.rng = random.Random(seed)
        self.fault, self.culprit = fault, culprit
        self.tables = Tables()
        self.at = T0 + CALM_S
        self._n = 0
        now = T0
        while now < self.at + FAULT_S:
            now += self.rng.expovariate(0.33)
            self._n += 1
            self._serve(f"t{self._n}", "", "edge", now)
        self._measure()

    def _on(self, now, *faults):
        return now >= self.at and self.fault in faults

    def _serve(self, trace, parent, name, now):
        rng, rows = self.rng, self.tables.spans
        mine = name == self.culprit
        self._n += 1
        span = f"s{self._n}"
        work = WORK_MS[name] / 1e3 * rng.lognormvariate(0, 0.5)
        if mine and self._on(now, "slow"):
            work += rng.uniform(0.15, 0.5)
        if mine and self._on(now, "cpu"):
            work *= rng.uniform(3, 9)
        failed = rng.random() < (0.45 if mine and self._on(now, "error") else 0.002)
        clock = now + work * 0.4
        calls = [] if (mine and self._on(now, "skip")) or (failed and mine) else VIDEO[name]
        for callee, share in calls:
            if rng.random() > share:
                continue
            below, clock, bad = self._call(trace, span, name, callee, clock)
            failed = failed or (bad and rng.random() < 0.9)
            assert below
        end = clock + work * 0.6
        rows.append(
            [trace, span, parent, name, f"serve {name}", f"{now:.6f}", f"{end - now:.6f}", "ERROR" if failed else "OK"]
        )
        text = f"handled {name} request {rng.randrange(10**6)}"
        self.tables.logs.append([f"{end:.3f}", name, "info", text])
        if failed and mine and self._on(now, "error"):
            self.tables.logs.append([f"{end:.3f}", name, "error", f"cannot decode frame {rng.randrange(10**4)}"])
        elif failed:
            self.tables.logs.append([f"{end:.3f}", name, "error", "downstream call failed"])
        return end, failed

    def _call(self, trace, parent, caller, callee, now):
        rng = self.rng
        wire = rng.uniform(0.0003, 0.0012)
        if callee == self.culprit and self._on(now, "link"):
            wire += rng.uniform(0.1, 0.4)
        above = parent
        if len(caller) % 2:  # half of the services are instrumented on the calling side
            self._n += 1
            above = f"s{self._n}"
        end, bad = self._serve(trace, above, callee, now + wire / 4)
        end += wire * 3 / 4
        if above != parent:
            status = "ERROR" if bad else "OK"
            self.tables.spans.append(
                [trace, above, parent, caller, f"call {callee}", f"{now:.6f}", f"{end - now:.6f}", status]
            )
        return above, end, bad

    def _measure(self):
        rng = self.rng
        for name in VIDEO:
            level = rng.uniform(0.05, 0.4)
            for tick in range(0, CALM_S + FAULT_S, 20):
                now = T0 + tick
                cpu = level * rng.lognormvariate(0, 0.15)
                if name == self.culprit and self._on(now, "cpu"):
                    cpu = rng.uniform(0.85, 1.0)
                self.tables.metrics.append([now, name, "cpu_ratio", f"{cpu:.5f}"])
                self.tables.metrics.append([now, name, "heap_mb", f"{400 * level + rng.gauss(0, 8):.2f}"])


# a payments back end known by its metrics alone: one level of gateways, workers, two stores; a step of 15 s
PAY = {
    "gateway-a": ["ledger", "risk"], "gateway-b": ["ledger", "fx"], "ledger": ["pg"], "risk": ["model", "cache"],
    "fx": ["cache"], "model": [], "pg": [], "cache": [],
}  # fmt: skip
PAY_FAULTS = [
    ("cpu", "risk"), ("cpu", "model"), ("mem", "cache"), ("mem", "ledger"), ("disk", "pg"), ("delay", "fx"),
    ("delay", "pg"), ("loss", "model"), ("loss", "ledger"), ("cpu", "gateway-b"), ("delay", "cache"), ("disk", "ledger"),
]  # fmt: skip
STEP_S = 15


class Pay:
    """Metrics of `PAY`: latency and errors go up the calls, with a lag; the rest stays where the fault is."""

    def __init__(self, fault, culprit, seed, *, edges=True):
        rng = random.Random(seed)
        self.at = T0 + CALM_S
        self.tables = Tables()
        if edges:
            self.tables.edges = [[caller, callee] for caller, below in PAY.items() for callee in below]
        base = {name: rng.uniform(4, 60) for name in PAY}
        for tick in range(0, CALM_S + FAULT_S, STEP_S):
            now = T0 + tick
            ms, bad = {}, {}
            for name in reversed(list(_order())):
                hit = now >= self.at and name == culprit
                own = base[name] * rng.lognormvariate(0, 0.12)
                own *= {"cpu": 2.5, "delay": 6, "disk": 3, "loss": 2.2, "mem": 1.4}[fault] if hit else 1
                below = PAY[name]
                ms[name] = own + sum(ms[each] for each in below)
                bad[name] = 0.004 * rng.random() + (0.2 if hit and fault == "loss" else 0)
                bad[name] += 0.6 * max((bad[each] for each in below), default=0)
                rate = 50 * rng.lognormvariate(0, 0.08) * (0.8 if hit and fault in ("delay", "loss") else 1)
                cpu = 0.2 * rng.lognormvariate(0, 0.2) + (0.6 if hit and fault == "cpu" else 0)
                mem = 300 + rng.gauss(0, 6) + (900 * (now - self.at) / FAULT_S if hit and fault == "mem" else 0)
                disk = 20 * rng.lognormvariate(0, 0.3) * (9 if hit and fault == "disk" else 1)
                for metric, value in (
                    ("latency_ms", ms[name]), ("error_ratio", bad[name]), ("requests_per_second", rate),
                    ("cpu_cores", cpu), ("memory_mb", mem), ("disk_io_mb", disk),
                ):  # fmt: skip
                    self.tables.metrics.append([now, name, metric, f"{value:.6f}"])


def _order():
    """Callers before callees."""
    seen = {}
    todo = [name for name in PAY if not any(name in below for below in PAY.values())]
    while todo:
        name = todo.pop(0)
        seen.pop(name, None)
        seen[name] = None
        todo += PAY[name]
    return seen


# a shop known by its metrics alone at a step of 1 s: autocorrelated noise, spikes and a slow drift of everything
SHOP = {
    "front": ["cart", "list", "buy"], "cart": ["kv"], "list": ["db"], "buy": ["cart", "pay", "mail", "ship"],
    "pay": [], "mail": [], "ship": ["geo"], "geo": [], "kv": [], "db": [],
}  # fmt: skip
SHOP_ORDER = ("geo", "kv", "db", "pay", "mail", "ship", "cart", "list", "buy", "front")
SHOP_FAULTS = [
    (fault, name)
    for fault in ("cpu", "mem", "disk", "delay", "loss", "socket")
    for name in ("list", "buy", "kv", "ship")
]
SLOWED = {"cpu": 1.8, "mem": 1.1, "disk": 1.5, "delay": 1.0, "loss": 1.0, "socket": 1.6}


class Shop:
    """Metrics of `SHOP`, twelve minutes of calm and ten of a fault."""

    def __init__(self, fault, culprit, seed, *, edges=True):
        self.rng, self.fault, self.culprit = random.Random(seed), fault, culprit
        self.at = T0 + 720
        self.tables, self._past = Tables(), {}
        if edges:
            self.tables.edges = [[caller, callee] for caller, below in SHOP.items() for callee in below]
        self._base = {name: self.rng.uniform(2, 40) for name in SHOP}
        for tick in range(1320):
            ms, bad = {}, {}
            for name in SHOP_ORDER:
                self._measure(name, tick, ms, bad)

    def _noise(self, name, what, spread, memory=0.9):
        last = self._past.get((name, what), 0.0)
        self._past[name, what] = memory * last + self.rng.gauss(0, spread * math.sqrt(1 - memory * memory))
        return self._past[name, what]

    def _hit(self, name, tick, *faults):
        return T0 + tick >= self.at and name == self.culprit and self.fault in faults

    def _measure(self, name, tick, ms, bad):
        rng, since = self.rng, tick - 720
        own = (
            self._base[name]
            * math.exp(self._noise(name, "ms", 0.25))
            * (rng.uniform(2, 6) if rng.random() < 0.01 else 1)
        )
        own *= SLOWED[self.fault] if self._hit(name, tick, self.fault) else 1
        own += 300 if self._hit(name, tick, "delay") else 120 * rng.random() if self._hit(name, tick, "loss") else 0
        ms[name] = own + 0.8 * sum(ms[each] for each in SHOP[name])
        passed_on = 0.8 * max((bad[each] for each in SHOP[name]), default=0)
        bad[name] = passed_on + 0.02 * (rng.random() < 0.01) + 0.06 * rng.random() * self._hit(name, tick, "loss")
        load = 30 * (1 + 0.15 * math.sin(tick / 300)) * math.exp(self._noise(name, "load", 0.1))
        load *= 0.75 if since >= 0 and self.fault == "delay" and name in ("front", self.culprit) else 1
        cpu = 0.1 + 0.003 * load * math.exp(self._noise(name, "cpu", 0.2)) + 0.8 * self._hit(name, tick, "cpu")
        mem = 200 + self._noise(name, "mem", 5, 0.99) + 0.01 * tick + 6 * min(since, 100) * self._hit(name, tick, "mem")
        busy = name in ("db", "kv") or rng.random() < 0.1
        disk = 5 * math.exp(self._noise(name, "disk", 0.5)) * busy + 400 * rng.random() * self._hit(name, tick, "disk")
        sockets = 20 + load / 5 + self._noise(name, "socket", 2) + 3 * min(since, 60) * self._hit(name, tick, "socket")
        tail = ms[name] * math.exp(abs(self._noise(name, "tail", 0.3)))
        for metric, value in (
            ("cpu", cpu), ("mem", mem), ("diskio", disk), ("socket", round(sockets)), ("latency-50", ms[name]),
            ("latency-90", tail), ("error", bad[name]), ("workload", load),
        ):  # fmt: skip
            self.tables.metrics.append([int(T0) + tick, name, metric, f"{value:.5g}"])
