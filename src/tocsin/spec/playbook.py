"""Playbooks: what may be done about which incidents, on what conditions, and how it is told whether it helped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from tocsin.model.incident import CAUSE_KINDS, Severity
from tocsin.model.security import SECURITY
from tocsin.model.series import MAIN_TENANT
from tocsin.spec.drift import CallAction
from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.problem import nearest
from tocsin.spec.quantity import DurationNs, QuantityField, parse_quantity
from tocsin.spec.text import CalledUrl, HttpUrl, Network, Texts
from tocsin.spec.tree import Loc

LABEL: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)\}")
"""A label's name where its value is to stand."""
_SEVERITIES: Final = tuple(each.name.lower() for each in Severity)
_ACTS: Final = 10**6
_DNS: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def one_of(known: tuple[str, ...], noun: str) -> Callable[[str], str]:
    """A check that a text is one of those that are known."""

    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"`{text}` is no {noun}{nearest(text, known)}")
        return text

    return check


def _ratio(given: object) -> float:
    """A share such as 200% or 2 as a number."""
    quantity = parse_quantity(given)
    if quantity.unit not in ("", "%"):
        raise ValueError(f"{given!r} is no share; write it like 200% or 2")
    return quantity.number / 100 if quantity.unit == "%" else quantity.number


def _not_security(kind: str) -> str:
    if kind == SECURITY:
        raise ValueError("what may be an attack is never answered by a program; route it to people")
    return kind


CauseKind = Annotated[str, AfterValidator(one_of(CAUSE_KINDS, "kind of cause"))]
SeverityName = Annotated[str, AfterValidator(one_of(_SEVERITIES, "severity"))]
Ratio = Annotated[float, BeforeValidator(_ratio), PlainSerializer(float)]


class WhenSpec(Spec):
    """Which incidents a playbook is for: what is given must all hold of one finding and its incident.

    `labels` are globs over the finding's labels; `rise` is how far above what was expected its value is; `also` names
    monitors of which the incident must have open findings too. An attack is never matched.
    """

    monitor: str | None = None
    kind: Annotated[str, AfterValidator(_not_security)] | None = None
    severity: Annotated[list[SeverityName], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = []
    cause: CauseKind | None = None
    labels: dict[str, str] = {}
    rise: Ratio | None = None
    also: Texts = []

    @model_validator(mode="after")
    def _something(self) -> WhenSpec:
        if not self.model_fields_set:
            raise ValueError("say which incidents it is for: `monitor`, `cause`, `severity`, `labels`, ...")
        return self


class RequireSpec(Spec):
    """A condition of acting: a `signal` within limits and with no open finding, or a `provider` whose page is all green.

    A signal without values in the last `over` meets nothing: what isn't known is not normal. `provider` is a name
    under `context:`; its page is read when it is decided.
    """

    signal: str | None = None
    where: dict[str, str] = {}
    below: QuantityField | None = None
    above: QuantityField | None = None
    over: DurationNs = Field(default=300 * SECOND, ge=10 * SECOND)
    provider: str | None = None

    @model_validator(mode="after")
    def _one(self) -> RequireSpec:
        if (self.signal is None) == (self.provider is None):
            raise ValueError("a condition is about a `signal` or a `provider`; write one of them")
        return self


class VerifySpec(Spec):
    """When to look whether an action helped, and what to do if not.

    The finding that asked for it must be over by then. `control` (globs by label) chooses other series of the same
    monitor that were not touched: they must not have got out of line, and what was treated must have improved on
    them by `better_by`; no control found is no proof.
    """

    after: DurationNs = Field(ge=SECOND)
    else_: Literal["rollback", "keep"] = Field(default="rollback", alias="else")
    control: dict[str, str] = {}
    better_by: Ratio = Field(default=0.1, ge=0, lt=1)


class TrafficWeightAction(Spec):
    """Takes traffic from a variant, times `factor`, and gives it to a fallback.

    `via: webhook` asks the address to do it; `gateway` changes a Gateway API HTTPRoute, `envoy` the runtime keys
    `prefix.CLUSTER` of weighted clusters by the admin interface, `nginx` the weights of the servers of an upstream by
    the API (`url` ends in `/upstreams/NAME/servers`).
    """

    type: Literal["traffic_weight"]
    via: Literal["webhook", "gateway", "envoy", "nginx"] = "webhook"
    url: CalledUrl | None = None
    secret: str = ""
    allow: list[Network] = []
    variant: str = Field(min_length=1)
    factor: float = Field(gt=0, lt=1)
    fallback: str = Field(min_length=1)
    namespace: str = "default"
    route: str = ""
    prefix: str = ""

    @model_validator(mode="after")
    def _complete(self) -> TrafficWeightAction:
        if self.via == "gateway" and not self.route:
            raise ValueError("`via: gateway` needs `route`, the name of the HTTPRoute")
        if self.via != "gateway" and self.url is None:
            raise ValueError(f"`via: {self.via}` needs `url`")
        if self.via == "envoy" and not self.prefix:
            raise ValueError("`via: envoy` needs `prefix`, the `runtime_key_prefix` of the route's weighted clusters")
        if LABEL.search(self.fallback):
            raise ValueError("the fallback is fixed: no label from telemetry may stand in it")
        return self


class _Workload(Spec):
    namespace: str = "default"
    kind: Literal["deployment", "statefulset"] = "deployment"
    name: str = Field(min_length=1)


class RestartAction(_Workload):
    """A rolling restart of the pods of a workload, which must have `least_ready` of them ready."""

    type: Literal["rolling_restart"]
    least_ready: int = Field(default=2, ge=1)


class ScaleAction(_Workload):
    """Another number of replicas: `by` more (or fewer), within `least` and `most`."""

    type: Literal["scale"]
    by: int = Field(ge=-_ACTS, le=_ACTS)
    most: int = Field(ge=1, le=_ACTS)
    least: int = Field(default=1, ge=1, le=_ACTS)

    @model_validator(mode="after")
    def _moves(self) -> ScaleAction:
        if not self.by or self.least > self.most:
            raise ValueError("`by` is not 0, and `least` is not above `most`")
        return self


class CordonAction(Spec):
    """Puts no new pods on a node; at most `most_share` of all nodes are ever taken out."""

    type: Literal["cordon"]
    node: str = Field(min_length=1)
    most_share: Ratio = Field(default=0.25, gt=0, le=1)


class PostAction(CallAction):
    """A call that does something: `undo` is what is called to take it back, if it can be."""

    undo: CalledUrl | None = None


class ReindexAction(Spec):
    """Asks for a new index of what is searched; `collection` says of what."""

    type: Literal["reindex"]
    url: CalledUrl
    collection: str = ""
    secret: str = ""
    allow: list[Network] = []


class RetrainAction(Spec):
    """Asks a pipeline to train a model anew."""

    type: Literal["retrain"]
    url: CalledUrl
    model: str = ""
    secret: str = ""
    allow: list[Network] = []


class CommandAction(Spec):
    """Runs a program of this machine, without a shell; nothing unless `remediation.commands` allows it.

    `repeatable` says that running it twice does no harm: one that was cut off is then run again, else it failed.
    """

    type: Literal["command"]
    argv: list[str] = Field(min_length=1, max_length=100)
    undo: list[str] = Field(default=[], max_length=100)
    timeout: DurationNs = Field(default=60 * SECOND, ge=SECOND, le=600 * SECOND)
    repeatable: bool = False

    @field_validator("argv", "undo")
    @classmethod
    def _fixed_program(cls, argv: list[str]) -> list[str]:
        if argv and (LABEL.search(argv[0]) or not argv[0].startswith("/")):
            raise ValueError("the program is an absolute path without labels; only its arguments may hold some")
        return argv


ActionSpec: TypeAlias = Annotated[
    TrafficWeightAction
    | RestartAction
    | ScaleAction
    | CordonAction
    | PostAction
    | ReindexAction
    | RetrainAction
    | CommandAction,
    Field(discriminator="type"),
]
"""Any action, told apart by its `type`."""


class PlaybookSpec(Spec):
    """A prepared answer to a kind of incident.

    `conclusion` is what it is called when all conditions hold; `tell` are destinations that hear what is done beside
    those that were told of the incident. An action of its own name and target is not repeated within `cooldown`.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    when: WhenSpec
    require: list[RequireSpec] = Field(default=[], max_length=20)
    conclusion: str = Field(default="", max_length=200)
    approved: bool = False
    tenants: Texts = Field(default=[MAIN_TENANT], min_length=1)
    action: ActionSpec
    verify: VerifySpec | None = None
    cooldown: DurationNs = Field(default=1800 * SECOND, ge=0)
    tell: Texts = []


class KubernetesSpec(Spec):
    """The API server that Kubernetes actions call; `token_file` is read anew for each call.

    Only `namespaces` are touched; nodes, which are in none, only with `nodes: true`.
    """

    url: HttpUrl = "https://kubernetes.default.svc"
    token: str = ""
    token_file: str = ""
    ca_file: str = ""
    namespaces: list[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]] = ["default"]
    nodes: bool = False
    allow: list[Network] = []


class RemediationSpec(Spec):
    """The main switch of all playbooks, and the limits on what they do together.

    `dry_run` plans and asks with a dry run where the target knows one, and changes nothing. `per_hour` and `at_once` hold
    for all playbooks; a proposal that nobody approves within `approve_within` is over.
    """

    enabled: bool = False
    dry_run: bool = False
    commands: bool = False
    per_hour: int = Field(default=6, ge=1)
    at_once: int = Field(default=1, ge=1)
    approve_within: DurationNs = Field(default=3600 * SECOND, ge=60 * SECOND)
    kubernetes: KubernetesSpec | None = None


def plain_name(text: str) -> bool:
    """Whether a text can name something in Kubernetes, and so end no part of an address.

    >>> plain_name("gpu-node-3"), plain_name("../secrets"), plain_name("a..b")
    (True, False, False)
    """
    return bool(_DNS.fullmatch(text)) and len(text) <= 253 and ".." not in text


def action_fields(action: Any) -> dict[str, Any]:
    """The fields of an action that people may see: none of its secrets, and none that say nothing."""
    hidden = {
        "secret",
        "allow",
        "url",
        "undo",
        *(() if getattr(action, "via", "gateway") == "gateway" else ("namespace",)),
    }
    told = action.model_dump(mode="json")
    return {name: value for name, value in told.items() if name not in hidden and value not in ("", [], None)}


def playbook_faults(
    playbooks: Sequence[PlaybookSpec],
    main: RemediationSpec,
    monitors: Sequence[str] | None,
    destinations: Sequence[str],
    contexts: Sequence[str],
) -> Iterator[tuple[Loc, str]]:
    """What is wrong with playbooks in their configuration; `monitors` None: not known."""
    for number, playbook in enumerate(playbooks):
        names: tuple[tuple[Loc, str | None, Sequence[str] | None, str], ...] = (
            (("when", "monitor"), playbook.when.monitor, monitors, "monitor"),
            *((("when", "also", n), name, monitors, "monitor") for n, name in enumerate(playbook.when.also)),
            *((("tell", n), name, destinations, "destination") for n, name in enumerate(playbook.tell)),
            *((("require", n, "provider"), each.provider, contexts, "page under `context:`")
              for n, each in enumerate(playbook.require)),
        )  # fmt: skip
        for loc, name, known, noun in names:
            if name is not None and known is not None and name not in known:
                yield ("playbooks", number, *loc), f"no {noun} is called `{name}`{nearest(name, known)}"
        yield from (
            (("playbooks", number, "action", *loc), text) for loc, text in _action_faults(playbook.action, main)
        )


def _action_faults(action: ActionSpec, main: RemediationSpec) -> Iterator[tuple[Loc, str]]:
    if isinstance(action, CommandAction) and not main.commands:
        yield ("type",), "no command is run unless `remediation: {commands: true}` allows it"
    routed = isinstance(action, TrafficWeightAction) and action.via == "gateway"
    if not (routed or isinstance(action, RestartAction | ScaleAction | CordonAction)):
        return
    if main.kubernetes is None:
        yield ("type",), "it needs `remediation: {kubernetes: {...}}`, the API server to call"
    elif isinstance(action, CordonAction):
        if not main.kubernetes.nodes:
            yield ("type",), "nodes are not touched unless `remediation: {kubernetes: {nodes: true}}` allows it"
    elif (namespace := getattr(action, "namespace", "")) not in main.kubernetes.namespaces:
        yield ("namespace",), f"`{namespace}` is not among `remediation.kubernetes.namespaces`, and so never touched"
