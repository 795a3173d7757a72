"""`DriftSpec`: one policy for the drift of models - threshold, `for`, `min_n`, and what is done about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    TypeAdapter,
    model_validator,
)

from tocsin.model.lineage import KINDS, LINK_CHARS, NAME_CHARS, Origin, safe_link
from tocsin.model.text import one_line
from tocsin.spec.destination import WebhookDestination
from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs, parse_duration_ns
from tocsin.spec.text import CalledUrl, Network, Texts

DAY: Final = 86_400 * SECOND
LEAST_CHUNK: Final = 60 * SECOND
MOST_CHUNK: Final = 31 * DAY
_FORMS: Final = "write `first 10d`, `first 5000 rows` or `version NAME`"
_FILE_FORM: Final = "write `{file: train.csv}`, a CSV or Parquet file of records"
_ROWS: Final = re.compile(r"([0-9]{1,9})\s+rows")
_FILE: Final = re.compile(r"\.(csv|parquet)$", re.IGNORECASE)


FileRow: TypeAlias = tuple[int, int, str, float | None, str, str]
"""A record of a file: rank in the draw, event time (ns), prediction, score, features and truth as JSON."""


@dataclass(frozen=True, slots=True)
class FileRows:
    """What was read of a file of records: how many it has, an even draw of them, and tallies of all by feature."""

    seen: int
    rows: tuple[FileRow, ...]
    tallies: Mapping[str, Any] = field(default_factory=dict)
    most_missing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DriftReference:
    """What later records are compared with: the first span of a version, its first rows, that of another, or a file.

    Exactly one of `span_ns` and `rows` is above 0; `version` names the version that all others are compared with. Of a
    `file`, `given` is what was read of it; until it could be read its version's first seven days stand for it.
    """

    text: str
    span_ns: int = 0
    rows: int = 0
    version: str = ""
    file: str = ""
    given: FileRows | None = None

    def __str__(self) -> str:
        return self.text

    def told(self) -> Any:
        """As it is written, with what was read of its file."""
        if not self.file:
            return self.text
        return {"file": self.file} if self.given is None else {"file": self.file, "given": asdict(self.given)}


def parse_reference(text: object) -> DriftReference:
    """Read a reference.

    Raises
    ------
    ValueError
        It is none, or one that this build does not take.

    >>> parse_reference("first 10d").span_ns // DAY, parse_reference("first 5000 rows").rows
    (10, 5000)
    >>> parse_reference("version 7").version
    '7'
    """
    if isinstance(text, DriftReference):
        return text
    if isinstance(text, Mapping):
        return _of_file(text)
    if not isinstance(text, str):
        raise ValueError(f"a reference is text; {_FORMS}")  # noqa: TRY004  pydantic reports ValueErrors only
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if word == "first" and (rows := _ROWS.fullmatch(rest)):
        if int(rows[1]) < 1:
            raise ValueError(f"a reference needs rows; {_FORMS}")
        return DriftReference(text, rows=int(rows[1]))
    if word == "first" and rest:
        span = parse_duration_ns(rest)
        if span < LEAST_CHUNK:
            raise ValueError("a reference of less than a minute says nothing; write it like `first 10d`")
        return DriftReference(text, span_ns=span)
    if word in ("version", "release") and rest:
        return DriftReference(text, span_ns=7 * DAY, version=rest)
    if _FILE.search(text):
        raise ValueError(f"a file is named as such; {_FILE_FORM}")
    raise ValueError(f"{text!r} is no reference; {_FORMS}")


def _of_file(told: Mapping[Any, Any]) -> DriftReference:
    """A reference in a file, with what was read of it if the engine is told."""
    file, given = told.get("file"), told.get("given")
    if not isinstance(file, str) or not file or set(told) - {"file", "given"}:
        raise ValueError(f"a reference that is no text names a file; {_FILE_FORM}")
    if _FILE.search(file) is None:
        raise ValueError(f"{file!r} is no file of records; {_FILE_FORM}")
    if given is None:
        return DriftReference(file, span_ns=7 * DAY, file=file)
    return DriftReference(file, span_ns=7 * DAY, file=file, given=TypeAdapter(FileRows).validate_python(given))


ReferenceField = Annotated[DriftReference, BeforeValidator(parse_reference), PlainSerializer(DriftReference.told)]
"""Pydantic field: a reference as people write it."""


class CallAction(Spec):
    """An action that calls an address, signed with `secret` when there is one; `allow` as in destinations.

    `${model}` and other labels of the finding may stand in the path and query of the address, never in its host.
    """

    type: Literal["webhook"]
    url: CalledUrl
    secret: str = ""
    allow: list[Network] = []


class NotifyAction(Spec):
    """An action that tells destinations."""

    type: Literal["notify"]
    to: Texts = Field(min_length=1)


def _link(text: str) -> str:
    if text and not safe_link(text):
        raise ValueError(
            f"{one_line(text, 80)!r} is no plain address of at most {LINK_CHARS} letters; write it like https://host/path"
        )
    return text


def _named(given: object) -> object:
    """A text alone is a name."""
    return {"name": given} if isinstance(given, str) else given


class OriginSpec(Spec):
    """Something that a reference stems from: a name, and an address of http or https where more is told of it."""

    name: str = Field(min_length=1, max_length=NAME_CHARS)
    link: Annotated[str, AfterValidator(_link)] = ""


OriginField = Annotated[OriginSpec, BeforeValidator(_named)]


class LineageSpec(Spec):
    """The experiment, run and data-set version that a reference stems from; findings carry them."""

    experiment: OriginField | None = None
    run: OriginField | None = None
    dataset: OriginField | None = None

    @property
    def origins(self) -> list[Origin]:
        """What is told, in the order of `KINDS`."""
        told = [(kind, getattr(self, kind)) for kind in KINDS]
        return [Origin(kind, one_line(each.name), each.link) for kind, each in told if each is not None]


class LimitsSpec(Spec):
    """What is promised of a feature, from the first record on: a range, all its categories, how much may be missing."""

    low: float | None = None
    high: float | None = None
    categories: list[str] | None = Field(default=None, min_length=1, max_length=1_000)
    missing_ratio: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _some_promise(self) -> LimitsSpec:
        if not self.model_fields_set:
            raise ValueError("promise something: `low`, `high`, `categories` or `missing_ratio`")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("`low` is above `high`")
        return self


DriftAction: TypeAlias = Annotated[CallAction | NotifyAction, Field(discriminator="type")]


def _chunk(length: int) -> int:
    if not LEAST_CHUNK <= length <= MOST_CHUNK:
        raise ValueError("a chunk lasts from 1m to 31d; write it like 1d")
    return length


def _patience(length: int) -> int:
    if not 0 <= length <= 366 * DAY:
        raise ValueError("`for` lasts from 0s to 366d; write it like 3d")
    return length


class DriftSpec(Spec):
    """Models (a name or a glob) whose inputs and predictions are compared with a reference, chunk by chunk.

    A stability index above `threshold` in each chunk of `for`, of at least `min_n` rows, decided by a valid test, is
    drift. Each of the most frequent values of the tags in `segments` is followed by itself as well.
    """

    model: str = Field(min_length=1)
    reference: ReferenceField
    chunk: Annotated[DurationNs, AfterValidator(_chunk)] = DAY
    threshold: float = Field(default=0.2, gt=0, le=100)
    for_: Annotated[DurationNs, AfterValidator(_patience)] = Field(default=0, alias="for")
    min_n: int = Field(default=500, ge=30)
    segments: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default=[], max_length=3)
    lineage: LineageSpec = LineageSpec()
    limits: dict[str, LimitsSpec] = Field(default={}, max_length=200)
    actions: list[DriftAction] = []

    @property
    def chunks(self) -> int:
        """How many chunks in a row must be out of line."""
        return max(1, -(-self.for_ // self.chunk))

    def bare(self) -> DriftSpec:
        """The same without actions, which hold secrets and are none of the engine's business."""
        return self.model_copy(update={"actions": []})

    def told(self) -> list[str]:
        """Names of the destinations that are told."""
        return [name for action in self.actions if isinstance(action, NotifyAction) for name in action.to]

    def calls(self) -> list[WebhookDestination]:
        """The addresses that are called, as destinations of their own."""
        return [
            WebhookDestination(
                name=_name(self.model, action.url), type="webhook", url=action.url, secret=action.secret,
                allow=action.allow,
            )
            for action in self.actions
            if isinstance(action, CallAction)
        ]  # fmt: skip


DEFAULT_DRIFT: Final = DriftSpec.model_validate({"model": "*", "reference": "first 7d", "for": "3d"})
"""What holds for models that no policy names: watched, told by the usual routes."""


def policy_of(model: str, policies: Sequence[DriftSpec]) -> DriftSpec:
    """The policy of a model: the first that names it, or whose pattern fits; else the default.

    >>> policy_of("churn", [DriftSpec(model="ch*", reference=parse_reference("first 3d"))]).model
    'ch*'
    >>> policy_of("churn", []).model
    '*'
    """
    named = (each for each in policies if each.model == model)
    fits = (each for each in policies if fnmatchcase(model, each.model))
    return next(named, next(fits, DEFAULT_DRIFT))


def _name(model: str, url: str) -> str:
    """A name that is the same as long as model and address are."""
    return "retrain-" + blake2b(f"{model}\x00{url}".encode(), digest_size=6).hexdigest()
