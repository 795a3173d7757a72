"""The summary of an incident: what happened, why, and what to do next, each sentence with the evidence it stands on.

Nothing is said that is not in a finding, a change, a trace, a log line, a runbook or the guide of a pack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode

from tocsin.correlate.statement import MAX_SENTENCES, Symptom, monitor_words, number, sentence, span, together
from tocsin.correlate.topology import EntityKeys
from tocsin.model.finding import Finding
from tocsin.model.incident import Cause, Change, Incident
from tocsin.model.message import ROLES, TraceExample
from tocsin.model.security import KIND
from tocsin.model.seen_at import seen_at
from tocsin.model.summary import Sentence, Source, Summary
from tocsin.model.text import one_line
from tocsin.spec.pack import PackSpec

MOST_REASONS: Final = 4
MOST_LINES: Final = 3
MOST_STEPS: Final = 8
NEAR_BEST: Final = 0.75
"""A second cause is told where its score is at least this share of the first's."""
_CITED: Final = 12
_NAME_CHARS: Final = 80
_NS: Final = 1_000_000_000
_UNKNOWN: Final = "unknown"


class Summariser:
    """Tells incidents in sentences; `packs` give the names of things and what to look at next by kind of cause."""

    def __init__(self, packs: Sequence[PackSpec]) -> None:
        self._keys = EntityKeys(packs)
        self._packs = frozenset(pack.name for pack in packs)
        self._general = frozenset(each.name for pack in packs for each in pack.monitors if each.fallback)
        self._checks: dict[str, list[str]] = {}
        self._monitored: dict[str, list[str]] = {}
        for pack in sorted(packs, key=lambda each: each.name):
            for guide in pack.guide:
                kept = self._checks if guide.cause else self._monitored
                kept.setdefault(guide.cause or guide.monitor, []).extend(guide.checks)

    def of(self, incident: Incident, traces: Sequence[TraceExample] = ()) -> Summary:
        """Sentences about an incident and example `traces` of it; the same evidence gives the same words."""
        symptoms = [self._symptom(each) for each in _in_order(incident)]
        said = [*self._happened(symptoms), *_logged(incident.findings), *_traced(traces)]
        said += [*self._reasons(incident), *_shares(incident.findings), *self._steps(incident)]
        return Summary(tuple(said))

    def _symptom(self, finding: Finding) -> Symptom:
        general = finding.monitor in self._general
        words = one_line(finding.series.signal.name) if general else monitor_words(finding.monitor, self._packs)
        return Symptom(finding, self._keys.entities(dict(finding.series.labels)), words)

    def _happened(self, symptoms: Sequence[Symptom]) -> list[Sentence]:
        alike: dict[tuple[str, str], list[Symptom]] = {}
        for symptom in symptoms:
            alike.setdefault((symptom.name, symptom.finding.direction), []).append(symptom)
        kinds = list(alike.values())
        said = []
        for each in kinds[:MAX_SENTENCES]:
            meant = each[0].finding.evidence.get("summary")
            text = together(each) + (f": {meant}" if isinstance(meant, str) and meant else "")
            said.append(_sentence("what", text, [_finding(one.finding) for one in each]))
        rest = [one for each in kinds[MAX_SENTENCES:] for one in each]
        if rest:
            text = f"{len(rest):,} further finding{'' if len(rest) == 1 else 's'} belong to it"
            said.append(_sentence("what", text, [_finding(one.finding) for one in rest]))
        return said

    def _reasons(self, incident: Incident) -> list[Sentence]:
        causes = incident.causes
        if not causes or causes[0].kind == _UNKNOWN:
            why = causes[0].evidence[0] if causes and causes[0].evidence else "nothing that is known changed before it"
            refs = [_cause(incident, causes[0])] if causes else [_finding(each) for each in incident.findings[:1]]
            return [_sentence("why", f"No change or resource is a likely cause: {why}", refs)] if refs else []
        best = causes[0]
        said = [_sentence("why", f"Most likely cause (score {best.score:.2f}): {_named(best)}", _of(incident, best))]
        told = {sentence(self._symptom(each)) for each in incident.findings}
        said += [
            _sentence("why", f"For it: {each}", _of(incident, best))
            for each in [one for one in best.evidence if one not in told][:MOST_REASONS]
        ]
        said += [
            _sentence("why", f"Against it: {each}", _of(incident, best)) for each in best.refuted_by[:MOST_REASONS]
        ]
        if len(causes) > 1 and causes[1].score >= NEAR_BEST * best.score and causes[1].kind != _UNKNOWN:
            text = f"Nearly as likely (score {causes[1].score:.2f}): {_named(causes[1])}"
            said.append(_sentence("why", text, _of(incident, causes[1])))
        return said

    def _steps(self, incident: Incident) -> list[Sentence]:
        steps: dict[str, Source] = {}
        for joint in incident.runbooks:
            text = f"Runbook for what fails together here: {one_line(joint.title, 120)}, {one_line(joint.url, 300)}"
            steps[text] = Source("runbook", joint.title, joint.url)
        for finding in incident.findings:
            runbook = finding.evidence.get("runbook")
            if isinstance(runbook, str) and runbook:
                address = one_line(runbook, 300)
                steps.setdefault(f"Runbook: {address}", Source("runbook", finding.monitor, _web(address, finding)))
        kinds = dict.fromkeys(str(each.evidence[KIND]) for each in incident.findings if KIND in each.evidence)
        best = incident.causes[0] if incident.causes else Cause(_UNKNOWN, "", "", 0.0)
        for kind in (*kinds, best.kind):
            for check in self._checks.get(kind, []):
                # replace, not format: text from telemetry must never be read as a template
                entity = one_line(best.entity, _NAME_CHARS) or "it"
                text = check.replace("{entity}", entity).replace("{what}", one_line(best.what, 120))
                steps.setdefault(text, Source("guide", kind, f"/incidents/{quote(incident.id, safe='')}#causes"))
        for symptom in map(self._symptom, _in_order(incident)):
            place = one_line(symptom.entities[0], _NAME_CHARS) if symptom.entities else "it"
            for check in self._monitored.get(symptom.finding.monitor, []):
                steps.setdefault(check.replace("{entity}", place), _finding(symptom.finding))
        return [Sentence("next", text, (source,)) for text, source in list(steps.items())[:MOST_STEPS]]


def _in_order(incident: Incident) -> list[Finding]:
    return sorted(incident.findings, key=lambda each: (each.start, each.id))


def _sentence(part: str, text: str, sources: Iterable[Source]) -> Sentence:
    shown = one_line(text, 700)
    end = "" if shown.endswith((".", "!", "?", "…")) else "."
    cited = tuple(dict.fromkeys(sources))[:_CITED]
    return Sentence("what" if part == "what" else "why", f"{shown[:1].upper()}{shown[1:]}{end}", cited)


def _finding(finding: Finding) -> Source:
    return Source("finding", finding.id.hex(), seen_at(finding))


def _cause(incident: Incident, cause: Cause) -> Source:
    ref = one_line(f"{cause.kind}:{cause.entity}:{cause.what}", 200)
    return Source("cause", ref, f"/incidents/{quote(incident.id, safe='')}#causes")


def _change(incident: Incident, change: Change) -> Source:
    when = datetime.fromtimestamp(change.time // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Source("change", f"{change.kind} {when}", f"/incidents/{quote(incident.id, safe='')}#timeline")


def _of(incident: Incident, cause: Cause) -> list[Source]:
    """What a cause stands on: the change that it is, or the findings of its entity, and its place in the ranking."""
    named = (cause.kind, cause.entity, cause.what)
    changes = [_change(incident, each) for each in incident.changes if (each.kind, each.entity, each.what) == named]
    mine = [each for each in _in_order(incident) if cause.entity in dict(each.series.labels).values()]
    return [_cause(incident, cause), *changes, *(_finding(each) for each in mine if not changes)]


def _named(cause: Cause) -> str:
    where = f" on {one_line(cause.entity, _NAME_CHARS)}" if cause.entity else ""
    return f"{cause.kind}{where}, {one_line(cause.what, 160)}"


def _shares(findings: Sequence[Finding]) -> list[Sentence]:
    said: dict[str, Sentence] = {}
    for each in findings:
        by, share = each.evidence.get("explained_by"), each.evidence.get("explained_share")
        if isinstance(by, str) and isinstance(share, int | float) and 0 < share <= 1:
            text = f"{share:.0%} of the excess of {monitor_words(each.monitor)} is in what carries {one_line(by, 120)}"
            said.setdefault(text, _sentence("why", text, [_finding(each)]))
    return list(said.values())[:MOST_LINES]


def _logged(findings: Sequence[Finding]) -> list[Sentence]:
    """Lines that findings on logs rest on: quoted, never read."""
    said: dict[str, Sentence] = {}
    for each in findings:
        service = each.series.label("service.name")
        for place in range(1, MOST_LINES + 1):
            line, key = each.evidence.get(f"sample.{place}"), each.evidence.get(f"template.{place}.id")
            if not isinstance(line, str) or not line or not isinstance(key, str) or key in said:
                continue
            link = f"/logs?{urlencode({'service': service, 'template': key})}"
            text = f"The log of {one_line(service, 60) or 'it'} says “{one_line(line, 200)}”{_times(each, place)}"
            said[key] = _sentence("what", text, [Source("log", key, link), _finding(each)])
    return list(said.values())[:MOST_LINES]


def _times(finding: Finding, place: int) -> str:
    now, usual = (finding.evidence.get(f"template.{place}.{name}") for name in ("records", "usual"))
    if not isinstance(now, int | float) or not isinstance(usual, int | float):
        return ""
    return f": {number(now)} times, usually {number(usual)}"


def _traced(traces: Sequence[TraceExample]) -> list[Sentence]:
    said = []
    for each in traces:
        role = ROLES.get(each.role, each.role)
        what = f"{one_line(each.operation, 80)} of {one_line(each.service, 60)}"
        took = span(each.duration_ns) if each.duration_ns >= 60 * _NS else number(each.duration_ns / _NS, "s")
        link = f"/traces/{quote(each.trace_id, safe='')}"
        said.append(_sentence("what", f"A trace, {role}: {what}, {took}", [Source("trace", each.trace_id, link)]))
    return said[:MOST_LINES]


def _web(address: str, finding: Finding) -> str:
    """Only web addresses are links: a runbook may be any text."""
    return address if address.startswith(("https://", "http://")) else _finding(finding).link
