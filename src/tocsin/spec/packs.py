"""The packs that ship with the program, and a directory of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from tocsin.spec.load import read_text, validated
from tocsin.spec.pack import PackSpec
from tocsin.spec.problem import BadSpec, Problem
from tocsin.spec.tree import parse

Text: TypeAlias = tuple[str, str]
"""(name of the file, its text)."""


def load_packs(extra_dirs: Sequence[Path] = ()) -> list[PackSpec]:
    """Every pack by name; one in `extra_dirs` replaces a shipped one of its name.

    A file is a pack when its top level has `name` and `version`; other YAML beside them is left alone.

    Raises
    ------
    BadSpec
        A pack is wrong, with every fault at `file:line:column`.
    """
    named = {pack.name: pack for pack in _shipped_packs()}
    for path in extra_dirs:
        named |= {pack.name: pack for pack in _good(_in_directory(path))}
    return [named[name] for name in sorted(named)]


@cache
def _shipped_packs() -> list[PackSpec]:
    """They are part of the program: read once a process."""
    return _good(_shipped())


def _good(group: Iterable[Text]) -> list[PackSpec]:
    faults: list[Problem] = []
    found = list(_packs(group, faults))
    if faults:
        raise BadSpec(faults)
    return found


def parse_pack(text: str, file: str) -> PackSpec | None:
    """One pack from its text; None for YAML that is no pack.

    Raises
    ------
    BadSpec
        It is a pack with faults.
    """
    root = parse(text, file)
    if not isinstance(root.items, dict) or not {"name", "version"} <= set(root.items):
        return None
    return validated(PackSpec, root, file)


def _packs(group: Iterable[Text], faults: list[Problem]) -> Iterable[PackSpec]:
    seen: dict[str, str] = {}
    for file, text in group:
        try:
            pack = parse_pack(text, file)
        except BadSpec as error:
            faults.extend(error.problems)
            continue
        if pack is None:
            continue
        if pack.name in seen:
            faults.append(Problem(file, 1, 1, f"the pack `{pack.name}` is already in {seen[pack.name]}"))
        seen[pack.name] = file
        yield pack


def _shipped() -> Iterable[Text]:
    for entry in sorted(files("tocsin.packs").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield f"packs/{entry.name}", entry.read_text(encoding="utf-8")


def _in_directory(path: Path) -> Iterable[Text]:
    for entry in sorted(path.glob("*.yaml")):
        yield str(entry), read_text(entry)


def unseen(packs: Iterable[PackSpec]) -> list[str]:
    """What no telemetry can show, as packs say it."""
    return [text for pack in packs for text in pack.unseen]
