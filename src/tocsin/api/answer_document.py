"""What was retrieved for the answers of a trace and how they were judged, as JSON; all of it is hostile text, and bounded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from tocsin.ingest.redact_content import ContentNames
from tocsin.ingest.retrieved import Retrieved
from tocsin.ingest.senders import shipped_packs
from tocsin.model.codec import Json
from tocsin.model.times import time_to_json
from tocsin.spec.mapping import MappingSpec

_FIELDS: Final = ("evaluation_name", "evaluation_score", "evaluation_label")
_COUNTS: Final = ("document_count", "top_similarity_score")
_JUDGE: Final = "gen_ai.evaluation.judge.model"
_MOST_DOCUMENTS: Final = 50
_MOST_EVALUATIONS: Final = 200
_MOST_CHARS: Final = 4_000
_NAME_CHARS: Final = 200
_DROPPED: Final = ("[content dropped: ", "[redacted:")


@cache
def _mappings() -> Mapping[str, MappingSpec]:
    wanted = (*_FIELDS, *_COUNTS)
    return {each.field: each for pack in shipped_packs() for each in pack.mappings if each.field in wanted}


@cache
def _retrieved() -> Retrieved:
    return Retrieved()


@cache
def told_by() -> tuple[str, ...]:
    """Beginnings of names of attributes that tell of documents or of evaluations."""
    return tuple(sorted({*_retrieved().names, *(name for each in _mappings().values() for name in each.names)}))


def answer_document(rows: Sequence[Mapping[str, Any]]) -> Json:
    """Retrievals with their documents, and evaluations, of the rows that tell of them; what is beyond a bound is counted."""
    retrievals = [found for row in rows if (found := _retrieval(row)) is not None]
    evaluations = [each for row in rows for each in _evaluations(row)]
    return {
        "retrievals": retrievals[:_MOST_DOCUMENTS],
        "evaluations": sorted(evaluations[:_MOST_EVALUATIONS], key=lambda each: (each["name"], each["time"] or "")),
        "left_out": {
            "retrievals": max(0, len(retrievals) - _MOST_DOCUMENTS),
            "evaluations": max(0, len(evaluations) - _MOST_EVALUATIONS),
        },
    }


def _retrieval(row: Mapping[str, Any]) -> Json | None:
    attributes = dict(row["attributes"])
    documents = _retrieved().documents(attributes)
    count, best = (_number(_told(attributes, name)) for name in _COUNTS)
    if not documents and count is None:
        return None
    return {
        **{name: str(row[name])[:_NAME_CHARS] for name in ("span_id", "name", "service")},
        "count": len(documents) if count is None else count,
        "top_score": best,
        "documents": [
            {
                "id": each.id[:_NAME_CHARS],
                "score": each.score,
                "kept": not each.text.startswith(_DROPPED) and bool(each.text),
                "chars": len(each.text),
                "text": each.text[:_MOST_CHARS],
            }
            for each in documents[:_MOST_DOCUMENTS]
        ],
        "left_out": max(0, len(documents) - _MOST_DOCUMENTS),
    }


def _evaluations(row: Mapping[str, Any]) -> Iterator[Json]:
    """What a row says itself, and what events in it say: of the span that an evaluation span is below, or of its own."""
    own = dict(row["attributes"])
    yield from _evaluation(own, row["parent_id"] or row["span_id"], row["time"], row["service"])
    for event in row["events"]:
        pairs = event.get("attributes") if isinstance(event, Mapping) else None
        if isinstance(pairs, Mapping):
            said = {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in pairs.items()}
            time = event.get("time")
            yield from _evaluation(said, row["span_id"], time if isinstance(time, int) else row["time"], row["service"])


def _evaluation(attributes: Mapping[str, str], span: str, time: int, service: str) -> Iterator[Json]:
    name, score, label = (_told(attributes, field) for field in _FIELDS)
    if not (score or label):
        return
    content = {key: text for key, text in attributes.items() if _content_names().key(key).content}
    yield {
        "name": (_mappings()["evaluation_name"].canonical(name) if name else "")[:_NAME_CHARS],
        "said_as": name[:_NAME_CHARS],
        "score": _number(score),
        "label": label[:_NAME_CHARS],
        "judge": attributes.get(_JUDGE, "")[:_NAME_CHARS],
        "why": "".join(text for text in content.values() if not text.startswith(_DROPPED))[:_MOST_CHARS],
        "span_id": span,
        "service": service[:_NAME_CHARS],
        "time": time_to_json(time),
    }


@cache
def _content_names() -> ContentNames:
    return ContentNames()


def _told(attributes: Mapping[str, str], field: str) -> str:
    mapping = _mappings().get(field)
    return next((attributes[name] for name in mapping.names if attributes.get(name)), "") if mapping else ""


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
