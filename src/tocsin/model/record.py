"""What a row of an inference record is: a prediction, what became of it, or both joined."""

from __future__ import annotations

from typing import Final

PREDICTION: Final = "prediction"
"""What a model said; it may bring truth or feedback along."""
TRUTH: Final = "truth"
"""What was right, known later, for the prediction of the same id."""
FEEDBACK: Final = "feedback"
"""What a person or a system did with a prediction, for the prediction of the same id."""
OUTCOME: Final = "outcome"
"""Truth or feedback with the prediction it belongs to, as the join gives it back; never stored, never sent in."""

OUTCOMES_SOURCE: Final = "outcomes"
"""Source of the frames that the join gives back."""
