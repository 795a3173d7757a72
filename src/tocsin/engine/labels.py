"""What people's labels of incidents ask of single series, as it enters the log in a Control record `feedback`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.model.errors import BadInput
from tocsin.model.log import Control


@dataclass(frozen=True, slots=True)
class Labels:
    """The log10 p that a group must pass, by monitor and id of its series; each record replaces what was asked before.

    >>> asked = Labels({"m": {b"0123456789abcdef": -9.5}})
    >>> Labels.of(asked.control()) == asked == Labels.restored(asked.snapshot())
    True
    """

    asks: Mapping[str, Mapping[bytes, float]] = field(default_factory=dict)

    def control(self) -> Control:
        """The record that puts this into force, and takes back what was in force before."""
        return Control.of("feedback", json.dumps({"asks": self.snapshot()}).encode())

    @staticmethod
    def of(control: Control) -> Labels:
        """Read it back from its record.

        Raises
        ------
        BadInput
            It holds something else.
        """
        try:
            return Labels.restored(json.loads(control.body)["asks"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"control record {control.sha256[:12]} asks for nothing: {error!r}") from error

    def snapshot(self) -> list[list[Any]]:
        """All of it, as JSON can hold it."""
        return [[name, ref.hex(), level] for name, of in sorted(self.asks.items()) for ref, level in sorted(of.items())]

    @staticmethod
    def restored(state: Sequence[Sequence[Any]]) -> Labels:
        """The labels of a snapshot.

        Raises
        ------
        ValueError
            A level is no number.
        """
        asks: dict[str, dict[bytes, float]] = {}
        for name, ref, level in state:
            if not math.isfinite(float(level)):
                raise ValueError(f"{level!r} is no log10 p")
            asks.setdefault(str(name), {})[bytes.fromhex(ref)] = float(level)
        return Labels(asks)
