"""From a file to a `Config`, or to every fault in it at `file:line:column`; nothing half-right gets through."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tocsin.spec.brokers import brokerless, with_brokers
from tocsin.spec.config import Config, Fault
from tocsin.spec.explain import place, problems
from tocsin.spec.pack import PackSpec
from tocsin.spec.pipeline import PipelineFile, to_config
from tocsin.spec.problem import BadSpec, Problem, nearest
from tocsin.spec.tree import MAX_FILE_BYTES, Loc, Node, parse, rewrite_texts

M = TypeVar("M", bound=BaseModel)
_VARIABLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can take effect, what was found odd about it, and what it was read from."""

    config: Config
    warnings: tuple[Problem, ...]
    file: str
    sha256: str
    text: str = ""


def load_config(path: Path, env: Mapping[str, str], packs: Sequence[PackSpec] = ()) -> Loaded:
    """Read tocsin.yaml, or a `pipeline:` file.

    Raises
    ------
    BadSpec
        The file can't be read, or anything in it is wrong.
    """
    return parse_config(read_text(path), str(path), env, packs)


def parse_config(text: str, file: str, env: Mapping[str, str], packs: Sequence[PackSpec] = ()) -> Loaded:
    """Read a configuration from its text; `file` is the name that messages carry.

    Raises
    ------
    BadSpec
        Anything in it is wrong.

    >>> parse_config("dry_run: true", "t.yaml", {}).config.dry_run
    True
    """
    root = parse(text, file)
    substitute(root, file, env)
    if isinstance(root.items, dict) and "pipeline" in root.items:
        pipeline = validated(PipelineFile, root, file)
        config, odd, wrong = to_config(pipeline)
        config = with_brokers(config, env)
        odd += brokerless(config, ("pipeline", "ingestion", "source"))
    else:
        config = with_brokers(validated(Config, root, file), env)
        odd, wrong = [*config.cautions(), *brokerless(config)], list(config.faults(packs))
    if wrong:
        raise BadSpec(_placed(wrong, root, file))
    warnings = tuple(sorted(_placed(odd, root, file, level="warning")))
    return Loaded(config, warnings, file, hashlib.sha256(text.encode()).hexdigest(), text)


def read_text(path: Path) -> str:
    """Text of a file of configuration.

    Raises
    ------
    BadSpec
        It can't be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            body = stream.read(MAX_FILE_BYTES + 1)
        return body.decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadSpec([Problem(str(path), 1, 1, f"can't read the file: {reason}")]) from None
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        column = error.start - body.rfind(b"\n", 0, error.start)
        raise BadSpec([Problem(str(path), line, column, "not UTF-8; save the file as UTF-8")]) from None


def validated(model: type[M], root: Node, file: str) -> M:
    """The model of a tree.

    Raises
    ------
    BadSpec
        Each fault at its place.
    """
    plain = root.plain()
    if plain is None:
        plain = {}
    if not isinstance(plain, dict):
        message = "a mapping is needed here: `key: value` lines"
        raise BadSpec([Problem(file, root.line, root.column, message)])
    try:
        return model.model_validate(_without_nulls(plain))
    except ValidationError as error:
        raise BadSpec(problems(error, root, file, model)) from None


def substitute(root: Node, file: str, env: Mapping[str, str]) -> None:
    """Put environment variables in place of `${NAME}`; `$${NAME}` stands for itself.

    Inside an `action`, only names in capitals are variables: the others are labels of the incident's entity; inside
    `changes`, places in a payload.

    Raises
    ------
    BadSpec
        A variable is not set.
    """

    def rewrite(loc: Loc, text: str) -> str:
        in_action = not {"action", "actions", "changes"}.isdisjoint(loc)

        def value(match: re.Match[str]) -> str:
            name = match[2]
            if match[1]:
                return match[0][1:]
            if in_action and name != name.upper():
                return match[0]
            if name not in env:
                raise ValueError(f"the environment variable `{name}` is not set{_similar(name, env)}")
            return env[name]

        return _VARIABLE.sub(value, text)

    rewrite_texts(root, rewrite, file)


def _similar(name: str, env: Mapping[str, str]) -> str:
    hint = nearest(name, env)
    return hint if "did you mean" in hint else "; set it, or write $${...} for the text itself"


def _without_nulls(value: Any) -> Any:
    """A top-level key with nothing after it (`routes:`) is as if it were not there."""
    return {key: part for key, part in value.items() if part is not None}


def _placed(faults: Sequence[Fault], root: Node, file: str, level: Any = "error") -> list[Problem]:
    return [Problem(file, *place(root, loc), message, level) for loc, message in faults]
