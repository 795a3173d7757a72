"""`ModelSpec`: what a language model costs and how much it holds."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from tocsin.spec.call_lines import CallLineSpec
from tocsin.spec.chat import ChatSpec
from tocsin.spec.monitor import Spec

UsdPerMillion: TypeAlias = Annotated[float, Field(ge=0, le=1e6)]


class ModelSpec(Spec):
    """Prices and context limit of the models that `model` and `provider` (globs, case ignored) match.

    A price that is left out is that of the table; of cached tokens, that of input. `context_tokens` is what prompt
    and answer may have together.
    """

    model: str = Field(min_length=1)
    provider: str = "*"
    context_tokens: int | None = Field(default=None, ge=1)
    input_usd_per_million: UsdPerMillion | None = None
    output_usd_per_million: UsdPerMillion | None = None
    cache_read_usd_per_million: UsdPerMillion | None = None
    cache_write_usd_per_million: UsdPerMillion | None = None

    @model_validator(mode="after")
    def _says_something(self) -> ModelSpec:
        if self.context_tokens is None and not self.priced:
            raise ValueError("name `context_tokens`, or prices (`input_usd_per_million`, ...)")
        return self

    @property
    def priced(self) -> bool:
        """Whether it names a price."""
        return any(
            price is not None
            for price in (
                self.input_usd_per_million,
                self.output_usd_per_million,
                self.cache_read_usd_per_million,
                self.cache_write_usd_per_million,
            )
        )


class ScopeSpec(Spec):
    """What is known of spans by the instrumentation scope (glob) that made them.

    `provider` is that of spans that name none. `named`: a span without attributes is named `<operation> <model>`.
    `cache_apart`: tokens from and into a cache are not among those of the prompt.
    """

    scope: str
    provider: str = ""
    named: bool = False
    cache_apart: bool = False


class JudgeSpec(ChatSpec):
    """A language model that judges a sample of answers.

    Of the traces `sample_ratio` are judged, at most `calls_per_minute` answers and `tokens_per_day` tokens (UTC); what is
    beyond is left out and counted.
    """

    sample_ratio: float = Field(default=0.01, gt=0, le=1)
    calls_per_minute: int = Field(default=10, ge=1, le=1_000)
    tokens_per_day: int = Field(default=200_000, ge=1)


class LlmSpec(Spec):
    """What the user says about language models; the first entry that matches wins."""

    models: list[ModelSpec] = []
    call_lines: list[CallLineSpec] = []
    judge: JudgeSpec | None = None
