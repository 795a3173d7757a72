"""A trace as the JSON that its page draws: bounded, with words for everything that is odd or left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tocsin.api.times import NS
from tocsin.api.trace_tree import Node, Tree, shown
from tocsin.model.codec import Json
from tocsin.model.times import time_to_json
from tocsin.store.trace_rows import Usual

_FEW = 20
"""With fewer spans of an operation in a day nothing is said of it."""
_MOST_LISTED = 12
_WORDS = {
    "orphan": ("whose parent has not arrived", "it may come late, or was sampled away or dropped"),
    "circle": ("in a circle of parents", "the circle was cut"),
    "duplicate": ("sent again", "each is counted once"),
    "shared_id": ("with the id of another one", "each is put below the one that came first"),
    "late": ("that came over a minute after the first", "who looked before saw less"),
    "outside": ("partly outside of the time of the parent", "clocks differ, or the parent did not wait"),
    "negative": ("with an end before the begin", "the duration is taken as 0"),
}
_OWN = ("input_tokens", "output_tokens", "cost_usd", "time_to_first_token_s", "retries")
_TEXTS = (
    "name", "service", "kind", "status", "status_message", "operation", "provider", "request_model", "response_model",
    "finish_reason", "error_class", "prompt_version", "peer",
)  # fmt: skip


def trace_document(tree: Tree, usual: Mapping[tuple[str, str], Usual], held: int, most: int) -> Json:
    """The tree with at most about `most` spans; `held` are stored, `usual` is how long operations took before."""
    kept = shown(tree, most)
    roots = sorted(tree.roots, key=lambda each: -each.duration_ns)
    length = tree.end - tree.start
    return {
        "start": time_to_json(tree.start),
        "end": time_to_json(tree.end),
        "duration_s": length / NS,
        "title": {"service": roots[0].row["service"], "name": roots[0].row["name"]},
        "spans_held": held,
        "spans_read": len(tree.nodes),
        "services": sorted({str(node.row["service"]) for node in tree.nodes}),
        "totals": {
            "calls": sum(node.calls for node in roots),
            "errors": sum(node.errors for node in roots),
            "input_tokens": sum(node.input_tokens for node in roots),
            "output_tokens": sum(node.output_tokens for node in roots),
            "cost_usd": sum(node.cost_usd for node in roots) if any(node.priced for node in roots) else None,
            "priced": sum(node.priced for node in roots),
        },
        "path_s": sum(node.path_ns for node in tree.nodes) / NS,
        "where": _where(tree),
        "calls_to": _dependencies(tree),
        "notes": _notes(tree, held, len(kept)),
        "spans": [_span(node, tree.start, kept, usual) for node in tree.nodes if node.key in kept],
    }


def _span(node: Node, origin: int, kept: set[str], usual: Mapping[tuple[str, str], Usual]) -> Json:
    row = node.row
    hidden = [child for child in node.children if child.key not in kept]
    return {
        "id": node.key,
        "parent": node.parent.key if node.parent else None,
        "depth": node.depth,
        **{name: row[name] for name in _TEXTS},
        "at_s": (node.start - origin) / NS,
        "duration_s": node.duration_ns / NS,
        "self_s": node.self_ns / NS,
        "child_s": node.child_ns / NS,
        "path_s": node.path_ns / NS,
        "path": [[(start - origin) / NS, (end - origin) / NS] for start, end in node.pieces()],
        "usual": _compared(node, usual.get((str(row["service"]), str(row["name"])))),
        "call": bool(row["call"]),
        "own": {name: row[name] for name in _OWN},
        "below": node.below,
        "hidden": {"spans": sum(each.below + 1 for each in hidden), "s": sum(each.duration_ns for each in hidden) / NS},
        "with_children": {
            "calls": node.calls,
            "errors": node.errors,
            "input_tokens": node.input_tokens,
            "output_tokens": node.output_tokens,
            "cost_usd": node.cost_usd if node.priced else None,
        },
        "marks": node.marks,
    }


def _compared(node: Node, usual: Usual | None) -> Json | None:
    """How this span compares with others of its operation on the day before; None: too few to say."""
    if usual is None or usual.count < _FEW:
        return None
    took = node.duration_ns / NS
    return {
        "count": usual.count,
        "p50_s": usual.p50_s,
        "p95_s": usual.p95_s,
        "times": took / usual.p50_s if usual.p50_s > 0 else None,
        "slow": took > usual.p95_s,
    }


def _where(tree: Tree) -> list[Json]:
    """Operations by their own time on the critical path, the longest first."""
    total = sum(node.path_ns for node in tree.nodes) or 1
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for node in tree.nodes:
        if node.path:
            entry = found[str(node.row["service"]), str(node.row["name"])]
            entry[0] += node.path_ns
            entry[1] += 1
    ranked = sorted(found.items(), key=lambda each: (-each[1][0], each[0]))
    rows: list[Json] = [
        {"service": service, "name": name, "path_s": ns / NS, "share": ns / total, "spans": spans}
        for (service, name), (ns, spans) in ranked[:_MOST_LISTED]
    ]
    if rest := ranked[_MOST_LISTED:]:
        ns, spans = sum(each[1][0] for each in rest), sum(each[1][1] for each in rest)
        rows.append(
            {"service": "", "name": f"{len(rest)} others", "path_s": ns / NS, "share": ns / total, "spans": spans}
        )
    return rows


def _dependencies(tree: Tree) -> list[Json]:
    """Who calls whom: services by their spans, and what a call that ends here says whom it went to."""
    found: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for node in tree.nodes:
        row, parent = node.row, node.parent
        if parent is not None and parent.row["service"] != row["service"]:
            key = (str(parent.row["service"]), str(row["service"]), "service")
        elif row["kind"] in ("client", "producer") and not any(
            child.row["service"] != row["service"] for child in node.children
        ):
            peer = row["request_model"] or row["response_model"] or row["peer"]
            kind = "model" if row["request_model"] or row["response_model"] else "peer"
            key = (str(row["service"]), str(peer or f"({row['name']})"), kind)
        else:
            continue
        entry = found[key]
        entry[0] += 1
        entry[1] += node.duration_ns
        entry[2] += node.row["status"] == "error"
        entry[3] += sum(end - start for start, end in node.path)
    ranked = sorted(found.items(), key=lambda each: (-each[1][1], each[0]))
    return [
        {
            "caller": caller,
            "callee": callee,
            "kind": kind,
            "calls": n,
            "total_s": ns / NS,
            "errors": errors,
            "path_s": path / NS,
        }
        for (caller, callee, kind), (n, ns, errors, path) in ranked[: 2 * _MOST_LISTED]
    ]


def _notes(tree: Tree, held: int, drawn: int) -> list[str]:
    read = len(tree.nodes)
    found = []
    if held > read + tree.faults["duplicate"]:
        found.append(
            f"{held:,} spans are stored; the first {read:,} by their start were read, the rest is in no number here"
        )
    if drawn < read:
        found.append(
            f"{drawn:,} of {read:,} spans are drawn: the critical path, errors, then the longest; all are in the numbers"
        )
    for fault, (what, why) in _WORDS.items():
        if n := tree.faults[fault]:
            found.append(f"{n:,} span{'' if n == 1 else 's'} {what}: {why}")
    if len(tree.roots) > 1:
        found.append(
            f"{len(tree.roots):,} spans stand at the top; the critical path is that of the longest, and of what came before and after it"
        )
    return found
