"""Requests to a service: a normal world with days, nights, busy and idle users, and what attacks add to it."""

import numpy as np

from tocsin.model.visit import Visit

DAY = 96
ENDPOINTS = [
    f"/api/{name}" for name in ("chat", "search", "orders", "items/*", "users/{id}", "cart", "login", "health")
]
TOOLS = ("Mozilla", "okhttp", "python-requests")


def normal(seed, days, first=0, users=16, night=0.15):
    """Visits by piece: daily rhythm, Pareto volumes, a few wrong logins, one public endpoint, new users now and then."""
    rng = np.random.default_rng(seed)
    volume = rng.pareto(1.5, users + days) * 2 + 0.5
    home = rng.choice(["DE", "FR", "US"], users + days)
    tool = rng.choice(TOOLS, users + days)
    for piece in range(first, first + days * DAY):
        hour = piece % DAY / 4
        busy = night + (1 - night) * max(0.0, np.sin((hour - 6) / 14 * np.pi)) if 6 <= hour <= 20 else night
        visits = [Visit(piece, "shop", "/api/health", "", "10.0.0.1", "", "kube-probe", "ok", 90)]
        there = users + (piece - first) // DAY  # one new user a day
        counts = rng.poisson(np.minimum(volume[:there], 60) * busy)
        for who in np.flatnonzero(counts).tolist():
            at = rng.choice(len(ENDPOINTS) - 1, min(int(counts[who]), 4))
            for end in set(at.tolist()):
                n = max(1, int(counts[who]) // len(set(at.tolist())))
                denied = rng.random() < 0.02
                country = home[who] if rng.random() < 0.995 else "IT"
                visits.append(
                    Visit(piece, "shop", ENDPOINTS[end], f"u{who}", f"10.1.0.{who}", str(country), str(tool[who]),
                          "denied" if denied else "ok", n)
                )  # fmt: skip
        if rng.random() < 0.3:
            visits.append(
                Visit(piece, "shop", "/api/login", "", f"10.9.0.{int(rng.integers(99))}", "", "", "denied", 2)
            )
        yield piece, visits
