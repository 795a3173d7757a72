"""`summaries:`: whether a language model may say summaries of incidents in other words."""

from __future__ import annotations

from pydantic import Field

from tocsin.spec.chat import ChatSpec
from tocsin.spec.monitor import Spec


class RephraseSpec(ChatSpec):
    """A language model that may say summaries in other words; it gets redacted sentences and no tools."""

    most_tokens: int = Field(default=800, ge=50, le=8000)


class SummariesSpec(Spec):
    """Summaries are made of evidence by code; without `rephrase` no language model is asked."""

    rephrase: RephraseSpec | None = None
