"""Who calls whom in the small world: a new edge, one that vanished, a worse one, a circle, peers, a hostile name."""

from __future__ import annotations

from typing import Any

from api.world import HOSTILE
from tocsin.store.graph_rows import Between

LONG = "a-very-long-name-without-any-space-" * 6
NOTHING = (0, 0, 0.0)
EDGES: dict[tuple[str, str], tuple[tuple[int, int, float], tuple[int, int, float], bool]] = {
    # requests, errors, ms - now, then before; whether the callee sends spans
    ("", "web"): ((4200, 40, 300), (4100, 38, 290), True),
    ("web", "support-bot"): ((1200, 12, 4100), (1250, 11, 900), True),
    ("web", "cart"): ((2600, 3, 45), (2500, 4, 44), True),
    ("web", "recommend"): (NOTHING, (900, 2, 30), True),
    ("support-bot", "vllm"): ((2400, 400, 2400), (2500, 5, 2300), False),
    ("support-bot", "orders"): ((800, 1, 150), (790, 2, 140), True),
    ("support-bot", HOSTILE): ((320, 0, 12), NOTHING, False),
    ("cart", "postgresql"): ((5100, 0, 4), (5000, 1, 4), False),
    ("orders", "postgresql"): ((800, 0, 6), (790, 0, 6), False),
    ("orders", "orders"): ((60, 0, 9), (58, 0, 9), True),
    ("orders", "web"): ((6, 0, 9), NOTHING, True),
    ("", LONG): ((20, 0, 9), (22, 0, 9), True),
}


def row_of(caller: str, callee: str, numbers: tuple[int, int, float], **more: Any) -> dict[str, Any]:
    """A row as the store gives it, all durations about a middle one of so many ms."""
    requests, errors, ms = numbers
    took = [ms * factor for factor in (1, 1.2, 1.3, 1.4, 1.5, 1.6)]
    base = {"own": True, "is_node": False, "now": True, "strays": 0}
    return {"caller": caller, "callee": callee, "requests": requests, "errors": errors, "took": took, **base, **more}


def between(edges: Any = EDGES, every: int = 1) -> Between:
    """Rows of edges and of all edges into each callee."""
    rows = [
        row_of(caller, callee, numbers, own=own, now=not k)
        for (caller, callee), (*both, own) in edges.items()
        for k, numbers in enumerate(both)
        if numbers[0]
    ]
    for callee in sorted({callee for _, callee in edges}):
        for now in (True, False):
            into = [row for row in rows if row["callee"] == callee and row["now"] == now and not row["is_node"]]
            if into:
                requests, errors = (sum(row[name] for row in into) for name in ("requests", "errors"))
                rows.append({**into[0], "caller": "", "is_node": True, "requests": requests, "errors": errors})
    return Between(rows, every)
