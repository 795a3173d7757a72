"""Names and values that a line of a log carries, as JSON, as `key=value`, or both; all of it is hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from tocsin.model.text import whole

_MOST_CHARS: Final = 64 * 1024
_MOST_PAIRS: Final = 400
_DEEPEST: Final = 6
_UNDER: Final = 4
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ASSIGNED: Final = re.compile(
    r"(?<![\w.])([A-Za-z_][\w.\-]{0,80})(?:=|: )"
    r"""(?:"((?:[^"\\]|\\.){0,1000})"|'([^']{0,1000})'|([0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,[0-9])|\[redacted:[a-z_]+\]|[^\s,;"'()\[\]{}]{1,500}))"""
)


def pairs_of_line(text: str, under: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """What a line names: keys in snake_case, those of objects within it joined by dots.

    Parameters
    ----------
    under : keys whose objects are read as if they were the line
    texts : keys whose text may be a line of its own

    >>> pairs_of_line('INFO done {"model": "m", "usage": {"promptTokens": 3}}', ["usage"], [])["prompt_tokens"]
    '3'
    >>> pairs_of_line('level=info msg="it is done" model=m took=1.5s', [], [])["took"]
    '1.5s'
    """
    found = pairs_of_tree(_object(text), under)
    if not found:
        return _assigned(text)
    for name in texts:
        if said := found.get(name):
            within = pairs_of_tree(_object(said), under) or _assigned(said)
            found = within | found
    return found


def pairs_of_tree(tree: Mapping[str, Any], under: Sequence[str]) -> dict[str, str]:
    """Texts in an object by their path; what lies under `under` is there by its shorter path too, if that is free."""
    found: dict[str, str] = {}
    for path, value in _leaves(tree):
        found.setdefault(path, value)
        if len(found) >= _MOST_PAIRS:
            break
    for path, value in list(found.items()):
        found.setdefault(_shorter(path, under), value)
    return found


def _object(text: str) -> dict[str, Any]:
    """The JSON object that a text is, or ends with; numbers stay as they are written."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin or end - begin > _MOST_CHARS or text[end + 1 :].strip():
        return {}
    try:
        found = json.loads(text[begin : end + 1], parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _assigned(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ASSIGNED.finditer(text[:_MOST_CHARS]):
        key, double, single, plain = match.groups()
        value = next((each for each in (double, single, plain) if each is not None), "")
        found.setdefault(".".join(map(_snake, key.split("."))), value)
        if len(found) >= _MOST_PAIRS:
            break
    return found


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Paths and texts of an object, breadth first: of a list its first element."""
    waiting: list[tuple[str, Any, int]] = [("", tree, 0)]
    for path, value, depth in waiting:  # grows while it is read
        if isinstance(value, dict):
            if depth < _DEEPEST and len(waiting) < 4 * _MOST_PAIRS:
                waiting += [
                    (f"{path}.{_snake(key)}" if path else _snake(key), each, depth + 1) for key, each in value.items()
                ]
        elif isinstance(value, list):
            if value and depth < _DEEPEST:
                first = value[0]
                waiting.append((f"{path}.0" if isinstance(first, dict) else path, first, depth + 1))
        elif isinstance(value, bool):
            yield path, "true" if value else "false"
        elif isinstance(value, str):
            yield path, whole(value)


@lru_cache(4096)
def _snake(key: str) -> str:
    return _CAMEL.sub("_", key[:100]).lower().replace("-", "_").replace(" ", "_")


def _shorter(path: str, under: Sequence[str]) -> str:
    for _ in range(_UNDER):
        name = next((name for name in under if path.startswith(f"{name}.")), None)
        if name is None:
            break
        path = path[len(name) + 1 :]
    return path
