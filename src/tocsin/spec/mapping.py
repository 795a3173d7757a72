"""`MappingSpec`: names in the wild of one canonical field."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tocsin.spec.monitor import Spec


class MappingSpec(Spec):
    """Names in the wild, first match wins, of one canonical field (versioned with the pack)."""

    field: str
    names: list[str]
    values: dict[str, str] = {}  # exact texts or globs, case doesn't count

    def canonical(self, value: str) -> str:
        """The canonical spelling of a value, itself where no rule speaks of it."""
        found = canonical_of(value, self.values.items())
        return value if found is None else found


def canonical_of(value: str, rules: Iterable[tuple[str, str]]) -> str | None:
    """What the rules (exact text or glob, canonical) make of a value: an exact text wins over every glob.

    >>> canonical_of("Azure", [("a*", "other"), ("azure", "az.ai.openai")])
    'az.ai.openai'
    """
    lower = value.lower()
    of_glob: str | None = None
    for pattern, canonical in rules:
        if pattern.lower() == lower:
            return canonical
        if of_glob is None and fnmatchcase(lower, pattern.lower()):
            of_glob = canonical
    return of_glob
