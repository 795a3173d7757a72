"""Names of signals that the engine gives of itself and others read; nothing is imported with them."""

from __future__ import annotations

from typing import Final

FOREIGN: Final = "tocsin.calibration.inputs_foreign"
"""Signal of the share of a monitor's series that are given what its model was not made for, once a day."""
