"""`TokenCounts`: tokens of model calls that tell no usage, and documents that were retrieved, counted before texts go.

Of tokens an estimate, and marked as one: the encodings are those of one vendor, and what a chat adds around each message is
taken to be four tokens (docs/llm.md says how far off that is).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pyarrow as pa
import toktok
import yaml

from tocsin.ingest.identify import Redactor
from tocsin.ingest.retrieved import Retrieved
from tocsin.model.arrays import I8
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.series import Labels
from tocsin.selfmon.metrics import counter

_PER_MESSAGE: Final = 4
_MOST_CHARS: Final = 1 << 20
_SAID: Final = frozenset({"content", "text", "arguments", "result", "response"})
_COUNTED = counter("tocsin_ingest_token_estimates_total", "Model calls without usage whose tokens were estimated.")


class TokenCounts:
    """A redactor that estimates tokens and counts documents before it drops what was said.

    Parameters
    ----------
    redactor : what takes the content out
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._names = _Names()
        self._documents = Retrieved()

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames without secrets and contents; calls that tell no usage have estimates, retrievals their counts."""
        counted = [self._counted(frame) if frame.kind is FrameKind.SPANS and len(frame) else frame for frame in frames]
        return self._redactor.frames(counted)

    def labels(self, labels: Labels) -> Labels:
        """The labels without secrets."""
        return self._redactor.labels(labels)

    def _counted(self, frame: Frame) -> Frame:
        attributes = frame.batch.column("attributes")
        keys = attributes.keys.dictionary_encode()
        names = keys.dictionary.to_pylist()
        code = keys.indices.to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(attributes)), np.diff(np.asarray(attributes.offsets)))
        calls = self._calls(names, code, rows, frame)
        found = self._documents.rows(names, code, rows, attributes.items)
        if not calls and not found:
            return frame
        pairs = attributes.to_pylist()
        for row in sorted(calls | found):
            told = dict(pairs[row])
            if row in calls:
                estimates = self._names.estimates(told)
                pairs[row] += [(name, str(count)) for name, count in estimates]
                _COUNTED.inc(bool(estimates))
            if row in found:
                pairs[row] += self._documents.told(told)
        column = pa.array(pairs, attributes.type)
        place = frame.batch.schema.get_field_index("attributes")
        arrays = [*frame.batch.columns[:place], column, *frame.batch.columns[place + 1 :]]
        batch = pa.RecordBatch.from_arrays(arrays, schema=frame.batch.schema)
        return Frame(frame.kind, frame.tenant, frame.source, batch)

    def _calls(self, names: Sequence[str], code: I8, rows: I8, frame: Frame) -> set[int]:
        """Rows of calls that tell no usage and didn't fail."""
        kinds = np.array([self._names.kind(name) for name in names], "i4")
        if not (kinds == _SPOKEN).any():
            return set()
        kind = kinds[code]
        failed = np.array([status == "error" for status in frame.batch.column("status").to_pylist()], "?")
        wanted = set(rows[kind == _SPOKEN].tolist()) & set(rows[kind == _MODEL].tolist())
        return wanted - {*rows[kind == _TOLD].tolist(), *np.flatnonzero(failed).tolist()}


_NOTHING, _SPOKEN, _MODEL, _TOLD = range(4)


class _Names:
    """What names mean for an estimate (packs/content.yaml), with a bounded memory of answers."""

    def __init__(self) -> None:
        names = _rules()
        self._told: list[str] = names["told"]
        self._model: list[str] = names["model"]
        self._sides = [(names["prompt_key"], names["prompt"]), (names["answer_key"], names["answer"])]
        self._encodings: list[tuple[str, str]] = list(names["encodings"].items())
        self._known: dict[str, int] = {}

    def kind(self, name: str) -> int:
        """Whether a name carries what was said, a model, or the usage."""
        found = self._known.get(name)
        if found is None:
            if len(self._known) > 20_000:  # names come from telemetry: bounded
                self._known.clear()
            found = self._known[name] = self._kind(name)
        return found

    def _kind(self, name: str) -> int:
        if _fits(name, self._told):
            return _TOLD
        if name in self._model:
            return _MODEL
        spoken = any(_fits(name, globs) for _, groups in self._sides for globs in groups)
        return _SPOKEN if spoken else _NOTHING

    def estimates(self, attributes: Mapping[str, str]) -> list[tuple[str, int]]:
        """Tokens of the prompt and of the answer, each if there is one."""
        model = next((attributes[name] for name in self._model if attributes.get(name)), "").lower()
        encoding = next(encoding for glob, encoding in self._encodings if fnmatchcase(model, glob))
        found = []
        for key, groups in self._sides:
            for globs in groups:
                texts = [text for name, text in attributes.items() if text and _fits(name, globs)]
                if texts:
                    found.append((key, _count(texts, encoding)))
                    break
        return found


def said_in(attributes: Mapping[str, str]) -> tuple[str, str]:
    """What was asked and what was answered in a call, as far as its attributes keep it; "" for what they don't.

    >>> said_in({"gen_ai.prompt": "2 + 2?", "gen_ai.completion": "4"})
    ('2 + 2?', '4')
    """
    found = []
    for groups in (_rules()["prompt"], _rules()["answer"]):
        texts = ([text for name, text in attributes.items() if text and _fits(name, globs)] for globs in groups)
        found.append("\n".join(part for text in next(filter(None, texts), []) for part in _messages(text)))
    return found[0], found[1]


def _fits(name: str, globs: Sequence[str]) -> bool:
    return any(name == glob or ("*" in glob and fnmatchcase(name, glob)) for glob in globs)


def _count(texts: Sequence[str], encoding: str) -> int:
    """Tokens of messages; what is longer than a million characters is taken to go on as it began."""
    parts = [part for text in texts for part in _messages(text)]
    lengths = [len(part) for part in parts]
    cut = [part[:_MOST_CHARS].encode("utf-8", "replace").decode() for part in parts]
    counts: list[int] = toktok.batch_count(cut, encoding)
    spread = (count * max(1.0, length / _MOST_CHARS) for count, length in zip(counts, lengths, strict=True))
    return round(sum(spread)) + _PER_MESSAGE * len(parts)


def _messages(text: str) -> Iterator[str]:
    """What is said in a JSON list of messages, a text for each; any other text is one message."""
    try:
        found = json.loads(text) if text.startswith(("[", "{")) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list | dict):
        yield text
        return
    for message in found if isinstance(found, list) else [found]:
        said = " ".join(_said(message, spoken=isinstance(message, str)))
        if said:
            yield said


def _said(value: Any, *, spoken: bool) -> Iterator[str]:
    """Texts under the keys that hold what is said."""
    waiting = [(value, spoken)]
    while waiting:
        one, spoken = waiting.pop()
        if isinstance(one, str):
            if spoken:
                yield one
        elif isinstance(one, dict):
            waiting += [(each, spoken or key in _SAID) for key, each in one.items() if key not in ("type", "role")]
        elif isinstance(one, list):
            waiting += [(each, spoken) for each in one]


@cache
def _rules() -> dict[str, Any]:
    text = files("tocsin.packs").joinpath("content.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["token_estimates"]
    return found
