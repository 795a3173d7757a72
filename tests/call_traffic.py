"""Calls of an application whose customers are real clients of ServeGen and whose models are those of real calls.

From ServeGen (Apache-2.0): requests a second and their burstiness by ten minutes, token quantiles by six hours, for
each client. From recorded calls (openllmetry's cassettes, Apache-2.0): models asked for and answering, milliseconds a
token, how answers end. Nothing goes wrong in these worlds, though prompts get new versions.
"""

import csv
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llm_world import MONDAY, S

Z99 = 2.3263
WINDOW_S, PERIOD_S = 600, 6 * 3600
MODELS = ("gpt-3.5-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "gpt-4.1")
MOST_CV = 4.0
FAILING = 0.005


@dataclass(frozen=True)
class Client:
    """Rates and burstiness by ten minutes; quantiles of tokens by six hours, None where nothing was asked."""

    name: str
    rates: np.ndarray
    spread: np.ndarray
    tokens: tuple


@cache
def clients(data):
    """Clients that ask for text in most hours, in an order that is always the same."""
    where = data / "servegen"
    names = ["input_tokens_p50", "input_tokens_p99", "output_tokens_p50", "output_tokens_p99"]
    tokens = pq.read_table(where / "client_tokens.parquet", columns=["model", "client", "t", *names])
    rates = pq.read_table(where / "client_rates.parquet", columns=["model", "client", "t", "rate", "cv"])
    found = []
    for model in ("m-large", "m-mid", "m-small", "deepseek-r1"):
        of_model = [table.filter(pc.equal(table["model"], model)).sort_by("t") for table in (tokens, rates)]
        for client in sorted(set(of_model[1]["client"].to_pylist())):
            told, asked = (table.filter(pc.equal(table["client"], client)) for table in of_model)
            rate = asked["rate"].to_numpy()
            if (rate > 0.002).mean() < 0.8 or len(told) < 8:
                continue
            quantiles = tuple(
                row if None not in row and min(row[0], row[2]) > 0 else None
                for row in zip(*(told[name].to_pylist() for name in names), strict=True)
            )
            found.append(Client(f"{model}/{client}", rate, asked["cv"].to_numpy(), quantiles))
    return found


@cache
def calls(data):
    """Real calls that were answered: (asked, answered, milliseconds a token, how it ended)."""
    with (data / "llm_api_calls" / "calls.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "200" and row["processing_ms"]]
    return [
        (row["model_requested"], row["model_answered"], float(row["processing_ms"]) / float(row["completion_tokens"]), row["finish"] or "stop")
        for row in rows
        if row["completion_tokens"] and float(row["completion_tokens"]) > 0
    ]  # fmt: skip


def drawn(rng, middle, high, n):
    """Numbers of tokens, log-normal through the median and the 99 % quantile that were measured."""
    sigma = math.log(max(high / max(middle, 1.0), 1.001)) / Z99
    return np.maximum(1, np.round(max(middle, 1.0) * np.exp(sigma * rng.standard_normal(n)))).astype(int)


def arrivals(rng, client, share, first_s, hours):
    """Seconds at which a client asks, as bursty as it was measured to be."""
    times = []
    for window in range(first_s // WINDOW_S, (first_s + hours * 3600) // WINDOW_S):
        rate = client.rates[window % len(client.rates)] * share
        if rate <= 0:
            continue
        cv = min(max(client.spread[window % len(client.spread)], 1.0), MOST_CV)
        gaps = rng.gamma(1 / cv**2, cv**2 / rate, int(3 * rate * WINDOW_S + 20 * cv**2))
        at = np.cumsum(gaps) - gaps[0] * rng.random()
        times.append(window * WINDOW_S + at[(at >= 0) & (at < WINDOW_S)])
    return np.concatenate(times) if times else np.zeros(0)


class Application:
    """A service: two to six customers, one or two models, one prompt; new versions of it change nothing.

    Unless `longer` says by what factor a version makes prompts longer, or `terser` when and by what factor answers change.
    """

    def __init__(self, data, seed, *, per_s=0.15, hours=12, longer=None, terser=None):
        self.longer, self.terser = longer or {}, terser or (math.inf, 1.0)
        self.rng = rng = np.random.default_rng([seed, 77])
        known = clients(data)
        self.data, self.hours = data, hours
        self.customers = [known[k] for k in rng.choice(len(known), int(rng.integers(2, 7)), replace=False)]
        self.first_s = int(rng.integers(0, 9)) * 86_400 + 9 * 3600
        total = sum(float(np.mean(each.rates)) for each in self.customers)
        self.share = per_s / total
        self.models = [MODELS[k] for k in rng.choice(len(MODELS), int(rng.integers(1, 3)), replace=False)]
        self.moments = np.sort(rng.uniform(3 * 3600, hours * 3600, 3))

    def rows(self):
        """All spans of the world in order of time, as `spans_frame` takes them."""
        found = []
        for number, client in enumerate(self.customers):
            model = self.models[number % len(self.models)]
            found += self._of(client, model, number)
        found.sort(key=lambda row: row[0])
        return found

    def _of(self, client, model, number):
        rng = self.rng
        at = np.sort(arrivals(rng, client, self.share, self.first_s, self.hours))
        real = [each for each in calls(self.data) if each[0] == model]
        answered = real[0][1]
        picked = [real[k] for k in rng.integers(0, len(real), len(at))]
        users = rng.zipf(1.4, len(at)) % 200
        rows = []
        periods = ((at + rng.integers(0, PERIOD_S)) // PERIOD_S).astype(
            int
        )  # customers don't change their work together
        for period in sorted(set(periods.tolist())):
            here = np.flatnonzero(periods == period)
            told = client.tokens[period % len(client.tokens)] or next(each for each in client.tokens if each)
            asked = drawn(rng, told[0], told[1], len(here))
            given = drawn(rng, told[2], told[3], len(here))
            for k, tokens_in, tokens_out in zip(here.tolist(), asked.tolist(), given.tolist(), strict=True):
                since = at[k] - self.first_s
                version = int(np.searchsorted(self.moments, since)) + 1
                took = tokens_out * picked[k][2] / 1000 * rng.lognormal(0, 0.2) + 0.2
                end = MONDAY + int(since * S) + int(min(took, 600.0) * S)
                said = {
                    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
                    "gen_ai.response.model": answered,
                    "gen_ai.usage.input_tokens": round(tokens_in * self.longer.get(version, 1.0)),
                    "gen_ai.usage.output_tokens": max(1, round(tokens_out * (self.terser[1] if since >= self.terser[0] else 1.0))),
                    "gen_ai.response.finish_reasons": f'["{picked[k][3]}"]',
                    "gen_ai.prompt.name": "answer", "gen_ai.prompt.version": f"v{version}",
                    "tenant.id": client.name, "user.id": f"{number}-{users[k]}",
                }  # fmt: skip
                more = {"trace": number * 10**9 + k + 1, "took_s": min(took, 600.0)}
                if rng.random() < FAILING:
                    said = {key: said[key] for key in said if "usage" not in key and "response" not in key}
                    said["error.type"], more["status"] = "429", "error"
                rows.append((end, said, more))
        return rows
