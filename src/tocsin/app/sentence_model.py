"""`SentenceModel`: a sentence-embedding model of one's own, from the directory of its export; nothing is downloaded.

Vectors are means over a text's tokens, normalised, as in Reimers and Gurevych 2019 (EMNLP, "Sentence-BERT").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.onnx_model import runtime_errors
from tocsin.model.errors import BadConfig
from tocsin.model.text import one_line
from tocsin.spec.problem import nearest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

F4: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = list[int]

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
MODEL_BYTES: Final = 1 << 30
TOKENIZER_BYTES: Final = 64 << 20
TOKENS_MOST: Final = 256
"""Tokens of a text that count, those around it included."""
BATCH: Final = 32
BATCH_TOKENS: Final = 1024
"""Texts, and their tokens with those that fill them up, that are run at once: it bounds memory and how long one run takes."""
_CHARS_MOST: Final = 2000
_NEEDED: Final = ("input_ids", "attention_mask")
_INPUTS: Final = (*_NEEDED, "token_type_ids")
_POOLED: Final = "sentence_embedding"
_OF_TOKENS: Final = ("last_hidden_state", "token_embeddings")
_NO_MEANING: Final = frozenset({"logits", "pooler_output"})
"""Outputs of one row a text that are no embeddings of sentences."""
_TYPES: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_FLOATS: Final = frozenset({"tensor(float)", "tensor(float16)", "tensor(double)"})
_EXPORT: Final = "optimum-cli export onnx --model NAME DIR"
_EXPECTED: Final = (
    f"expected are inputs {', '.join(_NEEDED)} and, where it has it, token_type_ids, integers [batch, sequence], and an"
    f" output {_OF_TOKENS[0]} [batch, sequence, width] or {_POOLED} [batch, width]; `{_EXPORT}` makes such a model"
)


class SentenceModel:
    """A model and its tokenizer, tried when made; not for several threads at once.

    Parameters
    ----------
    place : directory with `tokenizer.json`, and `model.onnx` there or in `onnx`
    shown : what the directory is called in what is said of it

    Attributes
    ----------
    name : of the directory
    width : length of a vector

    Raises
    ------
    BadConfig
        A file is missing, damaged or not what is expected, or the extra is not installed.
    """

    def __init__(self, place: Path, shown: str = "") -> None:
        shown = one_line(shown or str(place), 200)
        self.name = one_line(place.resolve().name, 80)
        path = model_path(place, shown)
        self._tokenizer, self._unknown = _tokenizer(place / TOKENIZER, f"{shown}/{TOKENIZER}")
        told = self._tokenizer.padding
        self._padding = int(told["pad_id"]) if told else _padding_of(self._tokenizer)
        self._shown = f"{shown}/{path.relative_to(place)}"
        self._session = _session(path, self._shown)
        try:
            self._inputs = _inputs_of(self._session)
            self._output = _output_of(self._session)
        except BadConfig as bad:
            raise BadConfig(f"{self._shown} {bad}; {_EXPECTED}") from None
        cut = self._tokenizer.truncation
        self._most = min(TOKENS_MOST, int(cut["max_length"])) if cut else TOKENS_MOST
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._most)
        self.width = self._tried()

    def vectors(self, texts: Sequence[str]) -> F4:
        """Unit vectors (n, width) of texts; zeros for one without a word that the model knows.

        Raises
        ------
        BadConfig
            The model fails, or gives another shape than it declares.
        """
        found: F4 = np.zeros((len(texts), self.width), np.float32)
        for rows, made in self.read(texts):
            found[rows] = made
        return found

    def read(self, texts: Sequence[str]) -> Iterator[tuple[list[int], F4]]:
        """Unit vectors batch by batch, the shortest texts first: places of its texts, and (n, width).

        Raises
        ------
        BadConfig
            As for `vectors`.
        """
        ids = [self._ids(text) for text in texts]
        rows: list[int] = []
        for row in sorted(range(len(texts)), key=lambda row: len(ids[row])):
            if rows and (len(rows) == BATCH or (len(rows) + 1) * len(ids[row]) > BATCH_TOKENS):
                yield rows, self._run([ids[each] for each in rows])
                rows = []
            rows.append(row)
        if rows:
            yield rows, self._run([ids[each] for each in rows])

    def _ids(self, text: str) -> Ids:
        """Tokens of a text; none where the model knows none of its words."""
        said = words_of(text)
        if not any(char.isalpha() for char in said):
            return []
        try:
            told = self._tokenizer.encode(said)
        except Exception as error:  # noqa: BLE001 - the library has no other kind
            raise BadConfig(f"{TOKENIZER} can't be used: {_first_line(error)}") from None
        known = any(
            not special and one != self._unknown
            for one, special in zip(told.ids, told.special_tokens_mask, strict=True)
        )
        return list(told.ids) if known else []

    def _run(self, ids: Sequence[Ids]) -> F4:
        """Unit vectors (n, width) of n lists of tokens, zeros for an empty one and for what is no number."""
        longest = max(map(len, ids)) or 1
        tokens = np.full((len(ids), longest), self._padding)
        mask = np.zeros((len(ids), longest), np.int64)
        for row, some in enumerate(ids):
            tokens[row, : len(some)] = some
            mask[row, : len(some)] = 1
        given = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        fed = {name: given[name].astype(kind) for name, kind in self._inputs.items()}
        try:
            told = np.asarray(self._session.run([self._output], fed)[0], np.float64)
        except runtime_errors(_runtime()) as failed:
            raise BadConfig(f"{self._shown} can't be run: {_first_line(failed)}") from None
        if told.ndim == 3 and told.shape[:2] == mask.shape:
            inside = mask[:, :, None] > 0
            told = np.where(inside, told, 0.0).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        if told.ndim != 2 or told.shape[0] != len(ids) or not told.shape[1]:
            raise BadConfig(f"{self._shown} gave {self._output} of shape {list(told.shape)}; {_EXPECTED}")
        return _units(np.where(mask.any(axis=1, keepdims=True), told, 0.0))

    def _tried(self) -> int:
        """Length of a vector; the last token there is, and a text as long as any, are run once."""
        last = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
        try:
            made = self._run([[last], [self._padding]])
        except BadConfig as bad:
            text = f"{bad}; {TOKENIZER} has tokens up to {last}: both must be of one export"
            raise BadConfig(text) from None
        try:
            full = self._run([[last] * self._most])
        except BadConfig as bad:
            text = f"{bad}; it was given {self._most} tokens: set a `truncation` in {TOKENIZER} that the model takes"
            raise BadConfig(text) from None
        if not (made.any() or full.any()):
            raise BadConfig(f"{self._shown} gives nothing but zeros, or what is no number; export it again")
        return int(made.shape[1])


def model_path(place: Path, shown: str) -> Path:
    """Where the model lies in a directory that has a tokenizer too.

    Raises
    ------
    BadConfig
        One of them is missing, or too large.
    """
    if place.is_file():
        raise BadConfig(f"{shown} is a file; name the directory that holds {MODEL} and {TOKENIZER}")
    if not place.is_dir():
        beside = [each.name for each in _listed(place.parent) if each.is_dir()]
        raise BadConfig(f"there is no directory {shown}{nearest(place.name, beside)}")
    path = next((path for path in (place / MODEL, place / "onnx" / MODEL) if path.is_file()), None)
    if path is None:
        others = [str(each.relative_to(place)) for each in (*_listed(place), *_listed(place / "onnx"))]
        there = [name for name in others if name.endswith(".onnx")]
        told = f"; there is {', '.join(sorted(there)[:5])}: give one the name {MODEL}" if there else ""
        raise BadConfig(f"there is no {MODEL} in {shown}, nor in {shown}/onnx{told or f'; `{_EXPORT}` makes it'}")
    if not (place / TOKENIZER).is_file():
        step = "save it with the class PreTrainedTokenizerFast, or export the model anew"
        raise BadConfig(f"there is no {TOKENIZER} in {shown}; {step} (`{_EXPORT}`)")
    # tensors beyond 2 GiB, or of some exporters, lie in files beside the model whose names begin with its own
    size = sum(each.stat().st_size for each in _listed(path.parent) if each.name.startswith(MODEL) and each.is_file())
    if size > MODEL_BYTES:
        raise BadConfig(f"{shown}/{MODEL} has {size:,} bytes, more than the {MODEL_BYTES:,} that are taken")
    return path


def words_of(text: str) -> str:
    r"""What of a template is given to a model: no signs for what varies, no control characters, one line.

    >>> words_of("connection to <*>\nwas \x1b[31mrefused")
    'connection to was [31mrefused'
    """
    return one_line(text[: 2 * _CHARS_MOST].replace("<*>", " "), _CHARS_MOST)


def _listed(place: Path) -> list[Path]:
    try:
        return sorted(place.iterdir())
    except OSError:
        return []


def _units(told: NDArray[np.float64]) -> F4:
    usable = np.isfinite(told).all(axis=1, keepdims=True)
    told = np.where(usable, told, 0.0)
    told = told / np.maximum(np.abs(told).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    norm = np.sqrt((told * told).sum(axis=1, keepdims=True))
    unit: F4 = np.divide(told, norm, out=np.zeros_like(told), where=norm > 0).astype(np.float32)
    return unit


def _tokenizer(path: Path, shown: str) -> tuple[Tokenizer, int | None]:
    """A tokenizer and its token for what it does not know."""
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadConfig(_missing("tokenizers")) from None
    try:
        with path.open("rb") as stream:
            raw = stream.read(TOKENIZER_BYTES + 1)
    except OSError as error:
        raise BadConfig(f"{shown} can't be read: {(error.strerror or str(error)).lower()}") from None
    if len(raw) > TOKENIZER_BYTES:
        raise BadConfig(f"{shown} has more than the {TOKENIZER_BYTES:,} bytes that are taken")
    again = "save it with PreTrainedTokenizerFast.save_pretrained, or export the model anew"
    try:
        text = raw.decode()
        model = json.loads(text)["model"]
        made = Tokenizer.from_str(text)
        unknown = model.get("unk_id", made.token_to_id(str(model.get("unk_token"))))
    except Exception as error:  # noqa: BLE001 - the library has no other kind
        raise BadConfig(f"{shown} is no tokenizer: {_first_line(error)}; {again}") from None
    return made, unknown if isinstance(unknown, int) else None


def _padding_of(tokenizer: Tokenizer) -> int:
    """A token to fill with; masked out, it counts nowhere."""
    found = (tokenizer.token_to_id(name) for name in ("[PAD]", "<pad>"))
    return next((int(one) for one in found if one is not None), 0)


def _missing(name: str) -> str:
    return f"grouping by a sentence model needs {name}, which is not installed: pip install 'tocsin[embed]'"


def _runtime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        raise BadConfig(_missing("ONNX Runtime")) from None
    return onnxruntime


def _session(path: Path, shown: str) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # what a long text needed is given back
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except runtime_errors(runtime) as failed:
        reason = _first_line(failed).replace(str(path), shown)
        raise BadConfig(f"{shown} is no ONNX model that can be run: {reason}; `{_EXPORT}` makes one") from None


def _inputs_of(session: Any) -> dict[str, Any]:
    """Types of the inputs by name."""
    inputs = session.get_inputs()
    names = [each.name for each in inputs]
    foreign = [name for name in names if name not in _INPUTS]
    lacking = [name for name in _NEEDED if name not in names]
    fits = all(each.type in _TYPES and len(each.shape) == 2 for each in inputs)
    fixed = any(isinstance(size, int) for each in inputs for size in each.shape)
    if foreign or lacking or not fits:
        raise BadConfig(f"has the inputs {_said(inputs)}")
    if fixed:
        raise BadConfig(f"has inputs of fixed size, {_said(inputs)}, where batch and sequence must be open")
    return {each.name: _TYPES[each.type] for each in inputs}


def _output_of(session: Any) -> str:
    """The output that holds embeddings: of sentences, else of tokens, else the only one of a row a text."""
    outputs = session.get_outputs()
    rank: dict[str, int] = {each.name: len(each.shape) for each in outputs if each.type in _FLOATS}
    if rank.get(_POOLED) == 2:
        return _POOLED
    for name in _OF_TOKENS:
        if rank.get(name) == 3:
            return name
    rows = [name for name, size in rank.items() if size == 2 and name not in _NO_MEANING]
    if len(rows) == 1:
        return rows[0]
    raise BadConfig(f"has the outputs {_said(outputs)}")


def _said(parts: Sequence[Any]) -> str:
    told = (f"{each.name} {each.type} [{', '.join(map(str, each.shape))}]" for each in parts)
    return one_line(", ".join(told) or "none", 300)


def _first_line(error: Exception) -> str:
    return one_line(str(error).strip().partition("\n")[0], 200)
