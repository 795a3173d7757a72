"""Which attributes carry prompts and completions, and what is kept in their place (names: packs/content.yaml)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_CACHE_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class KeyClass:
    """What the name of an attribute says about its value: `content`, a rule for the whole value, a part in the prompt."""

    content: bool = False
    rule: str = ""
    template_rank: int = -1  # place in the list of templates, -1: none
    role_of: str = ""  # the attribute whose role this value tells
    messages: bool = False
    told_version: bool = False
    event_name: bool = False

    @property
    def prompt(self) -> bool:
        """Whether it can give, or already gives, the version of the prompt."""
        return self.template_rank >= 0 or bool(self.role_of) or self.messages or self.told_version


def keyed(key: bytes, text: str, size: int, person: bytes) -> str:
    """Hex of a keyed BLAKE2b of `size` bytes; equal texts give equal hex, and nothing can be read back without the key."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=size, person=person).hexdigest()


def _glob(names: Iterable[str]) -> re.Pattern[str]:
    alternatives = "|".join(".*".join(re.escape(part) for part in name.split("*")) for name in names)
    return re.compile(f"(?:{alternatives})", re.DOTALL)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


@cache
def _names() -> dict[str, Any]:
    text = files("tocsin.packs").joinpath("content.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


class ContentNames:
    """Names of content, looked up with a bounded memory of answers."""

    def __init__(self) -> None:
        names = _names()
        self.version: int = names["version"]
        self._content = _glob(names["content"])
        self._record_content = _glob([*names["content"], *names["record_content"]])
        self.events = frozenset(names["content_events"])
        self.version_key: str = names["prompt_version_key"]
        self._event_name = frozenset(names["event_name"])
        self._templates: list[str] = names["prompt_template"]
        self._roles = [(role.split("*"), content) for role, content in names["prompt_system_role"].items()]
        self._messages = frozenset(names["prompt_messages"])
        self._system_roles = frozenset(names["system_roles"])
        self._told = frozenset(names["prompt_version_known"])
        self._rules = [(rule, _glob(map(_plain, globs))) for rule, globs in names["named_values"].items()]
        self._known: dict[tuple[str, bool], KeyClass] = {}

    def key(self, name: str, *, record: bool = False) -> KeyClass:
        """What a name says; `record` adds the names used in logged records."""
        found = self._known.get((name, record))
        if found is None:
            if len(self._known) >= _CACHE_KEYS:
                self._known.clear()
            found = self._known[name, record] = self._classify(name, record=record)
        return found

    def _classify(self, name: str, *, record: bool) -> KeyClass:
        names = self._record_content if record else self._content
        rule = next((rule for rule, glob in self._rules if glob.fullmatch(_plain(name))), "")
        return KeyClass(
            content=names.fullmatch(name) is not None,
            rule=rule,
            template_rank=self._templates.index(name) if name in self._templates else -1,
            role_of=self._role_of(name),
            messages=name in self._messages,
            told_version=name in self._told,
            event_name=name in self._event_name,
        )

    def _role_of(self, name: str) -> str:
        for (head, tail), content in self._roles:
            if name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail):
                return str(content).replace("*", name[len(head) : len(name) - len(tail)])
        return ""

    def prompt_text(self, attributes: Mapping[str, str]) -> str:
        """The template, else the system prompt, that these attributes show; "" if none, or if a version is told."""
        if any(self.key(name).told_version and value for name, value in attributes.items()):
            return ""
        ranked = sorted((self.key(name).template_rank, value) for name, value in attributes.items() if value)
        for rank, value in ranked:
            if rank >= 0:
                return value
        for name in sorted(attributes):
            if attributes[name] in self._system_roles and (text := attributes.get(self.key(name).role_of)):
                return text
        for name in sorted(attributes):
            if self.key(name).messages and (text := self._system_message(attributes[name])):
                return text
        return ""

    def _system_message(self, text: str) -> str:
        """The system messages in a JSON list of messages, or ""."""
        try:
            messages = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(messages, list):
            return ""
        told = [
            message.get("content", message.get("parts"))
            for message in messages
            if isinstance(message, dict) and message.get("role") in self._system_roles
        ]
        return "\n".join(part if isinstance(part, str) else json.dumps(part, sort_keys=True) for part in told if part)

    def json_keys(self) -> str:
        """RE2 pattern of JSON keys that may have a meaning: content, or a value named as a secret."""
        names = _names()
        words = {max(re.split(r"[*.]", name), key=len) for name in (*names["content"], *names["record_content"])}
        words |= {name.strip("*.") for globs in names["named_values"].values() for name in globs}
        loose = "|".join(sorted(re.escape(_plain(word)).replace("_", "[_-]") for word in words))
        return rf'(?i:(?:{loose})[^"\n]*"\s*:)'
