"""Which lines of logs tell of calls of language models, and by what names: data of packs, and forms of the user's own."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from tocsin.spec.monitor import Spec
from tocsin.spec.text import Pattern, compiled

TimeUnit: TypeAlias = Literal["", "ns", "us", "ms", "s"]


def _with_names(text: str) -> str:
    """Check a pattern that reads a line by named groups.

    Raises
    ------
    ValueError
        It is no pattern of RE2, or names no group.
    """
    if "(?P<" not in compiled(text):
        raise ValueError("the pattern names nothing; name what it finds like (?P<model>[^ ]+)")
    return text


class LineFieldSpec(Spec):
    """An attribute of a call and its names in lines, the first that is there wins.

    Names are in snake_case (`promptTokens` is `prompt_tokens`), a key under another is `usage.prompt_tokens`. `field` is an
    attribute of spans, or one of `duration`, `began`, `ended` (Unix time), `failed`, `trace_id`, `span_id`. A time without a
    `unit` must bear one in the line (`1.2s`). `values` are exact texts or globs; "" leaves one out.
    """

    field: str
    names: list[str] = Field(min_length=1)
    unit: TimeUnit = ""
    values: dict[str, str] = {}


class CallRuleSpec(Spec):
    """Lines in which `hint` (RE2) is found and that name one attribute of each list of `needs`.

    A line that has a key of `unless` sums several calls up. `fields` come before those of the pack.
    """

    hint: Pattern
    needs: list[list[str]] = Field(min_length=1)
    unless: list[str] = []
    fields: list[LineFieldSpec] = []


class CallLinesSpec(Spec):
    """How a pack reads calls from JSON, `key=value` and attributes of log records.

    `under` are keys whose objects are read as if they were the line itself, `texts` those whose text may be a line of its
    own. `providers` names the provider of a model (glob) where the line names none.
    """

    under: list[str] = []
    texts: list[str] = []
    fields: list[LineFieldSpec] = []
    rules: list[CallRuleSpec] = []
    providers: dict[str, str] = {}


class CallLineSpec(Spec):
    """A form of lines of one's own: named groups of `pattern` (RE2) are names such as `model`, `prompt_tokens`, `latency_ms`."""

    pattern: Annotated[str, AfterValidator(_with_names)]
