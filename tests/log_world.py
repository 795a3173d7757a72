"""A made world of logs: a few services that write messages of their own, some often, some rarely, some by request."""

import numpy as np

from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import LogRecord, Tick

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND // (60 * SECOND) * (60 * SECOND)
TICK_S = 30
INFO, WARN, ERROR = 9, 13, 17
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj", "olga")
REQUEST = ("received request {n} from {ip}", "loaded cart of {user} with {n} items", "charged {n} cents to card {hex}",
           "request {n} done in {ms} ms")  # fmt: skip
# message, severity, share of the lines beside those of requests
OTHERS = (
    ("cache hit for key item:{n}", INFO, 0.4),
    ("cache miss for key item:{n}, loading from replica {n}", INFO, 0.2),
    ('{{"level":"info","msg":"user signed in","user":"{user}","ms":{ms}}}', INFO, 0.2),
    ("user {user} opened page /items/{n}", INFO, 0.12),
    ("slow query took {ms} ms: SELECT * FROM items WHERE id = {n}", WARN, 0.05),
    ("retrying call to http://inventory:80{n}/stock after timeout", WARN, 0.02),
    ("could not parse reply of {ip}: unexpected end of input", ERROR, 0.01),
)


class LogWorld:
    """Lines of one service, a request a second or so; `odd` changes what is written from now on."""

    def __init__(self, seed, service="shop", per_s=1.0, rare=6):
        self.rng = np.random.default_rng(seed)
        self.service = service
        self.per_s = per_s
        self.shares = np.array([share for _, _, share in OTHERS])
        self.messages = [(text, severity) for text, severity, _ in OTHERS]
        # what is seldom said: each has its own words
        words = [f"step-{w}" for w in "abcdefghijklmnop"]
        self.rare = [
            (f"{self.rng.choice(words)} {name} was {done} by the {who} of {self.rng.choice(USERS)}", INFO)
            for name, done, who in zip(
                ("index", "lease", "queue", "shard", "lock", "table"),
                ("rebuilt", "renewed", "drained", "moved", "released", "vacuumed"),
                ("scheduler", "janitor", "worker", "balancer", "owner", "daemon"),
                strict=True,
            )
        ][:rare]
        self.request = REQUEST
        self.broken_share = 0.0
        self.extra = []
        self.load = 1.0
        self.requests = 0

    def lines(self, start_s, end_s):
        """Rows (time ns, severity, text, trace id) of [start, end) seconds."""
        rng = self.rng
        season = 1 + 0.4 * np.sin(start_s / 86400 * 2 * np.pi)
        rate = self.per_s * self.load * season * rng.gamma(20, 1 / 20)
        rows = []
        for at in rng.uniform(start_s, end_s, rng.poisson(rate * (end_s - start_s))):
            self.requests += 1
            trace = int(rng.integers(1, 2**62)).to_bytes(16, "little")
            steps = self.request[:2] if rng.random() < self.broken_share else self.request
            for k, text in enumerate(steps):
                rows.append((at + 0.01 * k, INFO, text, trace))
        picked = rng.choice(
            len(self.shares), rng.poisson(4 * rate * (end_s - start_s)), p=self.shares / self.shares.sum()
        )
        rows += [(rng.uniform(start_s, end_s), self.messages[k][1], self.messages[k][0], bytes(16)) for k in picked]
        rows += [(rng.uniform(start_s, end_s), s, t, bytes(16)) for t, s in self.rare if rng.random() < 0.003]
        for text, severity, per_minute in self.extra:
            times = rng.uniform(start_s, end_s, rng.poisson(per_minute * (end_s - start_s) / 60))
            rows += [(at, severity, text, bytes(16)) for at in times]
        return [(START + int(at * 1e9), severity, self.fill(text), trace) for at, severity, text, trace in rows]

    def fill(self, text):
        rng = self.rng
        return text.format(
            n=rng.integers(1, 9999),
            ms=round(float(rng.lognormal(3, 1)), 2),
            user=USERS[int(rng.integers(len(USERS)))],
            ip="10.{}.{}.{}".format(*rng.integers(0, 255, 3)),
            hex=f"{int(rng.integers(2**60)):x}",
        )

    def frame(self, rows, source=None):
        n = len(rows)
        columns = {
            "time": [row[0] for row in rows],
            "severity": [""] * n,
            "severity_number": [row[1] for row in rows],
            "body": [row[2] for row in rows],
            "event_name": [""] * n,
            "trace_id": [row[3] for row in rows],
            "span_id": [bytes(8)] * n,
            "resource": [[("service.name", self.service)]] * n,
            "attributes": [[]] * n,
        }
        return frame_of(FrameKind.LOGS, "main", source or f"otlp/{self.service}", columns)

    def source(self):
        return ("main", f"otlp/{self.service}")


class Log:
    """Entries folded by a pipeline, one after the other; keeps what it says."""

    def __init__(self, pipeline, worlds):
        self.pipeline = pipeline
        self.worlds = worlds
        self.offset = 0
        self.now_s = 0
        self.findings = []
        self.outputs = []

    def put(self, entry):
        output = self.pipeline.fold(LogRecord(self.offset, entry))
        self.offset += 1
        if output is not None:
            self.outputs.append(output)
            for frame in output.frames:
                if frame.kind is FrameKind.FINDINGS:
                    self.findings += frame.rows()
        return output

    def run(self, minutes):
        """Let time pass."""
        for _ in range(int(minutes * 60 // TICK_S)):
            start, self.now_s = self.now_s, self.now_s + TICK_S
            marks = {}
            for world in self.worlds:
                rows = world.lines(start, self.now_s)
                if rows:
                    self.put(world.frame(rows))
                marks[world.source()] = START + self.now_s * SECOND
            self.put(Tick(START + self.now_s * SECOND, marks))

    def opened(self, *, after_s=0):
        """(monitor, seconds) of findings that were opened."""
        return [
            (row["monitor"], (row["time"] - START) / SECOND)
            for row in self.findings
            if row["phase"] == "open" and row["time"] > START + after_s * SECOND
        ]
