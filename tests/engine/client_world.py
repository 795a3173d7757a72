"""Made-up traffic of a model with clients that differ: in volume, in what they ask, in how often the model is wrong."""

import json

import numpy as np

from tocsin.engine.client_watch import ClientWatch
from tocsin.engine.record_sample import Arrival, RecordRow

S = 1_000_000_000
HOUR = 3600 * S
DAY = 24 * HOUR
T0 = 1_790_000_000 * S // DAY * DAY
TAGS = frozenset({"client", "annotator"})


def answer(x):
    """Class and score of inputs (n, 3)."""
    score = 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1] + 0.5 * x[:, 2])))
    return score > 0.5, score


class World:
    """A model with `clients` clients; `seed` says how they differ."""

    def __init__(self, seed, clients=8, columns=3):
        self.rng = np.random.default_rng(seed)
        self.names = [f"c{n}" for n in range(clients)]
        share = 1 / np.arange(1, clients + 1) ** self.rng.uniform(0.3, 1.2)
        self.share = share / share.sum()
        self.middle = self.rng.normal(0, 0.7, (clients, columns))
        self.width = self.rng.uniform(0.4, 1.1, (clients, columns))
        self.wrong = self.rng.uniform(0.03, 0.15, clients)
        self.number = 0

    def normal(self, day, rows):
        """Rows of a day: (time, client, inputs, wrong)."""
        who = self.rng.choice(len(self.names), rows, p=self.share)
        times = T0 + day * DAY + np.sort(self.rng.integers(0, DAY, rows))
        x = self.middle[who] + self.width[who] * self.rng.standard_t(5, (rows, self.middle.shape[1]))
        return [
            (int(t), self.names[c], x[k], bool(self.rng.random() < self.wrong[c]))
            for k, (t, c) in enumerate(zip(times, who, strict=True))
        ]

    def arrivals(self, rows, **changes):
        """Predictions, each with its truth."""
        rows = sorted(rows, key=lambda row: row[0])
        x = np.array([row[2] for row in rows])
        label, score = answer(x)
        for k, (time, client, point, wrong) in enumerate(rows):
            self.number += 1
            features = json.dumps(
                {f"f{n}": float(value) for n, value in enumerate(point)} | {"plan": "ab"[self.number % 2]}
            )
            said = "true" if label[k] else "false"
            truth = "false" if label[k] == wrong else "true"
            truth = said if not wrong else ("false" if said == "true" else "true")
            row = RecordRow(self.number, time, said, float(score[k]), features, truth, b"")
            yield Arrival(False, "m", "1", row, (("client", client),))


def watched(days, watch=None):
    """Findings of days of arrivals."""
    watch = watch or ClientWatch()
    found = []
    for day, arrivals in enumerate(days):
        for each in arrivals:
            watch.take("main", each, TAGS)
        found += watch.close({"main": T0 + (day + 1) * DAY})
    return found
