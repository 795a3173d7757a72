"""The rules of redaction: what a secret looks like in text, as linear-time patterns with checks beside them.

Each pattern runs over every value of a column in one pass of RE2 (Arrow's); Python substitutes only where it hit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import re2

from tocsin.model.errors import BadConfig

REDACTOR_VERSION = 1
"""Version of rules and names, written into the header of every segment."""

Write = Callable[[str, str], str]
"""From rule name and matched secret to what is written in its place."""

_EMPTY_VALUES = frozenset({"", "true", "false", "null", "none", "nil", "undefined", "unset", "required", "optional"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must not be kept: a google-re2 pattern; the group `secret`, or all of the match, is replaced.

    `replacement` stands in texts; labels and ids get a keyed token whatever it is, or two of them would become one.
    """

    name: str
    pattern: str
    replacement: str | None = None
    accept: Callable[[str], bool] | None = None
    overlapping: bool = False  # whether a true match may begin inside a refused one; for patterns of bounded length
    begins: str = ""  # cheaper pattern that hits wherever `pattern` does, for the search of a column


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _issuer(digits: str) -> bool:
    """Whether a card scheme issues numbers of this beginning and length."""
    n, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return n in (13, 16, 19)
    if two in (34, 37):
        return n == 15
    if two in (36, 38, 39) or 3000 <= four <= 3059:
        return n in (14, 16)
    if 51 <= two <= 55 or 2221 <= four <= 2720 or 3528 <= four <= 3589:
        return n == 16
    return digits[0] in "56" and two != 59 and n in (16, 18, 19)


def card_number(text: str) -> bool:
    """Whether digits with single separators are a card number: issuer, grouping and Luhn's check.

    >>> card_number("4111 1111 1111 1111"), card_number("1763768254123456789"), card_number("41 111111111111-11")
    (True, False, False)
    """
    groups = tuple(len(group) for group in text.replace("-", " ").split(" "))
    if len(groups) > 1 and groups not in {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4)}:
        return False
    digits = text.replace("-", "").replace(" ", "")
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and _issuer(digits) and luhn(digits)


def _phone(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    separated = any(char in " .-/()" for char in text.strip())
    return (9 if separated else 10) <= digits <= 15


def _phone_told(text: str) -> bool:
    return 7 <= sum(char.isdigit() for char in text) <= 15


def _mixed(text: str) -> bool:
    """Whether it looks made by a machine: words of one case without a digit are language, not keys."""
    return any(char.isdigit() for char in text)


def _credential(text: str) -> bool:
    return _mixed(text) or len(text) >= 20


def _value(text: str) -> bool:
    bare = text.strip("\\\"'")
    return not (
        bare.lower() in _EMPTY_VALUES
        or bare.startswith(("[redacted", "[content", "${", "credential:"))
        or not bare.strip("*x")
    )


def _token_value(text: str) -> bool:
    bare = text.strip("\\\"'")
    return _value(text) and len(bare) >= 8 and _mixed(bare) and not bare.replace(".", "").isdigit()


_QUOTED = r"""(?:\\*"[^"\\]*\\*"|'[^']*'|[^\s"'\\,;&<]+)"""
_IS = r"""\\*["']?\s*(?:=>|[:=>])\s*"""
# no digit before the point: the digits behind one are a fraction
_BEFORE_CARD = r"(?:^|[^0-9A-Za-z.]|(?:^|[^0-9])\.)"
_AFTER_CARD = r"(?:$|[^0-9A-Za-z])"

BUILT_IN: tuple[Rule, ...] = (
    Rule("pem", r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)", begins="-----BEGIN [A-Z0-9 ]*PRIVATE KEY"),
    Rule("credential", r"(?i)\b[a-z][a-z0-9+.\-]{1,20}://[^\s/:@\"']{0,100}:(?P<secret>[^\s/@\"']{1,200})@", accept=_value),
    Rule("jwt", r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){2,4}"),
    Rule(
        "provider_key",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|xox[a-z]-[A-Za-z0-9\-]{8,}|xapp-[A-Za-z0-9\-]{8,}"
        r"|A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}|AIza[A-Za-z0-9_\-]{30,}|gl(?:pat|rt|dt|cbt)-[A-Za-z0-9_\-]{16,}"
        r"|(?:sk|rk|pk|whsec)_(?:live_|test_)?[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
        r"|pypi-[A-Za-z0-9_\-]{30,}|SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}|hooks\.slack\.com/services/[A-Za-z0-9/]{16,}"
        r"|r8_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{32,}|ya29\.[A-Za-z0-9_\-]{16,})",
    ),
    Rule("provider_key", r"\b(?:sk|pk|rk|pplx|xai)-[A-Za-z0-9_\-]{16,}", accept=_mixed),
    Rule("bearer", r"(?i)\b(?:bearer|basic|digest|apikey|genie_?key)\s+(?P<secret>[a-z0-9._~+/\-]{8,}=*)", accept=_credential),
    Rule(
        "credential",
        r"(?i)(?:passwor[dt]|passwd|passphrase|pwd|secret(?:[_\- ]?(?:access[_\- ]?)?key)?|(?:api|access|private|signing|encryption)[_\- ]?key"
        r"|(?:access|auth|refresh|id|session|bearer|csrf)[_\- ]?token|client[_\- ]?secret|credentials)" + _IS + "(?P<secret>" + _QUOTED + ")",
        accept=_value,
    ),
    Rule("credential", r"(?i)\btoken" + _IS + "(?P<secret>" + _QUOTED + ")", accept=_token_value),
    Rule("credential", r"(?i)\bauthorization" + _IS + r"\\?[\"']?(?:[a-z]+\s+)?(?P<secret>[^\s\"'\\,;]{8,})", accept=_value),
    Rule("email", r"[\p{L}\p{N}._%+'\-]+@(?:[\p{L}\p{N}\-]+\.)+\p{L}\p{L}+"),
    Rule("card", _BEFORE_CARD + r"(?P<secret>[2-6][0-9]{3}(?:[ \-][0-9]{4}){3}[ \-][0-9]{3})" + _AFTER_CARD, accept=card_number, overlapping=True),
    Rule("card", _BEFORE_CARD + r"(?P<secret>[2-6][0-9]{3}(?:[0-9]{9,15}|(?:[ \-][0-9]{4}){3}|[ \-][0-9]{6}[ \-][0-9]{4,5}))" + _AFTER_CARD, accept=card_number, overlapping=True),
    Rule("phone", r"(?:^|[^\w+.\-/])(?P<secret>\+[1-9][0-9]{0,2}(?:[ .\-/]?\(?[0-9]{1,14}\)?){1,6})(?:$|[^\w])", accept=_phone, overlapping=True),
    Rule("phone", r"(?:^|[^\w.\-/:])(?P<secret>(?:1[\-. ])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[\-.])[2-9][0-9]{2}[\-.][0-9]{4})(?:$|[^\w\-])"),
    Rule("phone", r"(?i)\b(?:phone|tel|telephone|mobile|cell|cellphone|fax|whatsapp|msisdn)(?:[ _\-]?(?:number|no|nr))?\.?\\?[\"']?\s*[:=#]?\s*\\?[\"']?(?P<secret>\+?\(?[0-9][0-9 ().\-/]{5,18}[0-9])(?:$|[^\w])", accept=_phone_told, overlapping=True),
)  # fmt: skip


class ColumnFilter:
    """Finds the values of a column that a rule may match, by one pass over all its text.

    Values are laid out with line feeds between them. A match that runs on into the next value is no harm: the
    search goes on where the next value begins, so that nothing can hide behind it.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._pattern: Any = compile_re2("|".join(f"(?:{pattern})" for pattern in patterns).replace("?P<secret>", "?:"))

    def may_hit(self, text: str) -> bool:
        """Whether a rule may match somewhere in a text."""
        return self._pattern.search(text.encode("utf-8", "replace")) is not None

    def hits(self, values: Any) -> list[int]:
        """Places of the values, a string array of shape (n,) without nulls, that may match."""
        n = len(values)
        if not n:
            return []
        text = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, n], pa.int32()), values), "\n")[0].as_buffer()
        match = self._pattern.search(raw := text.to_pybytes())
        if match is None:
            return []
        # the line feed before a value counts as its own: patterns look at the character before a secret
        starts = np.zeros(n, np.int64)
        np.cumsum(pc.binary_length(values).to_numpy(zero_copy_only=False)[:-1] + 1, out=starts[1:])
        found = []
        while match is not None:
            place = int(np.searchsorted(starts - 1, match.start(), "right")) - 1
            found.append(place)
            match = self._pattern.search(raw, int(starts[place + 1]) - 1) if place + 1 < n else None
        return found


def compile_re2(pattern: str) -> Any:
    """A google-re2 pattern that keeps quiet on standard error.

    Raises
    ------
    BadConfig
        It is not one, or is too large.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise BadConfig(
            f"{pattern[:200]!r} is no google-re2 pattern ({said}); look-around and back-references don't exist there"
        ) from error


class CompiledRule:
    """A rule ready to run, over one text, by `substitute`."""

    def __init__(self, rule: Rule) -> None:
        try:
            self._pattern: Any = compile_re2(rule.pattern)
        except BadConfig as error:
            raise BadConfig(f"redaction rule {rule.name!r}: {error}") from error
        if self._pattern.search("") is not None:
            raise BadConfig(
                f"redaction rule {rule.name!r}: {rule.pattern!r} matches the empty text; let it need a character"
            )
        self.rule = rule
        self._group = self._pattern.groupindex.get("secret", 0)

    def substitute(self, text: str, write: Write) -> tuple[str, int]:
        """The text with every accepted match replaced, and how many there were."""
        # bytes: on str the binding would count characters anew for every match
        raw = text.encode("utf-8", "replace")
        out: list[bytes] = []
        kept, at, hits = 0, 0, 0
        while (match := self._pattern.search(raw, at)) is not None:
            start, end = match.span(self._group)
            at = max(match.start() + 1 if self.rule.overlapping else end, at + 1)
            if start < kept or end <= start:
                continue
            secret = raw[start:end].decode("utf-8", "replace")
            if self.rule.accept is not None and not self.rule.accept(secret):
                continue
            out += (raw[kept:start], write(self.rule.name, secret).encode())
            # from the end of the secret, not of the match: one separator may stand between two
            kept = at = end
            hits += 1
        if not hits:
            return text, 0
        return (b"".join(out) + raw[kept:]).decode("utf-8", "replace"), hits
