"""Sections of the report on what is broken and on which laws moved."""

from __future__ import annotations

from typing import Final

from tocsin.app.drift_files.page_charts import shown
from tocsin.app.drift_files.page_table import table
from tocsin.app.drift_files.run import ChunkResult, Result
from tocsin.app.drift_files.summed import broken, laws, numbers_said
from tocsin.assess.moved import CONCEPT

MOST_ROWS: Final = 200
_MEANS: Final = {
    "data drift": "what comes in, P(x)",
    "label drift": "what comes true, P(y)",
    "concept drift": "what follows from the same inputs, P(y|x)",
}


def quality_section(result: Result) -> str:
    """Promises of the reference that rows break, by column, alarms first."""
    found = broken(result)
    if not found:
        return '<h2>Data quality</h2><p class="legend">Types, ranges, categories and missing values are as in the reference.</p>'
    rows = [
        [
            shown(each.worst.feature), shown(each.worst.fault.value.replace("_", " ")), numbers_said(each.chunks),
            f"{each.count:,}", _usual(each.expected), shown(each.worst.example or "-"),
            '<strong class="bad">alarm</strong>' if each.alarm else "listed", shown(each.worst.said),
        ]
        for each in found[:MOST_ROWS]
    ]  # fmt: skip
    heads = ["column", "fault", "chunks", "rows", "usual", "example", "verdict", "in words, of the worst chunk"]
    legend = (
        "What breaks the reference's promises. Listed is what chance, or fewer than one row in a hundred, may explain."
    )
    more = f"<p>{len(found) - MOST_ROWS} more are in the JSON.</p>" if len(found) > MOST_ROWS else ""
    return f'<h2>Data quality</h2><p class="legend">{legend}</p>{table(heads, rows, wide=True)}{more}'


def _usual(expected: float) -> str:
    return f"{expected:,.0f}" if expected >= 10 or expected == 0 else f"{expected:.2g}"


def laws_section(result: Result) -> str:
    """Data, label and concept drift, and how the truth moved where inputs are alike."""
    found = laws(result)
    if not found:
        return ""
    rows = [
        [f"<strong>{each.kind}</strong><br>{shown(_MEANS[each.kind])}", numbers_said(each.chunks), shown(each.said)]
        for each in found
    ]
    concept = next((each for each in found if each.kind == CONCEPT), None)
    groups = "" if concept is None else _groups(concept.clearest)
    heads = ["what moved", "chunks", "in words, of the chunk where it is clearest"]
    return f"<h2>What moved</h2>{table(heads, rows)}{groups}"


def _groups(chunk: ChunkResult) -> str:
    rows = [
        [
            shown(group.name), shown(group.what), f"{group.reference_n:,}", f"{100 * group.reference_share:.3g} %", f"{group.n:,}",
            f"{100 * group.share:.3g} %", f"{100 * (group.share - group.reference_share):+.3g} points",
        ]
        for group in chunk.which.groups
    ]  # fmt: skip
    heads = ["rows", "share that", "in the reference", "share", f"in chunk {chunk.part.index}", "share", "moved by"]
    said = "Of rows for which the model said alike; the reference is weighted to look like the chunk."
    return f'<p class="legend">{said}</p>{table(heads, rows)}'
