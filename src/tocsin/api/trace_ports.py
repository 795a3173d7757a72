"""What pages of traces need from the rest of the cold process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from tocsin.model.message import TraceExample
from tocsin.store.graph_rows import Between
from tocsin.store.trace_rows import TraceAsked, Usual


class Traces(Protocol):
    """Stored spans, as far as pages read them; every call is of one tenant, times are ns."""

    def search(self, tenant: str, asked: TraceAsked) -> Sequence[Mapping[str, Any]]:
        """Traces with a span that fits, each rolled up over all its spans."""

    def names(self, tenant: str, start: int, end: int) -> Mapping[str, Sequence[str]]:
        """What can be asked for in [start, end): services, operations, models, prompt versions, ..."""

    def spans(self, tenant: str, trace_id: str, limit: int = ...) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """How many spans a trace has, and the first `limit` of them.

        Raises
        ------
        BadInput
            This is no trace id.
        """

    def span(self, tenant: str, trace_id: str, span_id: str) -> Sequence[Mapping[str, Any]]:
        """Everything that was sent of one span; more rows where it was sent more often.

        Raises
        ------
        BadInput
            One of the two is no id.
        """

    def calls_between(self, tenant: str, start: int, end: int) -> Between:
        """Who called whom in [start, end), and in as long a time before."""

    def telling(self, tenant: str, trace_id: str, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Spans and log records of a trace of which an attribute, or one of an event, has a name that begins like this."""

    def usual(self, tenant: str, operations: Iterable[tuple[str, str]], before: int) -> Mapping[tuple[str, str], Usual]:
        """How long spans of these (service, name) took in the day before a time."""

    def examples(
        self, tenant: str, services: Sequence[str], start: int, end: int, before: int
    ) -> Sequence[TraceExample]:
        """Slowest, failing and typical traces of services in [start, end), and a typical one of [before, start)."""
