"""What is said of an incident: sentences, each with the evidence that it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tocsin.model.times import time_to_json

Part: TypeAlias = Literal["what", "why", "next"]
"""What happened, why, and what to do next."""
SourceKind: TypeAlias = Literal["finding", "change", "cause", "trace", "log", "runbook", "guide"]
PARTS: Final[tuple[Part, ...]] = ("what", "why", "next")


@dataclass(frozen=True, slots=True)
class Source:
    """One piece of evidence: what it is, its id, and where it is seen (a path of the pages, or an address)."""

    kind: SourceKind
    ref: str
    link: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and all that it stands on: never none."""

    part: Part
    text: str
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"a sentence without a source says nothing: {self.text[:80]!r}")


@dataclass(frozen=True, slots=True)
class Summary:
    """Sentences made from evidence and, where a language model said them in other words, those that were proven.

    `model` is the name of the model, empty where none was asked or nothing of what it said was left; `rephrased_at` (ns)
    is when its words were proven: numbers may have moved since.
    """

    sentences: tuple[Sentence, ...] = ()
    rephrased: tuple[Sentence, ...] = ()
    model: str = ""
    rephrased_at: int = 0

    def of(self, part: Part) -> list[str]:
        """Texts of one part.

        >>> Summary((Sentence("what", "It is slow.", (Source("finding", "a", "/"),)),)).of("what")
        ['It is slow.']
        """
        return [each.text for each in self.sentences if each.part == part]


UNSAID: Final = Summary()
"""Nothing said yet."""


def summary_to_json(summary: Summary, base_url: str = "") -> Mapping[str, Any]:
    """A summary as JSON; paths of the pages become addresses below `base_url`."""
    return {
        "sentences": [_sentence(each, base_url) for each in summary.sentences],
        "rephrased": [_sentence(each, base_url) for each in summary.rephrased],
        "rephrased_at": time_to_json(summary.rephrased_at) if summary.rephrased_at else None,
        "model": summary.model,
    }


def _sentence(each: Sentence, base_url: str) -> Mapping[str, Any]:
    base = base_url.rstrip("/")
    return {
        "part": each.part,
        "text": each.text,
        "sources": [
            {"kind": one.kind, "ref": one.ref, "link": base + one.link if one.link.startswith("/") else one.link}
            for one in each.sources
        ],
    }
