"""Lineage: the experiment, run and data-set version that a reference stems from, carried in the evidence of findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tocsin.model.finding import Evidence, Finding
from tocsin.model.text import one_line

KINDS: Final = ("experiment", "run", "dataset")
NAME_CHARS: Final = 200
LINK_CHARS: Final = 1_000
# no blanks, quotes, brackets, bars or backslashes: what stands in a page or message stays one address there
_PLAIN: Final = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.ASCII)


class Origin(NamedTuple):
    """What a reference stems from: one of `KINDS`, its name, and an address or ""."""

    kind: str
    name: str
    link: str = ""

    @property
    def words(self) -> str:
        """Kind and name on one line."""
        return f"{'data set' if self.kind == 'dataset' else self.kind} {self.name}"


def safe_link(text: str) -> str:
    """The address if it is a plain one of http or https, else "".

    >>> safe_link("https://mlflow.example/#/runs/7"), safe_link("javascript:alert(1)"), safe_link("https://a@b.example/")
    ('https://mlflow.example/#/runs/7', '', '')
    """
    if len(text) > LINK_CHARS or _PLAIN.fullmatch(text) is None:
        return ""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 1) > 0
    except ValueError:
        named = False
    return text if named else ""


def lineage_evidence(origins: Iterable[Origin]) -> dict[str, str]:
    """Lineage as evidence of a finding has it.

    >>> lineage_evidence([Origin("run", "r7", "https://mlflow.example/r7")])
    {'lineage.run': 'r7', 'lineage.run.link': 'https://mlflow.example/r7'}
    """
    found = {}
    for each in origins:
        found[f"lineage.{each.kind}"] = each.name
        if each.link:
            found[f"lineage.{each.kind}.link"] = each.link
    return found


def lineage_of(evidence: Evidence) -> list[Origin]:
    """Lineage out of evidence, which is not trusted: names on one line, other addresses than plain ones left out."""
    found = []
    for kind in KINDS:
        name = evidence.get(f"lineage.{kind}")
        if isinstance(name, str) and (told := one_line(name, NAME_CHARS)):
            found.append(Origin(kind, told, safe_link(str(evidence.get(f"lineage.{kind}.link", "")))))
    return found


def lineage_of_all(findings: Iterable[Finding]) -> list[Origin]:
    """Lineage of all findings, each origin once."""
    return list(dict.fromkeys(each for finding in findings for each in lineage_of(finding.evidence)))


def lineage_json(origins: Iterable[Origin]) -> list[Mapping[str, str]]:
    """Lineage as the API and notices have it: `kind`, `name`, `link`."""
    return [{"kind": each.kind, "name": each.name, "link": each.link} for each in origins]
