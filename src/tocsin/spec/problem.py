"""A fault in a file of configuration, with its place; and the nearest right name for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tocsin.model.errors import BadConfig


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault: lines and columns count from 1, as editors do.

    >>> str(Problem("tocsin.yaml", 3, 5, "unknown key `tarets`"))
    'tocsin.yaml:3:5: unknown key `tarets`'
    """

    file: str
    line: int
    column: int
    message: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        note = "warning: " if self.level == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {note}{self.message}"


class BadSpec(BadConfig):
    """A file that can't take effect; `problems` has every fault found in it, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that helps with a wrong name: the nearest right one, else the list of all.

    >>> nearest("tarets", ["targets", "interval"])
    '; did you mean `targets`?'
    >>> nearest("x", ["b", "a"])
    '; known here: a, b'
    """
    choices = sorted(set(known))
    folded = {choice.casefold().replace("-", "_"): choice for choice in choices}
    close = difflib.get_close_matches(name.casefold().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{folded[close[0]]}`?"
    return f"; known here: {', '.join(choices)}" if choices else ""
