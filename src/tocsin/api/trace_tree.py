"""A trace as a tree: what belongs to whom, own time and time of children, tokens and cost, and the critical path.

Spans come as they were sent: twice, late, without their parent, from clocks that differ, even in circles.
Nothing is moved or left out without being said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Row: TypeAlias = Mapping[str, Any]
LATE_MS: Final = 60_000
"""A span that came so long after the first of its trace is late."""
_MOST_PIECES: Final = 40


@dataclass(slots=True, eq=False)
class Node:
    """One span in its tree; times ns. `path` are its own pieces of the critical path, `marks` what is odd about it."""

    key: str
    row: Row
    start: int
    end: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    depth: int = 0
    marks: list[str] = field(default_factory=list)
    child_ns: int = 0
    path: list[tuple[int, int]] = field(default_factory=list)
    calls: int = 0
    below: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    priced: int = 0

    @property
    def duration_ns(self) -> int:
        """From begin to end."""
        return self.end - self.start

    @property
    def self_ns(self) -> int:
        """Time in which none of its children ran."""
        return self.duration_ns - self.child_ns

    @property
    def path_ns(self) -> int:
        """Its own time on the critical path."""
        return sum(end - start for start, end in self.path)

    def pieces(self) -> list[tuple[int, int]]:
        """Its longest pieces of the critical path, in order; neighbours are joined, all others only counted."""
        longest = sorted(self.path, key=lambda piece: piece[0] - piece[1])[:_MOST_PIECES]
        return sorted(longest)


@dataclass(slots=True)
class Tree:
    """All spans of a trace, parents before their children, children in order of their start."""

    nodes: list[Node]
    roots: list[Node]
    faults: Counter[str]

    @property
    def start(self) -> int:
        """Begin of the first span, ns."""
        return min((node.start for node in self.nodes), default=0)

    @property
    def end(self) -> int:
        """End of the last span, ns."""
        return max((node.end for node in self.nodes), default=0)


def tree_of(rows: Iterable[Row]) -> Tree:
    """The tree of these spans, with everything that is computed over it.

    >>> row = dict(service="a", kind="server", name="GET", start=0, end=10, stored_ms=0, call=False, status="ok")
    >>> found = tree_of([{**row, "span_id": "1", "parent_id": ""}, {**row, "span_id": "2", "parent_id": "1", "end": 4}])
    >>> [(node.key, node.depth, node.self_ns, node.path_ns) for node in found.nodes]
    [('1', 0, 6, 6), ('2', 1, 4, 4)]
    """
    faults: Counter[str] = Counter()
    nodes = _nodes(rows, faults)
    _join(nodes, faults)
    tree = Tree(_ordered(nodes.values()), [], faults)
    tree.roots = [node for node in tree.nodes if node.parent is None]
    for node in tree.nodes:
        node.child_ns = _covered(node)
        if node.parent and (node.start < node.parent.start or node.end > node.parent.end):
            node.marks.append("outside")
            faults["outside"] += 1
    _roll_up(tree.nodes)
    _find_path(tree)
    return tree


def _nodes(rows: Iterable[Row], faults: Counter[str]) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    first_ms = None
    for sent in rows:
        row = sent
        key, start = str(row["span_id"]), int(row["start"])
        known = nodes.get(key)
        if known is not None:
            if all(known.row[name] == row[name] for name in ("service", "kind", "name")):
                faults["duplicate"] += 1
                continue
            # one id for both sides of a call: the second one is put below the first
            faults["shared_id"] += 1
            key = f"{key}~{faults['shared_id']}"
            row = {**row, "parent_id": row["span_id"]}
        nodes[key] = Node(key, row, start, max(start, int(row["end"])))
        if int(row["end"]) < start:
            nodes[key].marks.append("negative")
            faults["negative"] += 1
        stored = int(row["stored_ms"])
        first_ms = stored if first_ms is None else min(first_ms, stored)
    for node in nodes.values():
        if int(node.row["stored_ms"]) - (first_ms or 0) > LATE_MS:
            node.marks.append("late")
            faults["late"] += 1
    return nodes


def _join(nodes: dict[str, Node], faults: Counter[str]) -> None:
    for node in nodes.values():
        wanted = str(node.row["parent_id"])
        if not wanted:
            continue
        parent = nodes.get(wanted)
        if parent is None or parent is node:
            mark = "orphan" if parent is None else "circle"
            node.marks.append(mark)
            faults[mark] += 1
        else:
            node.parent = parent
    good: set[str] = set()
    for node in nodes.values():
        walked: list[Node] = []
        on_way: set[str] = set()
        at: Node | None = node
        while at is not None and at.key not in good:
            if at.key in on_way:
                at.parent = None
                at.marks.append("circle")
                faults["circle"] += 1
                break
            on_way.add(at.key)
            walked.append(at)
            at = at.parent
        good.update(each.key for each in walked)
    for node in nodes.values():
        if node.parent is not None:
            node.parent.children.append(node)


def _ordered(nodes: Iterable[Node]) -> list[Node]:
    """Parents before children, each level by its start."""
    by_start = sorted(nodes, key=lambda each: (each.start, -each.end, each.key))
    for node in by_start:
        node.children.sort(key=lambda each: (each.start, -each.end, each.key))
    found: list[Node] = []
    stack = [node for node in reversed(by_start) if node.parent is None]
    while stack:
        node = stack.pop()
        node.depth = 0 if node.parent is None else node.parent.depth + 1
        found.append(node)
        stack.extend(reversed(node.children))
    return found


def _covered(node: Node) -> int:
    """How much of its time at least one child runs, ns."""
    total, reach = 0, node.start
    for child in node.children:
        begin, end = max(child.start, reach), min(child.end, node.end)
        if end > begin:
            total += end - begin
            reach = end
    return total


def _roll_up(nodes: Sequence[Node]) -> None:
    """Tokens, cost, calls and errors of each span with all below it.

    A span's own tokens count only where none below it has any: those around a call tell the same ones again.
    """
    for node in reversed(nodes):
        row = node.row
        for child in node.children:
            node.calls += child.calls
            node.below += child.below + 1
            node.errors += child.errors
            node.input_tokens += child.input_tokens
            node.output_tokens += child.output_tokens
            node.cost_usd += child.cost_usd
            node.priced += child.priced
        node.errors += row["status"] == "error"
        if not node.calls and (row["call"] or row.get("input_tokens") or row.get("output_tokens")):
            node.calls = 1
            node.input_tokens = int(row.get("input_tokens") or 0)
            node.output_tokens = int(row.get("output_tokens") or 0)
        if not node.priced and row.get("cost_usd") is not None:
            node.priced = 1
            node.cost_usd = float(row["cost_usd"])


def _find_path(tree: Tree) -> None:
    """Mark what delayed the end: from the end back, always the child that ended last before (CRISP, USENIX ATC 2022).

    A child that runs beyond its parent is counted up to the parent's end. Of several spans without a parent it is that
    of the longest, and of those before and after it: what ran beside it belongs somewhere below it, nobody knows where.
    """
    todo: list[tuple[Node, int, int]] = []
    until = tree.end
    main = max(tree.roots, key=lambda each: each.duration_ns)
    for root in sorted(tree.roots, key=lambda each: (-each.end, each.start)):
        beside = root is not main and root.end > main.start and root.start < main.end
        if not beside and root.end <= until and root.start < until:
            todo.append((root, root.start, root.end))
            until = root.start
    while todo:
        node, begin, end = todo.pop()
        at = end
        for child in sorted(node.children, key=lambda each: (-min(each.end, end), each.start)):
            first, last = max(child.start, begin), min(child.end, end)
            if last > at or first >= last:
                continue
            if at > last:
                node.path.append((last, at))
            todo.append((child, first, last))
            at = first
        if at > begin:
            node.path.append((begin, at))


def shown(tree: Tree, most: int) -> set[str]:
    """Keys of at most about `most` spans to draw, with all above them: the critical path, errors, calls, then the longest."""
    if len(tree.nodes) <= most:
        return {node.key for node in tree.nodes}

    def rank(node: Node) -> tuple[int, int]:
        first = 0 if node.parent is None else 1 if node.path else 2 if node.row["status"] == "error" else 3
        return first, -(node.path_ns if first == 1 else node.duration_ns)

    found: set[str] = set()
    for node in sorted(tree.nodes, key=rank):
        above: list[str] = []
        at: Node | None = node
        while at is not None and at.key not in found and len(above) <= most:
            above.append(at.key)
            at = at.parent
        if len(found) + len(above) <= most:
            found.update(above)
    return found
