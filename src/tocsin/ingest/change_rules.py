"""Rules of packs that make change events of payloads: places in trees, texts with places in them, the first rule that fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from tocsin.ingest.decoded import Unusable
from tocsin.ingest.times import check_time, parse_time_ns
from tocsin.model.text import one_line
from tocsin.spec.wire import ChangeRuleSpec

Tree: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, Any]

MOST_CHANGES: Final = 1000
"""Changes of one payload; more are no longer what people did."""
_WHAT_CHARS: Final = 300
_TEXT_CHARS: Final = 200
_PLACE: Final = re.compile(r"\$\{([^}:]+)(?::(\d+))?\}")
_SPACED: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ?(UTC|[+-]\d\d:?\d\d)")


def at(tree: object, path: str) -> object:
    """What stands at a path, None for nothing; of `one|other` the first that is there.

    >>> at({"a": {"b.c": [1, {"d": 2}]}}, "x|a.b.c.1.d")
    2
    """
    for each in path.split("|"):
        found = _at(tree, each.strip().split("."))
        if found is not None:
            return found
    return None


def _at(node: object, parts: Sequence[str]) -> object:
    if not parts:
        return node
    if isinstance(node, list):
        place = parts[0]
        inside = place.isascii() and place.isdigit() and int(place) < len(node)
        return _at(node[int(place)], parts[1:]) if inside else None
    if isinstance(node, Mapping):
        # a key may hold dots itself, as attributes do: the longest that is there wins
        for size in range(len(parts), 0, -1):
            key = ".".join(parts[:size])
            if key in node:
                return _at(node[key], parts[size:])
    return None


def text_at(tree: object, path: str) -> str:
    """The scalar at a path as text, "" for anything else."""
    found = at(tree, path)
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, str | int | float) else ""


def filled(template: str, tree: object) -> str:
    """A text with its places filled in.

    >>> filled("${ref|tag} at ${sha:7}", {"tag": "v1", "sha": "0123456789"})
    'v1 at 0123456'
    """

    def text_of(match: re.Match[str]) -> str:
        found = text_at(tree, match[1])
        return found[: int(match[2])] if match[2] else found

    return _PLACE.sub(text_of, template)


def fits(rule: ChangeRuleSpec, tree: object) -> bool:
    """Whether a payload is of the kind that a rule speaks of."""
    return all(_is_one(text_at(tree, path), globs) for path, globs in rule.when.items()) and not any(
        _is_one(text_at(tree, path), globs) for path, globs in rule.unless.items()
    )


def _is_one(text: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def changes_of(rules: Sequence[ChangeRuleSpec], tree: Tree, source: str, received: int, ahead_ns: int) -> Iterator[Row]:
    """Rows of EVENTS that a payload tells of: those of the first rule that fits."""
    rule = next((each for each in rules if fits(each, tree)), None)
    if rule is None:
        return
    for item in _items(rule, tree)[:MOST_CHANGES]:
        yield change_of(rule, item, source, received, ahead_ns)


def _items(rule: ChangeRuleSpec, tree: Tree) -> list[Tree]:
    if not rule.each:
        return [tree]
    found = at(tree, rule.each)
    return [{**tree, "item": item} for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def change_of(rule: ChangeRuleSpec, tree: Tree, source: str, received: int, ahead_ns: int) -> Row:
    """The row of EVENTS that a rule makes of a payload; without a time that can be, it happened now."""
    of = text_at(tree, rule.kind_of) if rule.kind_of else ""
    kind = next((kind for glob, kind in rule.kinds.items() if fnmatchcase(of, glob)), rule.kind)
    attributes = [(name, _clean(filled(text, tree), _TEXT_CHARS)) for name, text in rule.attributes.items()]
    return {
        "time": _time(rule, tree, received, ahead_ns),
        "kind": kind,
        "entity": _clean(filled(rule.entity, tree), _TEXT_CHARS),
        "what": _clean(filled(rule.what, tree), _WHAT_CHARS) or kind,
        "source": source,
        "attributes": [(name, text) for name, text in attributes if text],
    }


def _clean(text: str, chars: int) -> str:
    return one_line(text.encode("utf-8", "replace").decode(), chars).strip()


def _time(rule: ChangeRuleSpec, tree: Tree, received: int, ahead_ns: int) -> int:
    for path in rule.time:
        found = at(tree, path)
        if isinstance(found, str):
            match = _SPACED.fullmatch(found.strip())
            if match is not None:
                found = f"{match[1]}T{match[2]}{_zone(match[3])}"
        try:
            return check_time(parse_time_ns(found), received, ahead_ns)
        except Unusable:
            continue
    return received


def _zone(text: str) -> str:
    if text == "UTC":
        return "Z"
    return text if ":" in text else f"{text[:3]}:{text[3:]}"
