"""What pydantic found wrong, said with its place in the file, plainly, and with the nearest right name."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tocsin.spec.problem import Problem, nearest
from tocsin.spec.tree import Loc, Node

QUOTE = "'"
MAX_MESSAGE = 400
_CHOICES = ("literal_error", "enum", "union_tag_invalid", "union_tag_not_found")
_NAMES = ((dict, "a mapping"), (list, "a list"), (tuple, "a list"), (type(None), "nothing"))
_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def problems(error: ValidationError, root: Node, file: str, model: type[BaseModel]) -> list[Problem]:
    """Every error of a validation, at most one for each place."""
    found: dict[tuple[int, int], Problem] = {}
    for detail in error.errors(include_url=False):
        loc = _without_tags(detail["loc"], root)
        line, column = _place(detail, loc, root)
        found.setdefault((line, column), Problem(file, line, column, _message(detail, loc, root, model)))
    return sorted(found.values())


def place(root: Node, loc: Loc) -> tuple[int, int]:
    """Line and column of the value at a path, or of the nearest part around it.

    A path one step into a plain text (an index where a list could have stood) is the text itself; an index of a mapping
    (where a list of one could have stood) leads to the mapping.
    """
    node = root
    for step in loc:
        below = node.child(step)
        if below is None and isinstance(step, int) and isinstance(node.items, dict):
            continue
        if below is None:
            break
        node = below
    return node.line, node.column


def _without_tags(loc: Iterable[str | int], root: Node) -> Loc:
    """A path of pydantic's without the names of union members and validators that it puts in between."""
    path: list[str | int] = []
    node: Node | None = root
    steps = list(loc)
    for number, step in enumerate(steps):
        below = node.child(step) if node is not None else None
        if below is not None:
            path.append(step)
            node = below
        elif number == len(steps) - 1 and step != "[key]" and node is not None and node.items is not None:
            path.append(step)
    return tuple(path)


def _place(detail: Any, loc: Loc, root: Node) -> tuple[int, int]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        parent = _node(root, loc[:-1])
        if parent is not None:
            return parent.keys.get(str(loc[-1]), place(root, loc))
    if kind == "union_tag_invalid":
        return place(root, (*loc, str(detail["ctx"]["discriminator"]).strip(QUOTE)))
    return place(root, loc)


def _node(root: Node, loc: Loc) -> Node | None:
    node: Node | None = root
    for step in loc:
        node = node.child(step) if node is not None else None
    return node


def _message(detail: Any, loc: Loc, root: Node, model: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        text = f"unknown key `{loc[-1]}`{nearest(str(loc[-1]), _fields(model, loc[:-1], root))}"
    elif kind in _CHOICES:
        text = _wrong_choice(kind, detail["ctx"], value)
    elif kind == "missing":
        text = f"the key `{loc[-1]}` is missing here"
    elif kind == "value_error":
        text = _short(str(detail["msg"]).removeprefix("Value error, "))
    elif kind in _KINDS:
        text = _wrong_kind(_KINDS[kind], value)
    else:
        reason = str(detail["msg"])
        text = f"{_shown(value)}: {reason[:1].lower()}{reason[1:]}"
    return text


def _short(text: str) -> str:
    # messages of validators quote what they were given, which may be anything
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE // 2]} ... {text[-MAX_MESSAGE // 2 :]}"


def _wrong_choice(kind: str, context: Any, value: Any) -> str:
    if kind == "union_tag_not_found":
        return f"the key `{str(context['discriminator']).strip(QUOTE)}` is missing here"
    if kind == "union_tag_invalid":
        expected, value = context["expected_tags"], context["tag"]
    else:
        expected = context["expected"].replace(" or ", ", ")
    return f"{_shown(value)} is not known here{nearest(str(value), [part.strip(' ' + QUOTE) for part in expected.split(',')])}"


def _wrong_kind(wanted: str, value: Any) -> str:
    if value is None:
        return f"{wanted} is needed here, found nothing"
    hint = "; put it in quotes" if wanted == "text" and isinstance(value, bool | int | float) else ""
    return f"{wanted} is needed here, found {_shown(value)}{hint}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value[:60]}`" if value else "an empty text"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return next((name for kind, name in _NAMES if isinstance(value, kind)), "this value")


def _fields(model: type[BaseModel], loc: Loc, root: Node) -> list[str]:
    """Names of the keys that the model at a path takes."""
    at: Any = model
    node: Node | None = root
    for step in loc:
        at = _member(at, node)
        node = node.child(step) if node is not None else None
        if isinstance(step, int):
            at = next(iter(get_args(at)), None)
        elif isinstance(at, type) and issubclass(at, BaseModel):
            at = next((f.annotation for n, f in at.model_fields.items() if step in (n, f.alias)), None)
        elif get_origin(at) is dict:
            at = get_args(at)[1]
    at = _member(at, node)
    if not (isinstance(at, type) and issubclass(at, BaseModel)):
        return []
    return [field.alias or name for name, field in at.model_fields.items()]


def _member(at: Any, node: Node | None) -> Any:
    """The plain type behind `Annotated`, or the member of a union that this value is meant to be."""
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    if get_origin(at) not in (Union, types.UnionType):
        return at
    members = [_member(member, node) for member in get_args(at) if member is not type(None)]
    kind = node.child("type") if node is not None else None
    for member in members:
        tag = member.model_fields.get("type") if isinstance(member, type) and issubclass(member, BaseModel) else None
        if tag is not None and kind is not None and kind.value in get_args(tag.annotation):
            return member
    return members[0]
