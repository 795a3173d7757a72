"""`Templates`: which masked lines are the same message, learned from those that were never seen before.

A word of a line is a variable when more than `VARIANTS` different ones were seen in its place, all other words being
equal: "user alice logged in" becomes "user <*> logged in" with the ninth user, while "order saved" and "order failed"
never become one. A tree of similar lines (Drain: P. He et al., ICWS 2017) would merge these two, as they share half of
their words; that a template splits good from bad matters more here than how few there are.

What is found depends on which lines were learned, and only in its details on their order. An id is the hash of the
template's text, so it is the same in every process that came to the same template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin.stats.log_mask import MASK

VARIANTS: Final = 8
"""So many words in one place are words; with one more it is a variable."""
MOST: Final = 10_000
"""Shapes, of one tenant, that are kept; the ones not seen for longest go."""
_TOKENS: Final = 40
_WILD: Final = 50_000


@dataclass(frozen=True, slots=True)
class Template:
    """A message: its id (16 hexadecimal digits) and its text, in which `<*>` stands for what varies."""

    id: str
    text: str

    @staticmethod
    def of(text: str) -> Template:
        """The template with a text.

        >>> Template.of("order saved").id
        '37aae97ad0be9612'
        """
        return Template(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest(), text)


OTHER: Final = Template.of("(other)")
"""What lines have that came when there was no room."""


@dataclass(slots=True)
class _Shape:
    template: Template
    seen: int
    alone: bool = True


class Templates:
    """Templates of one tenant, by shape (see `log_mask.shapes`).

    >>> known = Templates()
    >>> for shape, name in enumerate("abcdefghi"):
    ...     known.learn(shape, f"user {name} logged in", 1)
    >>> {known.of(shape).text for shape in range(9)}
    {'user <*> logged in'}
    """

    def __init__(self) -> None:
        self._shapes: dict[int, _Shape] = {}
        self._shapes_of: dict[str, set[int]] = {}  # by the text of their template
        self._variants: dict[int, int] = {}
        self._wild: dict[int, None] = {}
        self._news: dict[int, None] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._shapes_of)

    def __contains__(self, shape: int) -> bool:
        return shape in self._shapes

    def of(self, shape: int) -> Template:
        """The template of a shape; `OTHER` for one that is not kept."""
        found = self._shapes.get(shape)
        return OTHER if found is None else found.template

    def has(self, template: Template) -> bool:
        """Whether some shape still has this template."""
        return template.text in self._shapes_of

    def touch(self, shape: int, time: int) -> None:
        """A known shape was seen at `time` (ns)."""
        found = self._shapes.get(shape)
        if found is not None and time > found.seen:
            found.seen = time

    def alone(self, shape: int) -> bool:
        """Whether a shape, when it came first, was no mere variation: at most two others differed in one word only."""
        found = self._shapes.get(shape)
        return found is not None and found.alone

    def learn(self, shape: int, text: str, time: int) -> None:
        """Take in a shape with its masked text, first seen at `time` (ns)."""
        if shape in self._shapes:
            return
        if len(self._shapes) >= MOST and not self._make_room(time):
            self.left_out += 1
            return
        tokens = self._widened(text.split(" "))
        text = " ".join(tokens)
        known = text in self._shapes_of
        alone = not known and all(self._variants.get(key, 0) <= 2 for _, key in _places(tokens))
        template = Template.of(text)
        self._shapes[shape] = _Shape(template, time, alone)
        self._shapes_of.setdefault(text, set()).add(shape)
        self._news[shape] = None
        if not known:
            self._register(tokens)

    def news(self) -> list[tuple[int, Template]]:
        """Shapes whose template is new or another since this was asked last."""
        found = [(shape, self._shapes[shape].template) for shape in self._news if shape in self._shapes]
        self._news = {}
        return found

    def _widened(self, tokens: list[str]) -> list[str]:
        """The words of a line, with those masked that are known to vary."""
        again = True
        while again:
            again = False
            for place, key in _places(tokens):
                if key in self._wild:
                    tokens = [*tokens[:place], MASK, *tokens[place + 1 :]]
                    again = True
                    break
        return tokens

    def _register(self, tokens: list[str]) -> None:
        """Count the words of a new template at each place, and merge where they have become too many."""
        full = []
        for place, key in _places(tokens):
            self._variants[key] = self._variants.get(key, 0) + 1
            if self._variants[key] > VARIANTS:
                full.append((place, key, len(tokens)))
        if not full:
            return
        place, key, size = full[0]
        self._wild[key] = None
        if len(self._wild) > _WILD:
            del self._wild[next(iter(self._wild))]
        self._merge(place, key, size)

    def _merge(self, place: int, key: int, size: int) -> None:
        """Make one template of all that differ at one place only."""
        alike = [text for text in self._shapes_of if text.count(" ") + 1 == size and _key_at(text, place) == key]
        tokens = alike[0].split(" ")
        wide = self._widened([*tokens[:place], MASK, *tokens[place + 1 :]])
        text = " ".join(wide)
        shapes = set[int]()
        for each in alike:
            shapes |= self._shapes_of.pop(each)
            self._unregister(each)
        template, known = Template.of(text), text in self._shapes_of
        for shape in sorted(shapes):
            self._shapes[shape].template = template
            self._news[shape] = None
        self._shapes_of.setdefault(text, set()).update(shapes)
        if not known:
            self._register(wide)

    def _unregister(self, text: str) -> None:
        for _, key in _places(text.split(" ")):
            left = self._variants.get(key, 0) - 1
            if left > 0:
                self._variants[key] = left
            else:
                self._variants.pop(key, None)

    def _make_room(self, time: int) -> bool:
        """Forget the quarter of shapes that were not seen for longest; False if all were seen just now."""
        old = sorted((found.seen, shape) for shape, found in self._shapes.items() if found.seen < time)
        for _, shape in old[: MOST // 4]:
            text = self._shapes.pop(shape).template.text
            mine = self._shapes_of[text]
            mine.discard(shape)
            if not mine:
                del self._shapes_of[text]
                self._unregister(text)
        return bool(old)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "shapes": [[shape, found.template.text, found.seen, found.alone] for shape, found in self._shapes.items()],
            "wild": list(self._wild),
            "news": list(self._news),
            "left_out": self.left_out,
        }

    @staticmethod
    def restored(state: Mapping[str, Any]) -> Templates:
        """Templates back from a snapshot."""
        found = Templates()
        for shape, text, seen, alone in state["shapes"]:
            found._shapes[shape] = _Shape(Template.of(text), seen, alone)
            if text not in found._shapes_of:
                for _, key in _places(text.split(" ")):
                    found._variants[key] = found._variants.get(key, 0) + 1
            found._shapes_of.setdefault(text, set()).add(shape)
        found._wild = dict.fromkeys(state["wild"])
        found._news = dict.fromkeys(state["news"])
        found.left_out = state["left_out"]
        return found


def _places(tokens: list[str]) -> list[tuple[int, int]]:
    """Places whose word may be a variable, each with a number for all the other words."""
    found = []
    lettered = sum(any(map(str.isalpha, token.replace(MASK, ""))) for token in tokens)
    for place, token in enumerate(tokens[:_TOKENS]):
        mine = token != MASK and any(map(str.isalpha, token.replace(MASK, "")))
        if mine and lettered > 1:  # a line of one word is known by it
            found.append((place, _key(tokens, place)))
    return found


def _key_at(text: str, place: int) -> int:
    tokens = text.split(" ")
    return -1 if tokens[place] == MASK else _key(tokens, place)


def _key(tokens: list[str], place: int) -> int:
    rest = " ".join((*tokens[:place], "\0", *tokens[place + 1 :]))
    return int.from_bytes(hashlib.blake2b(rest.encode("utf-8", "replace"), digest_size=8).digest(), "little") >> 1
