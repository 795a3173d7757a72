"""The table of names has a version, and a rename in a release is a change of data: shown by recorded spans of two releases."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from ingest_world import World
from llm.recorded import KEY, NOW, PACKS, ROOT
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.redact import Redactor
from tocsin.ingest.token_counts import TokenCounts
from tocsin.llm.calls import SPAN_COLUMNS, CallReader
from tocsin.model.frame import FrameKind

TABLE = next(pack for pack in PACKS if pack.name == "genai")
BEFORE, AFTER = "traceloop-0.47.5", "traceloop-0.62.4"
RENAMED = {
    "provider": ("gen_ai.system", "gen_ai.provider.name"),
    "input_tokens": ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"),
    "output_tokens": ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens"),
    "cache_read_tokens": ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_read.input_tokens"),
    "total_tokens": ("llm.usage.total_tokens", "gen_ai.usage.total_tokens"),
    "finish_reason": ("gen_ai.completion.0.finish_reason", "gen_ai.response.finish_reasons"),
    "operation": ("llm.request.type", "gen_ai.operation.name"),
}


def calls_of(release, provider):
    """Frames of the calls that a release of Traceloop's instrumentor sent, and their attributes as they came."""
    world = World(TokenCounts(Redactor((), keep_content=False, token_key=KEY)), now=NOW)
    raw = (ROOT / release / f"{provider}.json").read_bytes()
    assert OtlpReceiver(world.edge).take("traces", raw, "main", as_json=True).rejected == 0
    frames = world.frames(FrameKind.SPANS)
    return frames, [dict(row["attributes"]) for frame in frames for row in frame.rows()]


def field_of(release, provider, packs, field):
    """All that is read of one field, of every call of a recording, sorted."""
    frames, _ = calls_of(release, provider)
    reader, found = CallReader(packs), list[str | float]()
    for frame in frames:
        calls = reader.read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})
        rows = np.flatnonzero(calls.counted).tolist()
        text = calls.texts.get(field)
        found += [float(calls.numbers[field][row]) if text is None else text.of(row) for row in rows]
    return sorted(str(value) for value in found if value and value == value)


def without(name):
    """The packs as they were before a name was known."""
    told = [
        mapping.model_copy(update={"names": [each for each in mapping.names if each != name]})
        for mapping in TABLE.mappings
    ]
    # a scope that names its provider, and sums of parts, would hide what is missing
    bare = TABLE.model_copy(update={"mappings": told, "span_scopes": []})
    return [*(pack for pack in PACKS if pack.name != "genai"), bare]


@pytest.mark.parametrize("field", RENAMED)
def test_a_rename_between_two_real_releases_is_a_line_of_the_table(field):
    old, new = RENAMED[field]
    _, before = calls_of(BEFORE, "openai")
    _, after = calls_of(AFTER, "openai")
    assert any(old in each for each in before)
    assert not any(old in each for each in after)
    assert any(new in each for each in after)
    assert not any(new in each for each in before)
    read = field_of(AFTER, "openai", PACKS, field)
    assert read
    assert set(field_of(BEFORE, "openai", PACKS, field)) & set(read)
    if field != "total_tokens":  # it is the sum of its parts where it is not told
        assert len(field_of(AFTER, "openai", without(new), field)) < len(read)
        assert len(field_of(BEFORE, "openai", without(old), field)) < len(field_of(BEFORE, "openai", PACKS, field))


def test_the_table_changes_with_its_version_only():
    """Whoever changes a name raises the version, says in the pack what changed, and writes its digest here."""
    told = json.dumps([mapping.model_dump() for mapping in TABLE.mappings], sort_keys=True)
    digests = json.loads((ROOT / "name_table.json").read_text())
    assert digests[str(TABLE.version)] == hashlib.sha256(told.encode()).hexdigest()
    assert TABLE.version == max(map(int, digests))
