"""Names for the array types that stages pass to each other."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F8: TypeAlias = "NDArray[np.float64]"
F4: TypeAlias = "NDArray[np.float32]"
I8: TypeAlias = "NDArray[np.int64]"
I4: TypeAlias = "NDArray[np.int32]"
U1: TypeAlias = "NDArray[np.uint8]"
Mask: TypeAlias = "NDArray[np.bool_]"
Array: TypeAlias = "NDArray[np.generic]"

__all__ = ["F4", "F8", "I4", "I8", "U1", "Array", "Mask"]
