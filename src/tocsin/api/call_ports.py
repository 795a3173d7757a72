"""What the page of language models needs from the rest of the cold process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tocsin.spec.spend import BudgetSpec, Dimension
from tocsin.store.llm_rows import CallsAsked


class Calls(Protocol):
    """Calls of models, each counted once; every call is of one tenant, times are ns."""

    def totals(self, tenant: str, asked: CallsAsked) -> Mapping[str, Any]:
        """All that fit, as one row of measures."""

    def groups(self, tenant: str, asked: CallsAsked) -> Sequence[Mapping[str, Any]]:
        """Measures of each group, `name`, those with most calls first."""

    def over_time(
        self, tenant: str, asked: CallsAsked, names: Sequence[str], step_ns: int
    ) -> Sequence[Mapping[str, Any]]:
        """Measures of these groups and of all others together per step, `at` its begin."""

    def errors(self, tenant: str, asked: CallsAsked) -> Sequence[Mapping[str, Any]]:
        """Failed calls: `name, error_class, calls, last`."""

    def spent(
        self, tenant: str, asked: CallsAsked, match: Mapping[Dimension, str] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """What calls cost by the hour: `at, usd, calls, priced`."""

    def budgets(self) -> Sequence[BudgetSpec]:
        """The budgets in force."""

    def retrieval(self, tenant: str, asked: CallsAsked) -> Sequence[Mapping[str, Any]]:
        """Retrievals by service: `calls, errors, latency, counted, documents, empty, similarity`."""

    def feedback(self, tenant: str, asked: CallsAsked) -> Sequence[Mapping[str, Any]]:
        """What was said of answers: `name, feedback, rows`."""

    def judged(self, tenant: str, asked: CallsAsked) -> Sequence[Mapping[str, Any]]:
        """Evaluations in spans and log records, like feedback: `name, feedback, rows`."""

    def names(self, tenant: str, start: int, end: int) -> Mapping[str, Sequence[str]]:
        """What calls can be chosen by."""
