"""When a trained model is due to be trained again: by what people said of its incidents, and by what it is given.

It is due once it is surely wrong more often than right in one of three ways: incidents that it opened and people
called false alarms, real ones on series that it watches of which it said nothing, and series that are given what it
was not made for. The first two are samples, so the more frequent wrong has to be proven; the third is counted whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.model.decision import Feedback
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident
from tocsin.model.series import Series

NEEDED: Final = 20.0
"""A model that is right as often as wrong reaches this e-value once in twenty lives, however often one looks."""
HALF: Final = 0.5
MOST: Final = 1e12


@dataclass(frozen=True, slots=True)
class Tally:
    """How often it was wrong of how often it was judged, the e-value of that, and since when that is enough (ns)."""

    wrong: int = 0
    of: int = 0
    e_value: float = 1.0
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which a model is wrong more often than right, and since when (ns) that is known."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is held against a model since a time (ns); `foreign` None: nothing is known of what it is given."""

    since: int
    false: Tally
    missed: Tally
    foreign: float | None = None
    foreign_since: int | None = None

    def reasons(self) -> list[Reason]:
        """Why it is due to be trained again, the oldest reason first; none: it is not."""
        found = [
            Reason(
                tally.since, f"{tally.wrong} of {tally.of} {words} (e-value {tally.e_value:.3g}, {NEEDED:g} are enough)"
            )
            for tally, words in (
                (self.false, "incidents it had a part in were called false alarms"),
                (self.missed, "real incidents on what it watches went without a word of it"),
            )
            if tally.since is not None
        ]
        if self.foreign is not None and self.foreign_since is not None:
            text = f"{100 * self.foreign:.0f} % of its series are given what it was not made for (more than half)"
            found.append(Reason(self.foreign_since, text))
        return sorted(found, key=lambda each: each.at)

    @property
    def due_at(self) -> int | None:
        """Since when it is due (ns), None: it is not."""
        return min((each.at for each in self.reasons()), default=None)


def e_value(wrong: int, right: int) -> float:
    """Evidence that it is wrong more often than right: an e-value, valid however often one looks.

    The likelihood of all shares above a half, weighted alike, over that of a half; with whole numbers the sum of the
    binomial coefficients of n + 1 up to `wrong`, over n + 1 times that of n: J. Ville, Étude critique de la notion de
    collectif, 1939; A. Ramdas et al., Game-Theoretic Statistics and Safe Anytime-Valid Inference, 2023.

    >>> [round(e_value(n, 0), 1) for n in (1, 6, 7)], e_value(2, 7) < 1.0 < e_value(13, 3) < 20.0 < e_value(14, 3)
    ([1.5, 18.1, 31.9], True)
    """
    n = wrong + right
    term = (n + 1) / (right + 1)  # of n + 1 over `wrong`, to n over `wrong`
    total = term
    for k in range(wrong, 0, -1):
        term *= k / (n + 2 - k)
        total += term
    return min(total / (n + 1), MOST)


def tally(judged: Iterable[tuple[int, bool]]) -> Tally:
    """Count verdicts: when each was given (ns), and whether it says that the model was wrong.

    >>> tally([(n, True) for n in range(8)]).since, tally([(n, n % 2 == 0) for n in range(40)]).since
    (6, None)
    """
    wrong = right = 0
    evidence, since = 1.0, None
    for at, was_wrong in sorted(judged):
        wrong, right = wrong + was_wrong, right + (not was_wrong)
        evidence = e_value(wrong, right)
        since = None if evidence < NEEDED else at if since is None else since
    return Tally(wrong, wrong + right, evidence, since)


def standing(
    monitor: str,
    watched: Callable[[Series], bool],
    judged: Sequence[tuple[Incident, Feedback]],
    foreign: Sequence[tuple[int, float]],
    since: int,
) -> Standing:
    """What is held against the model of a monitor.

    Parameters
    ----------
    watched : whether a series is one that it watches
    judged : incidents with the last word on each; those that opened before `since` (ns) count nothing
    foreign : by day (ns) the share of its series that are given what it was not made for; of those longer than a
        half without a break, what began before `since` counts nothing
    """
    false: list[tuple[int, bool]] = []
    missed: list[tuple[int, bool]] = []
    for incident, said in judged:
        if incident.opened_at < since:
            continue
        own = any(_said_by_model(each, monitor) for each in incident.findings)
        if not own and any(each.monitor == monitor for each in incident.findings):
            continue  # the baseline judged in its place: the model was not asked
        real = said.verdict == "real_problem"
        if own:
            false.append((said.time, not real))
        if real and (own or any(watched(each.series) for each in incident.findings)):
            missed.append((said.time, not own))
    share, began = _last_run(foreign)
    return Standing(since, tally(false), tally(missed), share, None if began is None or began < since else began)


def _said_by_model(finding: Finding, monitor: str) -> bool:
    """Whether the model itself said it, and not the baseline in its place."""
    return finding.monitor == monitor and finding.evidence.get("state.judged_by_baseline") != 1.0


def _last_run(foreign: Sequence[tuple[int, float]]) -> tuple[float | None, int | None]:
    share, began = None, None
    for at, share in sorted(foreign):
        began = None if share <= HALF else at if began is None else began
    return share, began
