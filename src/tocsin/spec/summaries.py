"""`summaries:`: whether a language model may say summaries of incidents in other words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import HttpUrl, Network


class RephraseSpec(Spec):
    """An endpoint that speaks OpenAI's chat completions; `url` is its base, as in `https://host/v1`.

    It gets redacted sentences and no tools; `allow` names private addresses that it may have.
    """

    url: HttpUrl
    model: str = Field(min_length=1, max_length=200)
    key: str = ""
    allow: list[Network] = []
    timeout: Annotated[DurationNs, Field(ge=SECOND, le=120 * SECOND)] = 30 * SECOND
    most_tokens: int = Field(default=800, ge=50, le=8000)


class SummariesSpec(Spec):
    """Summaries are made of evidence by code; without `rephrase` no language model is asked."""

    rephrase: RephraseSpec | None = None
