"""Where pages go: the kinds of `destinations:` and the `routes:` that choose among them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import HttpUrl, Network, Texts

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""What a destination, a person or a schedule may be called."""


class DestinationBase(Spec):
    """What all destinations share; `allow` names the private networks this one may reach."""

    name: str = Field(pattern=NAME, max_length=100)
    allow: list[Network] = []


class WebhookDestination(DestinationBase):
    """Posts JSON, signed with `secret` when there is one."""

    type: Literal["webhook"]
    url: HttpUrl
    secret: str = ""
    headers: dict[str, str] = {}


class SlackDestination(DestinationBase):
    """A Slack channel: `token` and `channel` of a bot, or the `url` of an incoming webhook."""

    type: Literal["slack"]
    token: str = ""
    channel: str = ""
    url: HttpUrl | None = None

    @model_validator(mode="after")
    def _bot_or_hook(self) -> SlackDestination:
        if not (self.token and self.channel) and not self.url:
            raise ValueError("needs `token` and `channel` of a bot, or the `url` of an incoming webhook")
        return self


class PagerdutyDestination(DestinationBase):
    """PagerDuty Events API v2; `url` overrides its address."""

    type: Literal["pagerduty"]
    routing_key: str = Field(min_length=1)
    url: HttpUrl = "https://events.pagerduty.com/v2/enqueue"


class EmailDestination(DestinationBase):
    """Mail over SMTP; `tls: true` takes STARTTLS (or TLS from the start on port 465)."""

    type: Literal["email"]
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    username: str = ""
    password: str = ""
    tls: bool = True
    from_: str = Field(alias="from", min_length=3)
    to: Texts = Field(min_length=1)


class AlertmanagerDestination(DestinationBase):
    """Alertmanager API v2."""

    type: Literal["alertmanager"]
    url: HttpUrl


class OpsgenieDestination(DestinationBase):
    """Opsgenie (it ends in April 2027): the key of an API integration; `url` for the EU is https://api.eu.opsgenie.com/v2/alerts."""

    type: Literal["opsgenie"]
    api_key: str = Field(min_length=1)
    url: HttpUrl = "https://api.opsgenie.com/v2/alerts"


class JiraServiceManagementDestination(DestinationBase):
    """Alerts of Jira Service Management: the key of an API integration of a team's operations."""

    type: Literal["jira_service_management"]
    api_key: str = Field(min_length=1)
    url: HttpUrl = "https://api.atlassian.com/jsm/ops/integration/v2/alerts"


class JiraDestination(DestinationBase):
    """Issues of a Jira project: `email` and an API `token` for Cloud, a personal access `token` alone for Data Center.

    `priorities` by severity, where the project has that field; `resolve_transition` by name, else the first to done.
    """

    type: Literal["jira"]
    url: HttpUrl
    project: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=50)
    issue_type: str = Field(default="Task", min_length=1)
    email: str = ""
    token: str = Field(min_length=1)
    labels: list[str] = []
    priorities: dict[Literal["info", "warning", "error", "critical"], str] = {}
    resolve_transition: str = ""


class LinearDestination(DestinationBase):
    """Issues of a Linear team; `team`, `labels` and `resolved_state` are ids (UUIDs) of Linear."""

    type: Literal["linear"]
    api_key: str = Field(min_length=1)
    team: str = Field(min_length=1)
    labels: list[str] = []
    resolved_state: str = ""
    url: HttpUrl = "https://api.linear.app/graphql"


class TeamsDestination(DestinationBase):
    """Microsoft Teams: the `url` of a workflow that posts what its webhook is given."""

    type: Literal["teams"]
    url: HttpUrl


class ConsoleDestination(DestinationBase):
    """One line on stderr."""

    type: Literal["console"]


DestinationSpec: TypeAlias = Annotated[
    WebhookDestination
    | SlackDestination
    | PagerdutyDestination
    | EmailDestination
    | AlertmanagerDestination
    | OpsgenieDestination
    | JiraServiceManagementDestination
    | JiraDestination
    | LinearDestination
    | TeamsDestination
    | ConsoleDestination,
    Field(discriminator="type"),
]
"""Any destination, told apart by its `type`."""


class EscalateSpec(Spec):
    """A level of escalation: who is told when nobody acknowledged for `after` the first notice; `every`: and again so often."""

    after: DurationNs = Field(ge=SECOND)
    to: Texts = Field(min_length=1)
    every: DurationNs | None = Field(default=None, ge=60 * SECOND)


def _levels(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _climbing(levels: list[EscalateSpec]) -> list[EscalateSpec]:
    if any(one.after >= other.after for one, other in pairwise(levels)):
        raise ValueError("each level needs a longer `after` than the one before it; all count from the first notice")
    if any(each.every is not None for each in levels[:-1]):
        raise ValueError(
            "only the last level can be told again (`every`); those before it are followed by the next one"
        )
    return levels


Escalation: TypeAlias = Annotated[
    list[EscalateSpec], Field(max_length=10), BeforeValidator(_levels), AfterValidator(_climbing)
]
"""Pydantic field: levels, the first to be told first; one level may be written without the list."""


class RouteSpec(Spec):
    """Incidents whose labels (and `severity`, `monitor`, ...) are among the given values go to `to`; the first match wins.

    `to` names destinations and on-call schedules; `owner` is the team's own, `review` nobody but the review board.
    """

    name: str = Field(default="", max_length=100)
    match: dict[str, Texts] = {}
    to: Texts = Field(min_length=1)
    cooldown: DurationNs = Field(default=300 * SECOND, ge=0)
    escalate: Escalation = []
