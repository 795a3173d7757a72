"""What packs know about senders with words of their own: labels, units, statistics, and webhooks that tell of changes."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from tocsin.spec.mapping import MappingSpec
from tocsin.spec.monitor import Spec
from tocsin.spec.text import Texts

ChangeKind: TypeAlias = Literal["deploy", "prompt", "flag", "config", "model", "node", "gpu", "dependency", "traffic"]
Statistic: TypeAlias = Literal["average", "sum", "minimum", "maximum", "samples"]


class StatisticSpec(Spec):
    """Which statistics of a summary are kept, by globs of its name and unit (UCUM); the first that matches counts."""

    names: list[str] = ["*"]
    units: list[str] = ["*"]
    keep: list[Statistic] = Field(min_length=1)

    def matches(self, name: str, unit: str) -> bool:
        """Whether this speaks of a metric."""
        return any(fnmatchcase(name, each) for each in self.names) and any(
            fnmatchcase(unit, each) for each in self.units
        )


class WireSpec(Spec):
    """The words of one wire: `labels` say which of its labels are attributes of OpenTelemetry, `units` are in UCUM."""

    name: str
    labels: list[MappingSpec] = []
    units: dict[str, str] = {}
    statistics: list[StatisticSpec] = []


def _paths(text: str) -> str:
    if not text.strip():
        raise ValueError("a path like `deployment.ref` is needed")
    return text


Path: TypeAlias = Annotated[str, AfterValidator(_paths)]


class ChangeRuleSpec(Spec):
    """One kind of payload that tells of a change; the first rule that fits is used.

    A path names a place in the payload (`deployment.ref`, `commits.0.id`; `@header.NAME` is a header). `when` and
    `unless` hold globs of the text at paths (`?*`: there is one). Texts may hold `${path}`, `${one|other}` for the
    first that is there, and `${path:12}` for its first 12 characters.
    """

    when: dict[Path, Texts] = {}
    unless: dict[Path, Texts] = {}
    each: str = ""  # path of a list: one change for each of its objects, which are read as `item`
    kind: ChangeKind
    kinds: dict[str, ChangeKind] = {}  # by glob of the text of `kind_of`, where one name does not fit all
    kind_of: str = ""
    entity: str = ""
    what: str = Field(min_length=1)
    time: list[Path] = []
    attributes: dict[str, str] = {}


class SignatureSpec(Spec):
    """How a sender proves that it knows a secret: HMAC of the body, or the secret itself, in a header."""

    header: str = Field(pattern=r"^[a-z0-9-]+$")  # in small letters
    method: Literal["hmac-sha256", "token"]
    prefix: str = ""


class WebhookSpec(Spec):
    """Payloads of one sender, posted to `/api/events/NAME`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)
    title: str = ""
    example: str = ""
    signature: SignatureSpec | None = None
    changes: list[ChangeRuleSpec] = Field(min_length=1)


class LogChangeSpec(ChangeRuleSpec):
    """Log events of OpenTelemetry, by globs of their name, that tell of a change.

    Paths are `name`, `body`, `attributes.KEY` and `resource.KEY`.
    """

    names: list[str] = Field(min_length=1)


class StatusPageSpec(Spec):
    """How a page of statuses is read: lists of things that have a state; a new state is a change.

    `good` are states that need no mention when they are the first that is seen; `gone` is the state of what is no longer
    listed.
    """

    items: str
    id: str
    state: str
    good: list[str] = []
    gone: str = ""
    change: ChangeRuleSpec
