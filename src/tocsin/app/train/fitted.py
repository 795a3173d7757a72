"""`Fitted`: what a trainer hands back - a graph to export, the trained model's own numbers, and what to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Protocol

from tocsin.app.train.windows import F4, Windows
from tocsin.model.arrays import F8
from tocsin.model.errors import BadConfig

Said = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model.

    Attributes
    ----------
    export : from metadata to the bytes of the file
    reference : the trained model's own errors (n,) of windows (n, L, features), computed without the file
    least_edge : the error that a score of 3 stands for is at least this
    told : figures of training and validation, by name
    """

    export: Callable[[Mapping[str, str]], bytes]
    reference: Callable[[F4], F8]
    least_edge: float = 0.0
    told: dict[str, float] = field(default_factory=dict)


class Trainer(Protocol):
    """Fits one kind of model."""

    def __call__(self, train: Windows, held: Windows, *, seed: int, say: Said) -> Fitted:
        """Fit on some windows; others, later ones, say when to stop and how good it is."""


def library(name: str) -> ModuleType:
    """A module of scikit-learn.

    Raises
    ------
    BadConfig
        The extra is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise BadConfig(
            "training needs scikit-learn and onnx, which are not installed: pip install 'tocsin[train]'"
        ) from None
