"""The report of `tocsin drift --html`: one page, no script, nothing loaded from anywhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from tocsin.app.drift_files.model import Performance
from tocsin.app.drift_files.page_charts import MOST_SHOWN, heat_map, performance_chart, shown
from tocsin.app.drift_files.page_found import laws_section, quality_section
from tocsin.app.drift_files.page_style import STYLE
from tocsin.app.drift_files.page_table import table
from tocsin.app.drift_files.run import ChunkResult, Result
from tocsin.app.drift_files.told import first_reasons, main_measure, moved_names
from tocsin.assess.drift import FeatureDrift
from tocsin.assess.intervals import Measure
from tocsin.model.errors import BadInput

MOST_FEATURES: Final = 40
MOST_ROWS: Final = 1_000
MOST_PARTS: Final = 4
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_page(path: Path, result: Result) -> None:
    """Write the report.

    Raises
    ------
    BadInput
        The file can't be written.
    """
    try:
        path.write_text(page(result), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--html: {path} can't be written: {(error.strerror or str(error)).lower()}") from None


def page(result: Result) -> str:
    """The report as HTML."""
    title = f"Drift of {result.wanted.current.name}"
    body = [
        f"<h1>{shown(title)}</h1>",
        _lead(result),
        _verdict(result),
        _performance(result),
        laws_section(result),
        _features(result),
        quality_section(result),
        _chunks(result),
        _segments(result),
        _columns(result),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{shown(title)}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _lead(result: Result) -> str:
    return (
        f"<p>{result.current_rows:,} rows in {len(result.chunks):,} chunks, against the {result.reference_rows:,} rows "
        f"of <code>{shown(result.wanted.reference.name)}</code>.</p>"
    )


def _verdict(result: Result) -> str:
    alarms = [chunk for chunk in result.chunks if chunk.alarm]
    if not alarms:
        return '<p class="verdict good"><strong>No alarm.</strong> No chunk asks for a look.</p>'
    some = ", ".join(str(chunk.part.index) for chunk in alarms[:30]) + (", …" if len(alarms) > 30 else "")
    first = alarms[0]
    return (
        f'<p class="verdict bad"><strong>{len(alarms)} of {len(result.chunks)} chunks ask for a look</strong>: {some}. '
        f"Chunk {first.part.index}: {shown('; '.join(first.reasons[:1]))}.</p>"
    )


def _performance(result: Result) -> str:
    main = main_measure(result)
    if main is None:
        return ""
    chart = performance_chart(result, main)
    if not chart:
        return "<h2>Performance</h2><p>Neither estimated nor realised: see the notes below.</p>"
    said = [
        '<span class="key guess-key"></span> estimated without truth, and where truth should fall',
        '<span class="key real-key"></span> realised (with its interval where the truth of some rows is not known)',
        '<span class="key reference-key"></span> reference',
        '<span class="key alarm-key"></span> alarm',
    ]
    error = result.estimate_error.get(main)
    told = ""
    if error is not None and math.isfinite(error[0]):
        told = f"<p>Estimates were off by {error[0]:.3g} on average of {error[1]} chunks with truth.</p>"
    late = f" The last {MOST_SHOWN} chunks are drawn." if len(result.chunks) > MOST_SHOWN else ""
    return f'<h2>Performance: {shown(main)}</h2>{chart}<p class="legend">{" ".join(said)}.{late}</p>{told}'


def _features(result: Result) -> str:
    ranked = _ranked(result)
    if not ranked:
        return ""
    names = [name for name, _, _ in ranked[:MOST_FEATURES]]
    rows = []
    for name, worst, count in ranked[:MOST_FEATURES]:
        found = next(each for each in worst.features if each.name == name)
        rows.append([
            shown(name), shown(found.kind) + _parts(worst, found), _number(found.psi), _number(found.js), _number(found.wasserstein),
            _number(found.ks), f"{count} of {len(result.chunks)}", str(worst.part.index), shown(found.reason),
        ])  # fmt: skip
    heads = ["feature", "kind", "PSI", "JS", "Wasserstein", "KS", "chunks moved", "worst", "why, in the worst chunk"]
    more = f"<p>{len(ranked) - MOST_FEATURES} more moved less.</p>" if len(ranked) > MOST_FEATURES else ""
    legend = "A stronger colour is a larger PSI (0 to 0.25 and more); a frame is a change that is sure and large enough to matter."
    if any(chunk.parts for chunk in result.chunks):
        legend += " Texts and vectors are compared by their parts: below the kind is the JS of those that moved most."
    return (
        f'<h2>Features</h2>{heat_map(result, names)}<p class="legend">{legend}</p>{table(heads, rows, wide=True)}{more}'
    )


def _parts(chunk: ChunkResult, found: FeatureDrift) -> str:
    """Of texts and vectors: the parts that moved most (Jensen-Shannon), and the maximum mean discrepancy."""
    parts = chunk.parts.get(found.name, {})
    ranked = sorted(parts.items(), key=lambda pair: -(pair[1].js or 0.0))[:MOST_PARTS]
    said = [f"{part.replace('_', ' ')} {_number(each.js)}" for part, each in ranked]
    said += [f"MMD {found.mmd:.3g}"] if found.mmd is not None else []
    return f'<span class="parts">{shown(", ".join(said))}</span>' if said else ""


def _ranked(result: Result) -> list[tuple[str, ChunkResult, int]]:
    """Features with their worst chunk and how many chunks they moved in, worst first."""
    found = []
    for k, name in enumerate(result.roles.features):
        if not result.chunks:
            break
        worst = max(result.chunks, key=lambda chunk: (chunk.features[k].alarm, chunk.features[k].psi or 0.0))
        count = sum(chunk.features[k].alarm for chunk in result.chunks)
        found.append((name, worst, count, worst.features[k].psi or 0.0))
    found.sort(key=lambda each: (-bool(each[2]), -each[3], each[0]))
    return [each[:3] for each in found]


def _chunks(result: Result) -> str:
    main = main_measure(result)
    heads = ["chunk", "from, to", "rows"]
    heads += [f"estimated {main}", "realised"] if main else []
    heads += ["features that moved", "what moved", "alarm"]
    rows = [_chunk_row(chunk, main) for chunk in result.chunks[:MOST_ROWS]]
    late = f"<p>{len(result.chunks) - MOST_ROWS} more are in the JSON.</p>" if len(result.chunks) > MOST_ROWS else ""
    return f"<h2>Chunks</h2>{table(heads, rows, wide=True)}{late}"


def _chunk_row(chunk: ChunkResult, main: str | None) -> list[str]:
    row = [str(chunk.part.index), f'<span class="stamp">{_stamp(chunk.part.start)}<br>{_stamp(chunk.part.end)}</span>']
    row.append(f"{chunk.part.rows.size:,}")
    performance = chunk.performance
    if main is not None:
        guess = performance.estimated.measures.get(main) if performance is not None and performance.estimated else None
        real = performance.realised.get(main) if performance is not None and performance.realised else None
        row += [_with_interval(guess), _with_interval(real) + _coverage(performance)]
    names = moved_names(chunk)
    reasons = "<br>".join(shown(reason) for reason in first_reasons(chunk.reasons, 4))
    why = f'<strong class="bad">alarm</strong> {reasons}' if chunk.alarm else "-"
    return [*row, shown(names), shown(", ".join(chunk.moved) or "-"), why]


def _stamp(at: str | int) -> str:
    return shown(at[:19].replace("T", " ")) if isinstance(at, str) else f"{at:,}"


def _segments(result: Result) -> str:
    rows = []
    for chunk in result.chunks:
        for each in chunk.segments:
            if not (each.performance.alarm or chunk is result.chunks[-1]):
                continue
            main = main_measure(result) or ""
            guess = each.performance.estimated.measures.get(main) if each.performance.estimated else None
            real = each.performance.realised.get(main) if each.performance.realised else None
            why = "<br>".join(shown(reason) for reason in first_reasons(each.performance.reasons, 4)) or "-"
            rows.append([
                str(chunk.part.index), shown(each.column), shown(each.value), f"{each.performance.n:,}",
                _with_interval(guess), _with_interval(real) + _coverage(each.performance), why,
            ])  # fmt: skip
    if not rows:
        return ""
    heads = ["chunk", "column", "value", "rows", "estimated", "realised", "alarm"]
    return f"<h2>Segments</h2><p>Those with an alarm, and all of the last chunk.</p>{table(heads, rows[:MOST_ROWS], wide=True)}"


def _columns(result: Result) -> str:
    roles = result.roles
    named = (
        ("id", roles.identity),
        ("time", roles.time),
        ("prediction", roles.prediction),
        ("score", roles.score),
        ("truth", roles.target),
        ("query", roles.query),
    )
    rows = [[part, shown(name)] for part, name in named if name is not None]
    rows.append(["features", shown(", ".join(roles.features[:60])) + (" …" if len(roles.features) > 60 else "")])
    notes = "".join(f"<li>{shown(note)}</li>" for note in result.notes[:100])
    listed = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    return f"<h2>Columns</h2>{table(['part', 'column'], rows)}{listed}"


def _with_interval(found: Measure | None) -> str:
    if found is None or not found.defined:
        return "-"
    if not math.isfinite(found.low):
        return f"{found.value:.4g}"
    return f'{found.value:.4g} <span class="range">{found.low:.3g} to {found.high:.3g}</span>'


def _coverage(performance: Performance | None) -> str:
    """The share of rows with truth, where it is not all of them."""
    if performance is None or performance.realised is None or performance.coverage >= 1:
        return ""
    return f'<span class="range">truth of {100 * performance.coverage:.3g} %</span>'


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"
