"""YAML read into plain values that remember their places.

Own reading of PyYAML's events, because places, duplicate keys, bounded aliases and the scalars of YAML 1.2
(`no` is text, not false; `12:30` is text; every JSON number is a number) all need it, and a loop over events
can't be made to recurse by a hostile file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

from tocsin.spec.problem import BadSpec, Problem

MAX_FILE_BYTES = 4 << 20
MAX_NODES = 200_000
MAX_DEPTH = 64

Loc: TypeAlias = tuple[str | int, ...]
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(r"[-+]?[0-9]{1,30}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}|0o[0-7]{1,22}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True, eq=False)
class Node:
    """A value at its place (line and column from 1); `keys` holds the places of a mapping's keys."""

    line: int
    column: int
    value: Any = None
    items: dict[str, Node] | list[Node] | None = None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    def plain(self) -> Any:
        """The bare value: dict, list, text, number, bool or None."""
        if isinstance(self.items, dict):
            return {key: child.plain() for key, child in self.items.items()}
        if isinstance(self.items, list):
            return [child.plain() for child in self.items]
        return self.value

    def walk(self, loc: Loc = ()) -> Iterator[tuple[Loc, Node]]:
        """All values below and this one, with their paths."""
        yield loc, self
        if isinstance(self.items, dict):
            for key, child in self.items.items():
                yield from child.walk((*loc, key))
        elif isinstance(self.items, list):
            for index, child in enumerate(self.items):
                yield from child.walk((*loc, index))

    def child(self, step: str | int) -> Node | None:
        """The value under one key or index, if there is one."""
        if isinstance(self.items, dict) and isinstance(step, str):
            return self.items.get(step)
        if isinstance(self.items, list) and isinstance(step, int) and 0 <= step < len(self.items):
            return self.items[step]
        return None


def scalar(text: str) -> Any:
    """Value of a plain (unquoted) scalar by the core schema of YAML 1.2.

    >>> [scalar(t) for t in ("no", "12:30", "1e3", "0x10", "~", "true", "5")]
    ['no', '12:30', 1000.0, 16, None, True, 5]
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _SPECIAL.get(text.lower(), text)


def parse(text: str, file: str) -> Node:
    """Read one YAML (or JSON) document.

    Raises
    ------
    BadSpec
        It is not YAML, has more than one document, a key twice, tags, or is too large or too deep.
    """
    if len(text) > MAX_FILE_BYTES:
        raise BadSpec([Problem(file, 1, 1, f"the file is over {MAX_FILE_BYTES >> 20} MiB; no configuration is")])
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return _Reader(file).read(loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context, since = f" {error.context}" if error.context else "", error.context_mark
        if since is not None and since.line + 1 != line:
            context += f" that begins at {since.line + 1}:{since.column + 1}"
        raise BadSpec([Problem(file, line, column, f"not YAML: {error.problem}{context}")]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise BadSpec([Problem(file, line, column, f"not YAML: {error.reason}")]) from None
    finally:
        loader.dispose()


class _Reader:
    """Builds the tree from events, with an explicit stack."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.root: Node | None = None
        self.count = 0
        self.problems: list[Problem] = []

    def read(self, loader: Any) -> Node:
        documents = 0
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fail(event, "a second document; one file holds one configuration")
            self._event(event)
        if self.problems:
            raise BadSpec(self.problems)
        return self.root or Node(1, 1)

    def _fail(self, event: Any, message: str) -> NoReturn:
        mark = event.start_mark
        raise BadSpec([*self.problems, Problem(self.file, mark.line + 1, mark.column + 1, message)])

    def _event(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(event, self._node(event, value=self._value(event)))
            case yaml.SequenceStartEvent():
                self._push(event, self._node(event, items=[]))
            case yaml.MappingStartEvent():
                self._push(event, self._node(event, items={}))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                opened = self.stack.pop()
                if self.stack:
                    self.stack[-1].take(opened.node)
            case yaml.AliasEvent():
                self._alias(event)
            case _:
                pass

    def _node(self, event: Any, *, value: Any = None, items: Any = None) -> Node:
        self._grow(event, 1)
        node = Node(event.start_mark.line + 1, event.start_mark.column + 1, value, items)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _grow(self, event: Any, size: int) -> None:
        self.count += size
        if self.count > MAX_NODES:
            self._fail(event, f"more than {MAX_NODES} values once aliases are followed")

    def _value(self, event: Any) -> Any:
        tag = event.tag
        if tag in (None, "!"):
            return scalar(event.value) if event.implicit[0] else event.value
        if tag == _TAG + "str":
            return event.value
        if tag not in (_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"):
            self._fail(event, f"the tag `{tag}` is not taken here; write a plain value")
        return scalar(event.value)

    def _push(self, event: Any, node: Node) -> None:
        if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
            self._fail(event, f"the tag `{event.tag}` is not taken here; write a plain value")
        if len(self.stack) >= MAX_DEPTH:
            self._fail(event, f"nested deeper than {MAX_DEPTH} levels")
        self._add(event, node)
        self.stack.append(_Open(node))

    def _alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            self._fail(event, f"no anchor `&{event.anchor}` before this alias")
        if any(opened.node is node for opened in self.stack):
            self._fail(event, f"the alias `*{event.anchor}` contains itself")
        self._grow(event, node.size)
        if len(self.stack) + node.height > MAX_DEPTH:
            self._fail(event, f"nested deeper than {MAX_DEPTH} levels once aliases are followed")
        if self.stack:
            self.stack[-1].take(node)
        self._add(event, node)

    def _add(self, event: Any, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(event, yaml.ScalarEvent):
            top.node.size += 1
        if isinstance(top.node.items, list):
            top.node.items.append(node)
        elif top.key is None:
            top.key = self._key(event, node)
        else:
            self._put(top.node, top.key, node, event)
            top.key = None

    def _key(self, event: Any, node: Node) -> _Key:
        if node.items is not None or node.value is None:
            self._fail(event, "a key must be text")
        plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
        text = event.value if isinstance(event, yaml.ScalarEvent) else str(node.value)
        return _Key(text, (event.start_mark.line + 1, event.start_mark.column + 1), merge=plain and text == "<<")

    def _put(self, into: Node, key: _Key, node: Node, event: Any) -> None:
        assert isinstance(into.items, dict)
        if key.merge:
            self._merge(into, node, event)
        elif key.text in into.keys:
            line, column = into.keys[key.text]
            message = f"the key `{key.text}` is already given at {line}:{column}; keep one"
            self.problems.append(Problem(self.file, *key.place, message))
        else:
            into.items[key.text] = node
            into.keys[key.text] = key.place

    def _merge(self, into: Node, node: Node, event: Any) -> None:
        sources = node.items if isinstance(node.items, list) else [node]
        for source in sources:
            if not isinstance(source.items, dict) or not isinstance(into.items, dict):
                self._fail(event, "`<<` takes a mapping, or a list of mappings")
            for key, child in source.items.items():
                into.items.setdefault(key, child)


@dataclass(frozen=True, slots=True)
class _Key:
    text: str
    place: tuple[int, int]
    merge: bool


@dataclass(slots=True)
class _Open:
    node: Node
    key: _Key | None = None

    def take(self, child: Node) -> None:
        self.node.size += child.size
        self.node.height = max(self.node.height, child.height + 1)


Rewrite: TypeAlias = Callable[[Loc, str], str]


def rewrite_texts(root: Node, rewrite: Rewrite, file: str) -> None:
    """Apply `rewrite` to every text in place; a ValueError of it becomes a problem at the text's place.

    Raises
    ------
    BadSpec
        Some text can't be rewritten.
    """
    problems, done = [], set()
    for loc, node in root.walk():
        if isinstance(node.value, str) and id(node) not in done:
            done.add(id(node))
            try:
                node.value = rewrite(loc, node.value)
            except ValueError as error:
                problems.append(Problem(file, node.line, node.column, str(error)))
    if problems:
        raise BadSpec(problems)
