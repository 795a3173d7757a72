"""`ChatSpec`: an endpoint that speaks OpenAI's chat completions, asked only where a configuration names one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import HttpUrl, Network


class ChatSpec(Spec):
    """Base of what asks a language model: `url` is the base of the API, as in `https://host/v1`.

    `allow` names private addresses that it may have; `temperature: null` is not sent, for models that take none.
    """

    url: HttpUrl
    model: str = Field(min_length=1, max_length=200)
    api_key: str = Field(default="", repr=False)
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    allow: list[Network] = []
    timeout: Annotated[DurationNs, Field(ge=SECOND, le=120 * SECOND)] = 60 * SECOND
